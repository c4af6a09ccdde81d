"""Blobs: equal bytes once, changed bytes never."""

import hashlib

import pytest

from data_contracts.errors import FlywheelError
from pipelines.stores import Blobs, open_stores


def test_a_blob_comes_back_by_its_digest(stores):
    digest = stores.blobs.put(b"picture")
    assert digest == hashlib.sha256(b"picture").hexdigest()
    assert stores.blobs.get(digest) == b"picture"
    assert stores.blobs.has(digest)
    assert not stores.blobs.has("0" * 64)


def test_many_blobs_keep_their_order(stores):
    contents = [b"c", b"a", b"", b"a"]
    digests = stores.blobs.put_many(contents)
    assert [stores.blobs.get(digest) for digest in digests] == contents
    assert stores.blobs.put_many([]) == []


def test_a_damaged_blob_is_refused(stores):
    digest = stores.blobs.put(b"picture")
    (stores.root / "blobs" / digest[:2] / digest).write_bytes(b"pictuse")
    with pytest.raises(FlywheelError, match="is damaged"):
        stores.blobs.get(digest)


def test_a_blob_above_the_cap_is_refused(stores):
    small = Blobs(stores.root / "blobs", max_bytes=4)
    assert small.put(b"1234")
    with pytest.raises(FlywheelError, match="5 bytes exceeds the cap of 4 bytes"):
        small.put_many([b"1234", b"12345"])


@pytest.mark.parametrize("digest", ["../x", "", "0" * 64])
def test_an_absent_blob_is_one_sentence(stores, digest):
    with pytest.raises(FlywheelError):
        stores.blobs.get(digest)


def test_opening_sweeps_what_a_killed_writer_left(stores):
    left = stores.root / "blobs" / ".partial" / "half"
    left.write_bytes(b"half")
    open_stores(stores.root)
    assert not left.exists()
