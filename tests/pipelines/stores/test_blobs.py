"""Blobs: equal bytes once, changed bytes never."""

import hashlib
import os
from datetime import timedelta

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


def age(stores, digest, hours):
    """Let a blob look as if it had been put some hours ago."""
    file = stores.blobs.file(digest)
    at = file.stat().st_mtime - 3600 * hours
    os.utime(file, (at, at))


def test_a_dropped_blob_is_gone_and_dropping_it_again_changes_nothing(stores):
    digest = stores.blobs.put(b"picture")
    age(stores, digest, 2)
    assert stores.blobs.drop(digest, unused_for=timedelta(hours=1))
    assert not stores.blobs.has(digest)
    assert stores.blobs.drop(digest, unused_for=timedelta(hours=1))
    assert stores.blobs.put(b"picture") == digest
    assert stores.blobs.has(digest)


def test_a_blob_that_was_put_again_a_moment_ago_is_not_dropped(stores):
    digest = stores.blobs.put(b"picture")
    age(stores, digest, 2)
    stores.blobs.put(b"picture")
    assert not stores.blobs.drop(digest, unused_for=timedelta(hours=1))
    assert stores.blobs.get(digest) == b"picture"
