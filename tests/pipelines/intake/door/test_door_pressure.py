"""Many senders at once: one keeps an event, all hear of it, and a full door says so."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from door_events import event, ids_of, written
from starlette.requests import Request

from pipelines.intake.door import DoorLimits, Journal
from pipelines.intake.door import journal as journal_module
from pipelines.intake.door.answers import Refusal
from pipelines.intake.door.bodies import BodyReader
from pipelines.intake.door.event_batch import read_array
from pipelines.intake.door.journal import journal_entry
from pipelines.intake.door.writer import DoorBusy, JournalWriter


def entry(*numbers):
    batch = read_array(written([event(n) for n in numbers]), tenant_id="acme", most=100)
    return journal_entry(batch, received_at="2026-01-01T00:00:00Z")


def test_copies_that_come_at_the_same_time_are_kept_once(place, client):
    def send(number):
        return client.post("/v1/events", content=written([event(n) for n in range(20)])).json()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(16)))
    assert sum(each["accepted"] for each in answers) == 20
    assert sum(each["known"] for each in answers) == 15 * 20


@pytest.fixture
def held_commit(monkeypatch):
    """Hold the first commit back until it is let go, as a slow disk does."""
    begun, let_go = threading.Event(), threading.Event()
    append = journal_module.Journal.append
    groups = []

    def slow(self, entries):
        groups.append(len(entries))
        begun.set()
        assert let_go.wait(20)
        return append(self, entries)

    monkeypatch.setattr(journal_module.Journal, "append", slow)
    yield begun, let_go, groups
    let_go.set()


def test_what_waits_is_bounded_and_the_rest_is_429(place, held_commit):
    begun, let_go, _ = held_commit
    with place.open(waiting_events=3) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, "/v1/events", content=written([event(1), event(2)]))
        assert begun.wait(20)
        busy = client.post("/v1/events", content=written([event(3), event(4)]))
        assert busy.status_code == 429
        assert busy.headers["retry-after"] == "1"
        let_go.set()
        assert first.result().status_code == 202
        assert client.post("/v1/events", content=written([event(3), event(4)])).status_code == 202


def test_what_gathers_during_a_commit_is_committed_together(tmp_path, held_commit):
    begun, let_go, groups = held_commit

    async def scene():
        writer = JournalWriter(Journal(tmp_path / "door"), waiting_events=100)
        first = asyncio.create_task(writer.append(entry(0)))
        await asyncio.to_thread(begun.wait, 20)
        others = [asyncio.create_task(writer.append(entry(n))) for n in range(1, 6)]
        await asyncio.sleep(0)
        let_go.set()
        outcomes = await asyncio.gather(first, *others)
        writer.close()
        return outcomes

    outcomes = asyncio.run(scene())
    assert groups == [1, 5]
    assert [each.fresh for each in outcomes] == [1] * 6


def test_a_client_that_hangs_up_gives_its_place_back(tmp_path, held_commit):
    begun, let_go, _ = held_commit

    async def scene():
        writer = JournalWriter(Journal(tmp_path / "door"), waiting_events=2)
        gone = asyncio.create_task(writer.append(entry(1, 2)))
        await asyncio.to_thread(begun.wait, 20)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        with pytest.raises(DoorBusy):
            await writer.append(entry(3))
        let_go.set()
        while writer._events:
            await asyncio.sleep(0.01)
        kept = await writer.append(entry(3))
        writer.close()
        return kept

    assert asyncio.run(scene()).fresh == 1
    with closing(Journal(tmp_path / "door")) as journal:
        landing = journal.open_landing(events=9)
        assert ids_of(journal.lines(landing)) == ["ev_1", "ev_2", "ev_3"]


def request_of(receive, **headers):
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": named}, receive)


async def never():
    await asyncio.sleep(60)


async def whole():
    return {"type": "http.request", "body": b"12", "more_body": False}


async def hung_up():
    return {"type": "http.disconnect"}


def test_bodies_that_are_being_read_are_bounded_together():
    async def scene():
        bodies = BodyReader(DoorLimits(body_bytes=2_000, reading_bytes=3_000))
        slow = asyncio.create_task(bodies.read(request_of(never)))
        await asyncio.sleep(0)
        with pytest.raises(Refusal) as refused:
            await bodies.read(request_of(whole))
        small = await bodies.read(request_of(whole, content_length="2"))
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
        return refused.value.status, small, await bodies.read(request_of(whole))

    assert asyncio.run(scene()) == (429, b"12", b"12")


@pytest.mark.parametrize(("receive", "status"), [(never, 408), (hung_up, 400)])
def test_a_body_that_does_not_come_is_refused_and_gives_its_place_back(receive, status):
    async def scene():
        bodies = BodyReader(DoorLimits(body_seconds=0.05, reading_bytes=1 << 20))
        with pytest.raises(Refusal) as refused:
            await bodies.read(request_of(receive))
        return refused.value.status, await bodies.read(request_of(whole))

    assert asyncio.run(scene()) == (status, b"12")


@pytest.mark.parametrize("stated", ["-1", "1e3", "", "9" * 30, "\u0663"])
def test_a_stated_length_that_is_no_number_is_not_believed(stated):
    bodies = BodyReader(DoorLimits())
    request = Request({"type": "http", "headers": [(b"content-length", stated.encode())]}, whole)
    assert asyncio.run(bodies.read(request)) == b"12"
