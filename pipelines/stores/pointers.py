"""Pointers: names that move by compare-and-swap, with every move kept; releases build on them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from data_contracts.errors import FlywheelError
from data_contracts.ids import CheckpointId
from pipelines.stores.catalogue_tables import MOVES, OBJECTS, POINTERS, stamp, transaction

RELEASE: Final = "release/"
_SET, _PROMOTE, _ROLLBACK = "set", "promote", "rollback"


class PointerMoved(FlywheelError):
    """Somebody else moved the pointer first."""


class RolledBack(FlywheelError):
    """A checkpoint was rolled back since it was promoted last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointerMove:
    """One move of a pointer."""

    name: str
    sequence: int  # from 0
    action: str  # set, promote, rollback
    previous: str | None  # None for the first move
    value: str
    reason: str
    by: str
    at: str  # ISO 8601, UTC


class Pointers:
    """The part of the catalogue that says which object a name means now."""

    _engine: sa.Engine

    def pointer(self, name: str) -> str | None:
        """Return what *name* points to; None if it was never set."""
        with transaction(self._engine, writes=False) as connection:
            return _value(connection, name)

    def pointers(self, prefix: str = "") -> dict[str, str]:
        """Return all pointers whose name starts with *prefix*, sorted by name."""
        query = sa.select(POINTERS.c.name, POINTERS.c.value).order_by(POINTERS.c.name)
        with transaction(self._engine, writes=False) as connection:
            rows = connection.execute(query).all()
        return {name: value for name, value in rows if name.startswith(prefix)}

    def swap_pointer(
        self, name: str, *, expected: str | None, new: str, reason: str, by: str, at: datetime
    ) -> PointerMove:
        """Let *name* point to *new* if it still points to *expected* (None: not set yet).

        Raises:
            PointerMoved: it points elsewhere by now.
        """
        if name.startswith(RELEASE):
            raise FlywheelError("a release moves by promote or rollback only")
        with transaction(self._engine) as connection:
            return _move(connection, _SET, name, expected, new, reason, by, stamp(at))

    def pointer_history(self, name: str) -> list[PointerMove]:
        """Return every move of *name*, oldest first."""
        with transaction(self._engine, writes=False) as connection:
            return _history(connection, name)

    def release(self, name: str) -> CheckpointId | None:
        """Return the checkpoint released as *name*; None before the first promotion."""
        found = self.pointer(RELEASE + name)
        return None if found is None else CheckpointId(found)

    def release_history(self, name: str) -> list[PointerMove]:
        """Return every promotion and rollback of *name*, oldest first."""
        return self.pointer_history(RELEASE + name)

    def promote(
        self,
        name: str,
        checkpoint: CheckpointId,
        *,
        reason: str,
        by: str,
        at: datetime,
        expected: str | None = None,
    ) -> CheckpointId:
        """Release *checkpoint* as *name*; promoting the released one again changes nothing.

        Args:
            name: of the release.
            checkpoint: what is released.
            reason: kept in the history, as *by* and *at* are.
            by: who.
            at: now.
            expected: the only release that may be replaced, and then no rollback is undone; None:
                a person promotes, whatever stands and stood.

        Raises:
            FlywheelError: *checkpoint* is not registered in the catalogue as a checkpoint.
            PointerMoved: another than *expected* is released, or somebody else released at the
                same moment.
            RolledBack: *expected* is given and *checkpoint* was rolled back.
        """
        with transaction(self._engine) as connection:
            kind = connection.scalar(
                sa.select(OBJECTS.c.kind).where(OBJECTS.c.object_id == checkpoint)
            )
            if kind != "checkpoint":
                raise FlywheelError(
                    f"{checkpoint[:12]} is not registered as a checkpoint, so it cannot be "
                    "promoted; register it with its parents first"
                )
            pointer = RELEASE + name
            current = _value(connection, pointer)
            if current != checkpoint:
                if expected is not None:
                    _check_free(connection, pointer, checkpoint, expected)
                _move(connection, _PROMOTE, pointer, current, checkpoint, reason, by, stamp(at))
        return checkpoint

    def rollback(self, name: str, *, reason: str, by: str, at: datetime) -> CheckpointId:
        """Return to the release before the current one; repeated, it walks further back.

        Raises:
            FlywheelError: there is no earlier release.
            PointerMoved: somebody else released at the same moment.
        """
        pointer = RELEASE + name
        with transaction(self._engine) as connection:
            standing = _standing(_history(connection, pointer))
            if len(standing) < 2:
                raise FlywheelError(
                    f"release {name} cannot be rolled back: "
                    + ("it has no earlier release" if standing else "it was never promoted")
                )
            current, before = standing[-1], standing[-2]
            _move(connection, _ROLLBACK, pointer, current, before, reason, by, stamp(at))
        return CheckpointId(before)


