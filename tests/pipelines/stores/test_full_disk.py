"""A disk that is full is one sentence, and nothing half-written gets a name."""

import os
import resource
import subprocess
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import save_file

from data_contracts.errors import FlywheelError
from pipelines.stores import CheckpointFields, open_stores

FIELDS = CheckpointFields(
    kind="sft",
    parents=(),
    label=(),
    label_epoch=0,
    code_version="1",
    configuration_digest="c",
    modalities=("text",),
)
SMALL = f"blobs/{sha256(b'small').hexdigest()[:2]}/{sha256(b'small').hexdigest()}"
AT = datetime(2026, 1, 2, tzinfo=UTC)


def noise(size):
    return np.random.default_rng(7).bytes(size)


def append(stores):
    table = pa.table({"event_id": ["e"], "text": [noise(800_000).hex()]})
    stores.append.append("events", table, batch="big")


def derive(stores):
    stores.derived.write(pa.table({"a": [noise(800_000)]}), sort_by=["a"])


def put(stores):
    stores.blobs.put_many([b"small", noise(800_000)])


def save(stores):
    with stores.checkpoints.writer(FIELDS) as writer:
        weights = np.frombuffer(noise(800_000), dtype=np.uint8)
        save_file({"weight": weights}, writer.folder / "model.safetensors")


WRITES = [append, derive, put, save]


@contextmanager
def tiny_disk(folder):
    """Mount a file system of 600 kB; skip where that is not allowed."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system is not allowed here; the file size limit is tested")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def file_size_limit(size):
    """Let the kernel refuse every file above *size*, as it refuses a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("write", WRITES)
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path, write):
    with tiny_disk(tmp_path / "disk"):
        stores = open_stores(tmp_path / "disk" / "zone")
        stores.append.append("events", pa.table({"event_id": ["kept"], "text": ["t"]}), batch="b0")
        before = contents(stores.root)
        with pytest.raises(FlywheelError, match="was not stored: no space left on device"):
            write(stores)
        allowed = {SMALL} if write is put else set()
        assert contents(stores.root) - before <= allowed
        assert stores.append.read("events").num_rows == 1
        stores.append.append("events", pa.table({"event_id": ["more"]}), batch="b1")


def test_a_full_disk_keeps_every_acknowledged_catalogue_entry(tmp_path):
    acknowledged = []

    def fill(stores):
        for name in (f"p{number}" for number in range(1000)):
            stores.catalogue.swap_pointer(
                name, expected=None, new="x", reason=noise(5_000).hex(), by="me", at=AT
            )
            acknowledged.append(name)

    with tiny_disk(tmp_path / "disk"):
        stores = open_stores(tmp_path / "disk" / "zone")
        with pytest.raises(FlywheelError, match="catalogue entry was not stored: no space left"):
            fill(stores)
        assert sorted(stores.catalogue.pointers()) == sorted(acknowledged)
    assert acknowledged


@pytest.mark.parametrize("write", WRITES)
def test_a_refused_file_is_one_sentence_and_leaves_nothing(stores, write):
    before = contents(stores.root)
    with file_size_limit(100_000), pytest.raises(FlywheelError, match="was not stored: file too"):
        write(stores)
    allowed = {SMALL} if write is put else set()
    assert contents(stores.root) - before <= allowed
    assert stores.append.batches("events") == []


def contents(root):
    """Return the names under which something can be read; Delta's log counts by its batches."""
    return {
        path.relative_to(root).as_posix()
        for path in root.glob("*/**/*")
        if path.is_file() and not {"_delta_log", ".locks", ".lock"} & set(path.parts)
    }


def test_wherever_in_an_append_the_disk_fills_the_batch_is_there_or_not(tmp_path):
    """Free pages run from 0 up: the data file, the commit or nothing at all is refused."""
    outcomes = {}
    with tiny_disk(tmp_path / "disk"):
        stores = open_stores(tmp_path / "disk" / "zone")
        stores.append.append("events", pa.table({"event_id": ["kept"]}), batch="kept")
        for pages in range(6):
            outcomes[pages] = outcome(stores, tmp_path / "disk", free=pages * 4096, batch=pages)
        stored = [f"b{pages}" for pages, refused in outcomes.items() if refused is None]
        assert stores.append.batches("events") == sorted([*stored, "kept"])
        assert stores.append.read("events").num_rows == 1 + len(stored)
        assert stores.append.append("events", pa.table({"event_id": ["e0"]}), batch="b0")
    assert outcomes[0] is not None
    assert outcomes[5] is None
    assert all("no space left" in refused for refused in outcomes.values() if refused)


def outcome(stores, disk, *, free, batch):
    """Return why an append was refused with *free* bytes left; None if it was stored."""
    filler = disk / "filler"
    status = os.statvfs(disk)
    filler.write_bytes(b"x" * (status.f_bavail * status.f_frsize - free))
    try:
        stores.append.append("events", pa.table({"event_id": [f"e{batch}"]}), batch=f"b{batch}")
    except FlywheelError as error:
        return str(error)
    else:
        return None
    finally:
        filler.unlink()
