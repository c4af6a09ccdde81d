"""Scratch: kept under the digest of what it was made from, and safe to clear."""

import os
from pathlib import Path

import pytest

from data_contracts.errors import FlywheelError
from pipelines.stores import open_stores
from pipelines.stores.digests import json_digest
from pipelines.stores.scratch import Scratch


def test_what_was_put_is_there_until_cleared(tmp_path):
    scratch = open_stores(tmp_path).scratch
    made_from = json_digest("a source")
    assert scratch.get(made_from) is None
    scratch.put(made_from, b"bytes")
    assert open_stores(tmp_path).scratch.get(made_from) == b"bytes"
    assert scratch.clear() == 1
    assert scratch.get(made_from) is None
    assert scratch.clear() == 0


def test_what_another_process_clears_while_it_is_asked_for_is_not_there(tmp_path, monkeypatch):
    scratch, made_from = open_stores(tmp_path).scratch, json_digest("a source")
    scratch.put(made_from, b"bytes")
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda file: (file.unlink(), read(file))[1])
    assert scratch.get(made_from) is None


def test_a_name_that_is_no_digest_never_becomes_a_path(tmp_path):
    with pytest.raises(FlywheelError, match="64 lower-case"):
        open_stores(tmp_path).scratch.put("../outside", b"")


def test_the_oldest_pieces_go_when_it_is_full(tmp_path):
    (tmp_path / "scratch").mkdir()
    scratch = Scratch(tmp_path / "scratch", most_bytes=25)
    pieces = [f"{n:x}" * 64 for n in range(4)]
    for age, piece in enumerate(pieces):
        scratch.put(piece, b"0123456789")
        os.utime(tmp_path / "scratch" / piece, ns=(age, age))
    assert [scratch.get(piece) is not None for piece in pieces] == [False, False, True, True]
    scratch.put("f" * 64, b"0" * 100)  # more than it may hold: kept until the next comes
    assert scratch.get("f" * 64) is not None
    assert scratch.get(pieces[3]) is None