def move_to(
    connection: sa.Connection, name: str, new: str, *, reason: str, by: str, at: datetime
) -> None:
    """Let *name* point to *new*, inside a transaction; nothing happens if it does already."""
    current = _value(connection, name)
    if current != new:
        _move(connection, _SET, name, current, new, reason, by, stamp(at))


def _check_free(
    connection: sa.Connection, pointer: str, checkpoint: CheckpointId, expected: str
) -> None:
    """Return if *expected* is released and *checkpoint* was not rolled back."""
    if _value(connection, pointer) != expected:
        raise _moved(connection, pointer, expected)
    rolled_back = False
    for move in _history(connection, pointer):
        if move.value == checkpoint:
            rolled_back = False
        elif move.action == _ROLLBACK and move.previous == checkpoint:
            rolled_back = True
    if rolled_back:
        raise RolledBack(
            f"{checkpoint[:12]} was rolled back since it was released; a person may release it "
            "again with `flywheel promote`"
        )


def _standing(history: list[PointerMove]) -> list[str]:
    """Return the releases that were not rolled back, oldest first; the last is current."""
    standing: list[str] = []
    for move in history:
        if move.action == _ROLLBACK:
            standing.pop()
        else:
            standing.append(move.value)
    return standing


def _value(connection: sa.Connection, name: str) -> str | None:
    found: str | None = connection.scalar(
        sa.select(POINTERS.c.value).where(POINTERS.c.name == name)
    )
    return found


def _history(connection: sa.Connection, name: str) -> list[PointerMove]:
    rows = connection.execute(
        sa.select(MOVES).where(MOVES.c.name == name).order_by(MOVES.c.sequence)
    )
    return [
        PointerMove(
            name=row.name,
            sequence=row.sequence,
            action=row.action,
            previous=row.previous,
            value=row.value,
            reason=row.reason,
            by=row.moved_by,
            at=row.moved_at,
        )
        for row in rows
    ]


def _move(
    connection: sa.Connection,
    action: str,
    name: str,
    expected: str | None,
    new: str,
    reason: str,
    by: str,
    at: str,
) -> PointerMove:
    if expected is None:
        sequence = 0
        try:
            with connection.begin_nested():
                connection.execute(sa.insert(POINTERS).values(name=name, value=new, sequence=0))
        except IntegrityError as error:
            raise _moved(connection, name, expected) from error
    else:
        swapped = connection.execute(
            sa.update(POINTERS)
            .where(POINTERS.c.name == name, POINTERS.c.value == expected)
            .values(value=new, sequence=POINTERS.c.sequence + 1)
        )
        if swapped.rowcount != 1:
            raise _moved(connection, name, expected)
        sequence = connection.execute(
            sa.select(POINTERS.c.sequence).where(POINTERS.c.name == name)
        ).scalar_one()
    connection.execute(
        sa.insert(MOVES).values(
            name=name,
            sequence=sequence,
            action=action,
            previous=expected,
            value=new,
            reason=reason,
            moved_by=by,
            moved_at=at,
        )
    )
    return PointerMove(
        name=name,
        sequence=sequence,
        action=action,
        previous=expected,
        value=new,
        reason=reason,
        by=by,
        at=at,
    )


def _moved(connection: sa.Connection, name: str, expected: str | None) -> PointerMoved:
    found = _value(connection, name)
    return PointerMoved(
        f"pointer {name} was expected at {(expected or 'nothing')[:12]} but is at "
        f"{(found or 'nothing')[:12]}: somebody moved it first; read it again and retry"
    )
