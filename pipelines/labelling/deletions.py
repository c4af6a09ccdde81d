"""Deletions: what is gone on the server, what is back, and what is kept of it.

The server gives the number of a task that was deleted to the next one that is imported. So a task
that is known to be gone keeps a number below 0, where no other can meet it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from pipelines.labelling.edits import record_edits
from pipelines.labelling.ledger import ANSWERS, ASSIGNMENTS, LOOKS, PROJECTS, READS
from pipelines.labelling.polling import read_anew
from pipelines.stores.catalogue_tables import transaction

DELETED: Final = "deleted"  # state of an answer that is gone


def follow_deletions(connection: sa.Connection, project: int, there: frozenset[int]) -> int:
    """Record which tasks of *project* are gone and which are back; return how many answers went.

    What is gone takes its answers along, in the transaction that says so. What is back, since it
    was only not listed for a while, is as if it had never been read.
    """
    of_project = ASSIGNMENTS.c.project_id == project
    rows = connection.execute(
        sa.select(ASSIGNMENTS.c.server_task, ASSIGNMENTS.c.deleted).where(
            of_project, ASSIGNMENTS.c.server_task > 0
        )
    ).all()
    gone = [row.server_task for row in rows if not row.deleted and row.server_task not in there]
    back = [row.server_task for row in rows if row.deleted and row.server_task in there]
    _mark(connection, gone, deleted=True)
    _mark(connection, back, deleted=False)
    if back:
        read_anew(connection, project, back)
    return _bury(connection, sa.and_(of_project, ASSIGNMENTS.c.deleted))


def give_way(connection: sa.Connection, tasks: Sequence[int]) -> None:
    """Let *tasks* arrive under numbers that others had, whose own tasks must be gone then."""
    held = ASSIGNMENTS.c.server_task.in_(list(tasks))
    holders = list(connection.execute(sa.select(ASSIGNMENTS.c.server_task).where(held)).scalars())
    if holders:
        _mark(connection, holders, deleted=True)
        _bury(connection, held)
        _put_aside(connection, holders)


def replace_projects(ledger: sa.Engine, projects: Iterable[Mapping[str, Any]]) -> None:
    """Let each of *projects* stand in place of one that the server has no more.

    What was read there stays, and what was given and not answered is sent again. The caller lets
    nobody push or sync meanwhile.

    Args:
        ledger: the zone's.
        projects: project_id, annotator_id, interface of what stands on the server.
    """
    with transaction(ledger) as connection:
        recorded = {
            (row.annotator_id, row.interface): row.project_id
            for row in connection.execute(sa.select(PROJECTS))
        }
        for each in projects:
            old = recorded.get((each["annotator_id"], each["interface"]))
            if old is not None and old != each["project_id"]:
                _replace(connection, old, each["project_id"])


def _replace(connection: sa.Connection, old: int, new: int) -> None:
    # The project's number changes while assignments name it.
    connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
    of_old = ASSIGNMENTS.c.project_id == old
    answered = sa.select(ANSWERS.c.server_task).where(
        ANSWERS.c.project_id == old, ANSWERS.c.state != DELETED
    )
    connection.execute(
        sa.update(ASSIGNMENTS)
        .where(of_old, ~ASSIGNMENTS.c.deleted, ASSIGNMENTS.c.server_task.not_in(answered))
        .values(server_task=None)
    )
    kept = sa.select(ASSIGNMENTS.c.server_task).where(of_old, ASSIGNMENTS.c.server_task > 0)
    _put_aside(connection, list(connection.execute(kept).scalars()))
    for table in (READS, LOOKS):
        connection.execute(sa.delete(table).where(table.c.project_id == old))
    for table in (ASSIGNMENTS, ANSWERS):
        connection.execute(sa.update(table).where(table.c.project_id == old).values(project_id=new))
    connection.execute(
        sa.update(PROJECTS)
        .where(PROJECTS.c.project_id == old)
        .values(project_id=new, read_to=None, strangers=0)
    )


def tombstone(connection: sa.Connection, numbers: Sequence[int]) -> None:
    """Let these answers count no more; their numbers alone stay."""
    connection.execute(
        sa.update(ANSWERS)
        .where(ANSWERS.c.server_annotation.in_(list(numbers)))
        .values(state=DELETED, reason=None, rows=[])
    )
    record_edits(connection, numbers, [])


def _bury(connection: sa.Connection, which: sa.ColumnElement[bool]) -> int:
    """Tombstone the answers to the assignments *which*; return how many."""
    lost = sa.select(ANSWERS.c.server_annotation).where(
        ANSWERS.c.server_task.in_(sa.select(ASSIGNMENTS.c.server_task).where(which)),
        ANSWERS.c.state != DELETED,
    )
    numbers = list(connection.execute(lost).scalars())
    tombstone(connection, numbers)
    return len(numbers)


def _mark(connection: sa.Connection, tasks: Sequence[int], *, deleted: bool) -> None:
    if tasks:
        connection.execute(
            sa.update(ASSIGNMENTS)
            .where(ASSIGNMENTS.c.server_task == sa.bindparam("task"))
            .values(deleted=deleted),
            [{"task": task} for task in tasks],
        )


def _put_aside(connection: sa.Connection, tasks: Sequence[int]) -> None:
    """Give *tasks* and what was read of them numbers below 0."""
    if not tasks:
        return
    lowest = connection.execute(sa.select(sa.func.min(ASSIGNMENTS.c.server_task))).scalar() or 0
    moves = [
        {"old": task, "aside": min(lowest, 0) - place} for place, task in enumerate(tasks, start=1)
    ]
    for table in (ASSIGNMENTS, ANSWERS, READS):
        connection.execute(
            sa.update(table)
            .where(table.c.server_task == sa.bindparam("old"))
            .values(server_task=sa.bindparam("aside")),
            moves,
        )
