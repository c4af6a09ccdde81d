"""What was acknowledged survives kill -9, and nothing half-written can be read."""

import random
import signal
import subprocess
import sys
import threading
import time

import pytest

from pipelines.stores import open_stores

WRITER = """
import os, sys
from pathlib import Path
import numpy as np, pyarrow as pa
from safetensors.numpy import save_file
from pipelines.stores import CheckpointFields, open_stores

stores, start = open_stores(Path(sys.argv[1])), int(sys.argv[2])
fields = CheckpointFields(kind="sft", parents=(), label=(), label_epoch=0, code_version="1",
                          configuration_digest="c", modalities=("text",))
print("ready", flush=True)
for number in range(start, start + 10_000):
    table = pa.table({"event_id": [f"e{number}_{row}" for row in range(50)]})
    stores.append.append("events", table, batch=f"b{number}")
    print("batch", f"b{number}", flush=True)
    print("table", stores.derived.write(table, sort_by=["event_id"]).digest, flush=True)
    print("blob", stores.blobs.put(f"blob {number}".encode() * 1000), flush=True)
    with stores.checkpoints.writer(fields) as writer:
        save_file({"weight": np.full(1000, float(number))}, writer.folder / "m.safetensors")
    print("checkpoint", writer.checkpoint_id, flush=True)
"""


@pytest.fixture(scope="module")
def crashed(tmp_path_factory):
    """Return the root after 15 kills at random moments, and what was acknowledged."""
    root = tmp_path_factory.mktemp("crashes") / "zone"
    moments = random.Random(20260102)
    acknowledged = []
    for kill in range(15):
        command = [sys.executable, "-c", WRITER, str(root), str(kill * 100_000)]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert writer.stdout.readline() == "ready\n"
        time.sleep(moments.uniform(0.01, 0.2))
        writer.send_signal(signal.SIGKILL)
        lines = writer.communicate(timeout=20)[0]
        # A last line without its end was cut off by the kill: it was not heard.
        acknowledged += [line.split() for line in lines.split("\n")[:-1]]
    return root, acknowledged


def names(acknowledged, kind):
    return {name for found, name in acknowledged if found == kind}


def test_acknowledged_batches_are_stored_whole(crashed):
    root, acknowledged = crashed
    tables = open_stores(root).append
    rows = tables.read("events", columns=["event_id", "batch"]).group_by("batch")
    counted = rows.aggregate([("event_id", "count")]).to_pydict()
    assert names(acknowledged, "batch") <= set(counted["batch"])
    assert set(counted["event_id_count"]) == {50}
    assert names(acknowledged, "batch")  # the kills did not all come too early


@pytest.mark.parametrize("kind", ["table", "blob", "checkpoint"])
def test_acknowledged_content_is_stored_and_all_that_is_stored_is_whole(crashed, kind):
    root, acknowledged = crashed
    stores = open_stores(root)
    read, stored = {
        "table": (stores.derived.read, [p.stem for p in (root / "derived").glob("??/*")]),
        "blob": (stores.blobs.get, [p.name for p in (root / "blobs").glob("??/*")]),
        "checkpoint": (stores.checkpoints.verify, stores.checkpoints.ids()),
    }[kind]
    assert names(acknowledged, kind) <= set(stored)
    assert names(acknowledged, kind)
    for name in stored:
        read(name)


def test_opening_leaves_nothing_unfinished(crashed):
    root, _ = crashed
    open_stores(root)
    left = [path for path in root.glob("*/.partial/*") if path.name != ".lock"]
    assert left == []


def test_opening_leaves_the_work_of_a_living_writer(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path / "zone"), "0"]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert writer.stdout.readline() == "ready\n"
    said = []
    # Opened again and again until the writer has finished something, however busy the machine.
    reader = threading.Thread(target=lambda: said.extend(iter(writer.stdout.readline, "")))
    reader.start()
    opened, until = 0, time.monotonic() + 60
    while time.monotonic() < until and (
        opened < 40 or not any("checkpoint" in line for line in said)
    ):
        open_stores(tmp_path / "zone")
        opened += 1
    assert writer.poll() is None
    writer.kill()
    reader.join(timeout=20)
    assert any("checkpoint" in line for line in said)
