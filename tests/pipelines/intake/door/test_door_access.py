"""Who may send, and where what they send belongs."""

import time
from contextlib import closing
from datetime import UTC, datetime

import pytest
from door_events import event, ids_of, written

from data_contracts.errors import FlywheelError, SensitivityError
from data_contracts.labels import GENERAL, Label
from pipelines.intake.door import AccessBook, Journal, journal_folder
from pipelines.intake.door.journal import only_writer

AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def book(tmp_path):
    with closing(AccessBook(tmp_path / "door")) as opened:
        yield opened


def test_a_key_opens_its_tenant_and_is_nowhere_in_the_book(book, tmp_path):
    book.place("acme", ["p"], zone=tmp_path / "zone", label=GENERAL)
    key_id, key = book.issue("acme", at=AT)
    caller = book.caller(key)
    assert (caller.key_id, caller.tenant_id) == (key_id, "acme")
    assert caller.zones == {"p": tmp_path / "zone"}
    assert book.caller(key[:-1]) is None
    written_bytes = b"".join(file.read_bytes() for file in (tmp_path / "door").iterdir())
    secret = key.partition(f"{key_id}_")[2]  # it may hold underscores of its own
    assert len(secret) > 40
    assert secret.encode() not in written_bytes
    assert key_id.encode() in written_bytes


def test_the_book_is_readable_by_us_alone(book, tmp_path):
    assert (tmp_path / "door").stat().st_mode & 0o077 == 0
    assert (tmp_path / "door" / "access.sqlite").stat().st_mode & 0o077 == 0


def test_an_open_door_sees_a_key_that_another_process_issued_or_revoked(place):
    with place.open() as client, closing(AccessBook(place.folder)) as other:
        key_id, key = other.issue("acme", at=AT)
        client.headers["authorization"] = f"Bearer {key}"
        assert client.post("/v1/events", content=written(event(1))).status_code == 202
        other.revoke(key_id, at=AT)
        time.sleep(0.5)
        assert client.post("/v1/events", content=written(event(2))).status_code == 401


def test_a_revoked_key_that_does_not_exist_is_refused(book):
    with pytest.raises(FlywheelError, match="no key"):
        book.revoke("nothing", at=AT)


def test_a_project_does_not_change_its_zone(book, tmp_path):
    book.place("acme", ["p"], zone=tmp_path / "a", label=GENERAL)
    book.place("acme", ["p"], zone=tmp_path / "a", label=GENERAL)
    with pytest.raises(SensitivityError, match="is in zone a"):
        book.place("acme", ["q", "p"], zone=tmp_path / "b", label=GENERAL)
    _, key = book.issue("acme", at=AT)
    assert set(book.caller(key).zones) == {"p"}


def test_a_zone_has_one_label(book, tmp_path):
    book.place("acme", ["p"], zone=tmp_path / "a", label=GENERAL)
    with pytest.raises(SensitivityError, match="another sensitivity label"):
        book.place("acme", ["q"], zone=tmp_path / "a", label=Label(frozenset({"acme"})))


@pytest.mark.parametrize("wrong", ["", "two words", "x" * 129, "ümlaut"])
def test_an_id_that_is_not_plain_is_refused(book, tmp_path, wrong):
    with pytest.raises(FlywheelError, match="plain id"):
        book.place("acme", [wrong], zone=tmp_path / "a", label=GENERAL)


def test_events_go_to_the_journal_of_their_zone_alone(place, tmp_path):
    own = tmp_path / "own"
    with closing(AccessBook(place.folder)) as book:
        book.place("acme", ["hidden"], zone=own, label=Label(frozenset({"acme/hidden"})))
    with place.open() as client:
        both = [event(1), event(2, project_id="hidden")]
        assert client.post("/v1/events", content=written(both)).status_code == 422
        for each in both:
            assert client.post("/v1/events", content=written(each)).status_code == 202
    for zone, owners, ids in ((place.zone, set(), ["ev_1"]), (own, {"acme/hidden"}, ["ev_2"])):
        with closing(Journal(journal_folder(zone))) as journal:
            assert journal.label() == Label(frozenset(owners))
            assert ids_of(journal.lines(journal.open_landing(events=9))) == ids
    general = b"".join(f.read_bytes() for f in journal_folder(place.zone).iterdir() if f.is_file())
    assert b"hidden" not in general
    assert b"ev_2" not in general


def test_two_tenants_may_use_the_same_event_id(place):
    with closing(AccessBook(place.folder)) as book:
        book.place("globex", ["campaign-7"], zone=place.zone, label=GENERAL)
        _, key = book.issue("globex", at=AT)
    with place.open() as client:
        assert client.post("/v1/events", content=written(event(1))).json()["accepted"] == 1
        client.headers["authorization"] = f"Bearer {key}"
        other = client.post("/v1/events", content=written(event(1, turn=3)))
        assert other.json() == {"accepted": 1, "known": 0}


def test_a_journal_has_one_writer(place):
    held = only_writer(journal_folder(place.zone))
    with held, pytest.raises(FlywheelError, match="another door"), place.open():
        pass


def test_a_journal_without_a_label_is_denied(tmp_path):
    with closing(Journal(tmp_path / "door")) as journal:
        with pytest.raises(SensitivityError, match="states no label"):
            journal.label()
        journal.state_label(GENERAL)
        with pytest.raises(SensitivityError, match="another sensitivity label"):
            journal.state_label(Label(frozenset({"acme"})))


def test_a_damaged_book_is_one_sentence(tmp_path):
    (tmp_path / "access.sqlite").write_bytes(b"not a database at all, but long enough" * 40)
    with pytest.raises(FlywheelError, match="cannot be opened"):
        AccessBook(tmp_path)


def test_a_damaged_journal_is_one_sentence(tmp_path):
    (tmp_path / "journal.sqlite").write_bytes(b"not a database at all, but long enough" * 40)
    with pytest.raises(FlywheelError, match="cannot be opened"):
        Journal(tmp_path)
