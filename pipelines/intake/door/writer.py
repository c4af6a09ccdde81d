"""The writer: one thread a journal that commits whatever waits, together, and then acknowledges."""

import asyncio
import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.intake.door.journal import Entry, Journal, Journalled

_TOGETHER = 5_000  # events a commit at most, so that nobody waits for a giant


class DoorBusy(Exception):
    """More events wait for a commit than the door will hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    entry: Entry
    answer: "asyncio.Future[Journalled]"


class JournalWriter:
    """Group commit: while one commit is on its way to the disk, the next ones gather.

    Lives in one event loop; only the journal is touched by its thread.
    """

    def __init__(self, journal: Journal, *, waiting_events: int) -> None:
        self._journal = journal
        self._cap = waiting_events
        self._loop = asyncio.get_running_loop()
        self._events = 0  # submitted and not yet answered; only the loop touches it
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()  # None: the end
        self._ended = False  # only the thread touches it
        self._thread = threading.Thread(target=self._work, name="journal-writer", daemon=True)
        self._thread.start()

    async def append(self, entry: Entry) -> Journalled:
        """Return once the commit that holds *entry* is on the disk.

        Raises:
            DoorBusy: too much waits already; nothing of *entry* is kept.
            sqlite3.Error: the disk refused; nothing of *entry* is kept.
        """
        events = len(entry.batch.lines)
        if self._events and self._events + events > self._cap:
            raise DoorBusy
        answer: asyncio.Future[Journalled] = self._loop.create_future()
        self._events += events
        try:
            self._queue.put(_Waiting(entry=entry, answer=answer))
            # A client that hangs up does not take back what is on its way to the disk.
            return await asyncio.shield(answer)
        finally:
            if answer.done():
                self._events -= events
            else:
                answer.add_done_callback(lambda _: self._release(events))

    def close(self) -> None:
        """Commit what waits, then end the thread and close the journal."""
        self._queue.put(None)
        self._thread.join()
        self._journal.close()

    def _release(self, events: int) -> None:
        self._events -= events

    def _work(self) -> None:
        while group := self._next_group():
            try:
                outcomes: Sequence[Journalled | BaseException] = self._journal.append(
                    [each.entry for each in group]
                )
            except Exception as error:  # the loop must hear of it, whatever it is
                outcomes = [error] * len(group)
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(_answer, group, outcomes)

    def _next_group(self) -> list[_Waiting]:
        """Wait for a request, and take whatever has gathered behind it; empty at the end."""
        group: list[_Waiting] = []
        events = 0
        while events < _TOGETHER and not self._ended:
            try:
                found = self._queue.get(block=not group)
            except queue.Empty:
                break
            if found is None:
                self._ended = True
            else:
                group.append(found)
                events += len(found.entry.batch.lines)
        return group


def _answer(group: Sequence[_Waiting], outcomes: Sequence[Journalled | BaseException]) -> None:
    for each, outcome in zip(group, outcomes, strict=True):
        if each.answer.done():
            continue
        if isinstance(outcome, BaseException):
            each.answer.set_exception(outcome)
        else:
            each.answer.set_result(outcome)
