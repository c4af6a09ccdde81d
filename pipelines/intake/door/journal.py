"""The journal: where events lie from the moment they are acknowledged until they have landed.

One SQLite file a zone, in WAL with synchronous=FULL: a commit that returned survives a power cut.
What is committed together lies in parts of JSON lines, of one request or several; beside them
stands one row an event, (tenant, event id) and digest, which outlives the landing, so that an event
is known again however late it is repeated.
"""

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from data_contracts.errors import FlywheelError, SensitivityError
from data_contracts.labels import Label
from pipelines.intake.door.event_batch import EventBatch

JOURNAL_FILE: Final = "journal.sqlite"

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS known (
    tenant_id TEXT NOT NULL, event_id TEXT NOT NULL, digest TEXT NOT NULL,
    part INTEGER NOT NULL, PRIMARY KEY (tenant_id, event_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parts (
    part INTEGER PRIMARY KEY AUTOINCREMENT, events INTEGER NOT NULL, lines BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS landings (
    landing INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS labels (one INTEGER PRIMARY KEY CHECK (one = 1), owners TEXT NOT NULL);
"""
# One statement a request: a Python-level loop would trade the interpreter lock at every row.
_ADD: Final = (
    "INSERT INTO known SELECT ?1, key, value, ?2 FROM json_each(?3) WHERE true "
    "ON CONFLICT DO NOTHING"
)
_MATCHED: Final = (
    "SELECT event_id, digest = value, part = ?2 FROM json_each(?3) "
    "JOIN known ON known.tenant_id = ?1 AND known.event_id = key"
)
_FORGET: Final = (
    "DELETE FROM known WHERE tenant_id = ?1 AND part = ?2 "
    "AND event_id IN (SELECT key FROM json_each(?3))"
)
_CLEARED: Final = 200  # parts a transaction, so that a landing never holds the writer up


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One request as it is to be journalled, written out beforehand.

    The writer's thread should hold the interpreter for as little as it can.
    """

    batch: EventBatch
    received_at: str
    lines: bytes  # all of the batch, with the time of receipt
    pairs: str  # JSON object, event id -> digest


def journal_entry(batch: EventBatch, *, received_at: str) -> Entry:
    """Write out a request for the journal.

    Args:
        batch: its events.
        received_at: by the door's clock, RFC 3339 in UTC.
    """
    return Entry(
        batch=batch,
        received_at=received_at,
        lines=_stamped(batch.lines, received_at),
        pairs=msgspec.json.encode(batch.digests).decode(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Journalled:
    """What became of a request: all of it is kept, or nothing."""

    fresh: int  # events kept now
    known: int  # events kept before, word for word
    conflicts: tuple[str, ...]  # ids that stand for other events already; then nothing was kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """A range of parts that lands together; it stays the same until it is closed."""

    number: int
    first: int
    last: int


def journal_folder(zone: Path) -> Path:
    """Return where the journal of the zone under the root *zone* lies."""
    return zone / "door"


class _Doubt(Exception):
    """Something of a group is known already."""


class Journal:
    """One zone's journal, open in this process."""

    def __init__(self, folder: Path) -> None:
        """Open the journal in *folder*, making it where it is absent, readable by us alone.

        Raises:
            FlywheelError: it cannot be opened.
        """
        _make_private(folder)
        self._zone = folder.parent.name
        file = folder / JOURNAL_FILE
        try:
            os.close(os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            self._base = sqlite3.connect(
                file, timeout=60, isolation_level=None, check_same_thread=False
            )
            # secure_delete: what has landed leaves no bytes behind in free pages.
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
                self._base.execute(f"PRAGMA {pragma}")
            self._base.executescript(_TABLES)
        except (OSError, sqlite3.Error) as error:
            raise FlywheelError(
                f"the journal of zone {self._zone} cannot be opened "
                f"({type(error).__name__}); check the folder's permissions and the disk"
            ) from error

    def state_label(self, label: Label) -> None:
        """Write down whose permission a reader of this zone's events needs; once.

        Raises:
            SensitivityError: another label stands there.
        """
        owners = json.dumps(sorted(label.owners))
        with self._transaction():
            self._base.execute("INSERT OR IGNORE INTO labels VALUES (1, ?)", (owners,))
        if self.label() != label:
            raise SensitivityError(
                f"the journal of zone {self._zone} carries another sensitivity label; "
                "events of different owners belong into different zones"
            )

    def label(self) -> Label:
        """Return whose permission a reader of this zone's events needs.

        Raises:
            SensitivityError: nobody wrote it down, so reading is denied.
        """
        found = self._base.execute("SELECT owners FROM labels").fetchone()
        if found is None:
            raise SensitivityError(
                f"the journal of zone {self._zone} states no label, so it is denied; "
                "open it through `flywheel serve`"
            )
        return Label(frozenset(json.loads(found[0])))

    def append(self, entries: Sequence[Entry]) -> list[Journalled]:
        """Keep *entries* in one commit; when this returns they survive a power cut.

        An entry with a conflict leaves nothing behind; the others do not suffer from it.

        Raises:
            sqlite3.Error: the disk refuses; then nothing of *entries* was kept.
        """
        if len(entries) > 1 and self._add_together(entries):
            return [Journalled(fresh=len(e.batch.lines), known=0, conflicts=()) for e in entries]
        with self._transaction():
            return [self._add(entry) for entry in entries]

    def waiting(self) -> int:
        """Return how many events have not landed."""
        [[events]] = self._base.execute("SELECT coalesce(sum(events), 0) FROM parts")
        return int(events)

    def known(self) -> int:
        """Return how many events were ever kept."""
        [[events]] = self._base.execute("SELECT count(*) FROM known")
        return int(events)

    def open_landing(self, *, events: int) -> Landing | None:
        """Return the landing that was left open, else open one over the oldest parts.

        Args:
            events: how many to take at most; a single larger part is taken alone.

        Returns:
            The landing; None if nothing waits.
        """
        with self._transaction():
            found = self._base.execute("SELECT landing, first, last FROM landings").fetchone()
            if found is None:
                first, last, total = None, None, 0
                for part, held in self._base.execute(
                    "SELECT part, events FROM parts ORDER BY part"
                ):
                    if first is not None and total + held > events:
                        break
                    first = part if first is None else first
                    last, total = part, total + held
                if first is None or last is None:
                    return None
                found = (last, first, last)
                self._base.execute("INSERT INTO landings VALUES (?, ?, ?)", found)
        return Landing(number=found[0], first=found[1], last=found[2])

    def lines(self, landing: Landing) -> Iterator[bytes]:
        """Yield the landing's events, a part at a time, as JSON lines; always the same bytes."""
        for (lines,) in self._base.execute(
            "SELECT lines FROM parts WHERE part BETWEEN ? AND ? ORDER BY part",
            (landing.first, landing.last),
        ):
            yield lines

    def close_landing(self, landing: Landing) -> None:
        """Forget the landing's lines; its events stay known. Safe to repeat after a crash."""
        for start in range(landing.first, landing.last + 1, _CLEARED):
            with self._transaction():
                self._base.execute(
                    "DELETE FROM parts WHERE part BETWEEN ? AND ?",
                    (start, min(start + _CLEARED - 1, landing.last)),
                )
        with self._transaction():
            self._base.execute("DELETE FROM landings WHERE landing = ?", (landing.number,))
        self._base.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def _add_together(self, entries: Sequence[Entry]) -> bool:
        """Keep entries that nothing is known of in one part; say False, undone, at any doubt.

        Two statements for all of them: at each, the interpreter goes to whoever answers requests,
        and is waited for again.
        """
        if any(each.batch.copies or each.batch.conflicts for each in entries):
            return False
        pairs: dict[str, list[str]] = {}
        for each in entries:
            if each.batch.digests:
                pairs.setdefault(each.batch.tenant_id, []).append(each.pairs[1:-1])
        events = sum(len(each.batch.lines) for each in entries)
        try:
            with self._transaction():
                part = self._base.execute(
                    "INSERT INTO parts (events, lines) VALUES (?, ?)",
                    (events, b"".join([each.lines for each in entries])),
                ).lastrowid
                fresh = 0
                for tenant_id, some in pairs.items():
                    key = (tenant_id, part, f"{{{','.join(some)}}}")
                    fresh += self._base.execute(_ADD, key).rowcount
                if fresh != events:
                    raise _Doubt
        except _Doubt:
            return False
        return True

    def _add(self, entry: Entry) -> Journalled:
        batch = entry.batch
        if batch.conflicts:
            return Journalled(fresh=0, known=0, conflicts=batch.conflicts)
        if not batch.digests:
            return Journalled(fresh=0, known=0, conflicts=())
        # The part is written first, so that its events can name it.
        part = self._base.execute(
            "INSERT INTO parts (events, lines) VALUES (?, ?)",
            (len(batch.lines), entry.lines),
        ).lastrowid
        key = (batch.tenant_id, part, entry.pairs)
        fresh = self._base.execute(_ADD, key).rowcount
        if fresh == len(batch.digests):
            return Journalled(fresh=fresh, known=batch.copies, conflicts=())
        matched = self._base.execute(_MATCHED, key).fetchall()
        conflicts = {event_id for event_id, same, _ in matched if not same}
        if conflicts:
            self._base.execute(_FORGET, key)
            self._base.execute("DELETE FROM parts WHERE part = ?", (part,))
            ordered = tuple(each for each in batch.digests if each in conflicts)
            return Journalled(fresh=0, known=0, conflicts=ordered)
        new = {event_id for event_id, _, mine in matched if mine}
        if new:
            lines = [
                line
                for event_id, line in zip(batch.digests, batch.lines, strict=True)
                if event_id in new
            ]
            self._base.execute(
                "UPDATE parts SET events = ?, lines = ? WHERE part = ?",
                (len(lines), _stamped(lines, entry.received_at), part),
            )
        else:
            self._base.execute("DELETE FROM parts WHERE part = ?", (part,))
        known = len(batch.digests) - len(new) + batch.copies
        return Journalled(fresh=len(new), known=known, conflicts=())

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._base.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._base.execute("COMMIT")
        except BaseException:
            if self._base.in_transaction:
                self._base.execute("ROLLBACK")
            raise


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold the right to append to the journal in *folder*, which one process has at a time.

    Raises:
        FlywheelError: another process has it.
    """
    _make_private(folder)
    descriptor = os.open(folder / ".writer", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise FlywheelError(
            f"another door writes the journal of zone {folder.parent.name}; stop it first, "
            "for a journal has one writer"
        ) from None
    finally:
        os.close(descriptor)


def _make_private(folder: Path) -> None:
    for each in (folder.parent, folder):  # parents=True would give the zone's root other rights
        each.mkdir(mode=0o700, parents=True, exist_ok=True)


def _stamped(lines: Sequence[bytes], received_at: str) -> bytes:
    """Write the time of receipt into every line, in place of its closing brace."""
    end = b',"received_at":"%s"}\n' % received_at.encode()
    return b"".join([line[:-1] + end for line in lines])
