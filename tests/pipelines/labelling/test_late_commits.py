"""What the server commits after its own time stamp is found: soon at a glance, surely in time."""

from datetime import UTC, datetime, timedelta

import pytest
from small_server import edited
from test_edits_sync import TEXTS, Zone

from pipelines.labelling import polling
from pipelines.labelling.sync import sync_answers

BEGIN = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def zone(tmp_path):
    return Zone(tmp_path / "zone")


def synced(zone, seconds, **how):
    """Sync *seconds* after the first look; return how many answers were new."""
    now = BEGIN + timedelta(seconds=seconds)
    return sync_answers(zone.root, zone.server, clock=lambda: now, **how).accepted


def answer_late(zone, at, *, behind):
    """An answer whose time stamp lies *behind* seconds before the newest change of its project."""
    task, user, _ = zone.given[at]
    newest = max(each["updated_at"] for each in zone.server._of(user))
    zone.answer(at, TEXTS[0])
    moment = datetime.fromisoformat(newest) - timedelta(seconds=behind)
    written = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    zone.server.tasks[task]["updated_at"] = written
    for each in zone.server.tasks[task]["annotations"]:
        each["updated_at"] = written


def test_a_glance_sees_what_is_new_and_what_was_just_late(zone):
    zone.answer(0, TEXTS[0])
    assert synced(zone, 0) == 1
    zone.answer(1, TEXTS[0])
    assert synced(zone, 5) == 1
    answer_late(zone, 2, behind=0.5)
    assert synced(zone, 10) == 1


def test_what_was_long_late_is_found_within_a_minute(zone):
    zone.answer(0, TEXTS[0])
    assert synced(zone, 0) == 1
    answer_late(zone, 2, behind=15)
    assert synced(zone, 20) == 0
    assert synced(zone, 59) == 0
    assert synced(zone, 60) == 1


def test_whoever_must_be_sure_finds_it_at_once(zone):
    zone.answer(0, TEXTS[0])
    synced(zone, 0)
    answer_late(zone, 2, behind=15)
    assert synced(zone, 1, thorough=True) == 1


def test_glances_do_not_move_where_the_next_thorough_look_begins(zone):
    """Late by 15 s at the first look; many changes and glances later it is still looked for."""
    zone.answer(0, TEXTS[0])
    synced(zone, 0)
    answer_late(zone, 2, behind=15)
    task, _, _ = zone.given[1]
    number = zone.answer(1, TEXTS[0])
    for seconds in range(1, 50):
        zone.server.change(task, number, zone.server.tasks[task]["annotations"][0]["result"])
        synced(zone, seconds)
    assert synced(zone, 61) >= 1
    found, _ = zone.tables()
    assert found.num_rows == 3


def test_a_clock_that_was_set_back_looks_thoroughly(zone):
    zone.answer(0, TEXTS[0])
    synced(zone, 0)
    answer_late(zone, 2, behind=15)
    assert synced(zone, -3600) == 1


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("alike", [False, True], ids=["one after another", "at one moment"])
def test_more_changes_than_one_list_names_are_all_found(zone, monkeypatch, size, alike):
    monkeypatch.setattr(polling, "LISTED", size)
    assert synced(zone, 0) == 0
    for at in range(6):
        zone.answer(at, TEXTS[0])
    if alike:
        newest = max(each["updated_at"] for each in zone.server.tasks.values())
        for task in zone.server.tasks.values():
            task["updated_at"] = newest
    assert synced(zone, 5) == 6
    assert synced(zone, 10) == 0


@pytest.mark.parametrize("request_number", range(8))
def test_what_moves_while_it_is_listed_is_found_by_the_next_look(zone, monkeypatch, request_number):
    """Before each of a sync's requests in turn somebody changes what is the oldest change."""
    monkeypatch.setattr(polling, "LISTED", 2)
    synced(zone, 0)
    numbers = [zone.answer(at, TEXTS[0]) for at in range(6)]
    real, seen = zone.server.request, iter(range(99))

    def request(method, path, **more):
        if next(seen) == request_number:
            task, _, _ = zone.given[0]
            zone.server.change(task, numbers[0], edited(TEXTS[1]))
        return real(method, path, **more)

    monkeypatch.setattr(zone.server, "request", request)
    synced(zone, 5)
    monkeypatch.setattr(zone.server, "request", real)
    synced(zone, 10)
    assert zone.written() == sorted([TEXTS[1]] + [TEXTS[0]] * 5)
