"""Deliveries: whole or not there, and media that are what their names say."""

import hashlib

import pyarrow as pa
import pytest

from data_contracts.errors import FlywheelError
from pipelines.inbox import Inbox

TABLE = pa.table({"id": ["a"]})
PICTURE = b"a picture"
DIGEST = hashlib.sha256(PICTURE).hexdigest()


@pytest.fixture
def inbox(tmp_path) -> Inbox:
    box = Inbox(tmp_path)
    box.deliver("turn-001", prompts=TABLE, generations=TABLE, media={DIGEST: PICTURE}, events=TABLE)
    return box


def test_a_delivery_counts_when_it_is_whole(inbox):
    half = inbox.folder("turn-002")
    half.mkdir()
    (half / "events.parquet").write_bytes(b"")
    assert inbox.turns() == ["turn-001"]


def test_a_turn_without_delivery_is_one_sentence(inbox):
    with pytest.raises(FlywheelError, match="no delivery for turn-009"):
        inbox.file("turn-009", "events")


def test_a_missing_file_is_named(inbox):
    (inbox.folder("turn-001") / "events.parquet").unlink()
    with pytest.raises(FlywheelError, match="lacks events"):
        inbox.file("turn-001", "events")


def test_two_files_of_one_name_are_refused_rather_than_one_of_them_read(inbox):
    (inbox.folder("turn-001") / "events.csv").write_text("event_id")
    with pytest.raises(FlywheelError, match=r"holds events\.csv, events\.parquet"):
        inbox.file("turn-001", "events")


def test_a_second_delivery_that_stops_midway_leaves_none_that_counts(inbox, monkeypatch):
    def full(*_):
        raise OSError("no space")

    monkeypatch.setattr("pyarrow.parquet.write_table", full)
    with pytest.raises(OSError, match="no space"):
        inbox.deliver("turn-001", prompts=TABLE, generations=TABLE, media={}, events=TABLE)
    assert inbox.turns() == []


def test_media_come_back_as_delivered(inbox):
    assert inbox.media("turn-001", DIGEST) == PICTURE


def test_media_that_are_not_what_their_name_says_are_refused(inbox):
    (inbox.folder("turn-001") / "media" / f"{DIGEST}.png").write_bytes(b"another")
    with pytest.raises(FlywheelError, match="not what its name says"):
        inbox.media("turn-001", DIGEST)
