"""Push: assignments that were planned arrive on the server once, whatever breaks in between."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from annotation.client import PAGE, LabelStudioClient
from data_contracts.errors import FlywheelError
from pipelines.labelling.budgets import allowance
from pipelines.labelling.deletions import give_way
from pipelines.labelling.ledger import ASSIGNMENTS, PROJECTS, open_ledger, projects_of
from pipelines.labelling.polling import numbered, task_counts
from pipelines.stores.atomic import locked
from pipelines.stores.catalogue_tables import transaction

CHUNK: Final = 1000  # tasks a request
_NAMED: Final = 5  # gone projects that a complaint lists


def push_assignments(
    root: Path,
    client: LabelStudioClient,
    *,
    advance: Callable[[int, int], None] | None = None,
    now: datetime | None = None,
) -> int:
    """Send what was planned and has not arrived; return how many tasks were sent.

    Who has a day's budget is sent no more than is left of it at *now* (None: the clock's); the
    rest goes with a later push.

    The server has no idempotent import. So before sending into a project its tasks are counted:
    if there are more than we know of, a push died between sending and recording, and the tasks
    are found again by the assignment that each carries.

    Raises:
        FlywheelError: the server is away or refuses; running again goes on where it stopped. Or
            a labelling project is gone there; all others were sent their tasks then.
    """
    ledger = open_ledger(root)
    tell = advance or (lambda _done, _total: None)
    with locked(root / "labelling" / ".push", exclusive=True):
        waiting = _affordable(ledger, now=now or datetime.now(UTC))
        total = sum(len(each) for each in waiting.values())
        sent = 0
        tell(0, total)
        there = task_counts(client, [project for project, planned in waiting.items() if planned])
        for project, planned in waiting.items():
            if project not in there:
                continue
            if there[project] != known_tasks(ledger, project):
                found = recognise(ledger, client, project)
                with transaction(ledger) as connection:
                    record_found(connection, project, found)
                still = {each.assignment_id for each in waiting_of(ledger, project)}
                # What arrived is off the list.
                planned = [each for each in planned if each.assignment_id in still]  # noqa: PLW2901
            for start in range(0, len(planned), CHUNK):
                chunk = planned[start : start + CHUNK]
                answer = client.request(
                    "POST",
                    f"api/projects/{project}/import",
                    params={"return_task_ids": "true"},
                    json=[{"data": each.data} for each in chunk],
                )
                record_arrivals(ledger, [each.assignment_id for each in chunk], answer)
                sent += len(chunk)
                tell(sent, total)
    lost = {project for project, planned in waiting.items() if planned} - set(there)
    check_none_gone([row for row in projects_of(ledger) if row.project_id in lost])
    return sent


def _affordable(ledger: sa.Engine, *, now: datetime) -> dict[int, Sequence[sa.Row[Any, Any]]]:
    """Return by project what waits to be sent and lies within everybody's day."""
    left = dict(allowance(ledger, now=now))
    projects = projects_of(ledger)
    waiting = {row.project_id: waiting_of(ledger, row.project_id) for row in projects}
    for who, room in left.items():
        own = [row.project_id for row in projects if row.annotator_id == who]
        # By identity, which is a hash: a day's work is drawn evenly from all interfaces.
        order = sorted(each.assignment_id for project in own for each in waiting[project])
        kept = set(order[:room])
        for project in own:
            waiting[project] = [row for row in waiting[project] if row.assignment_id in kept]
    return waiting


def check_none_gone(gone: Sequence[sa.Row[Any]]) -> None:
    """Say what to do about labelling projects, rows of `projects_of`, that the server has no more.

    Raises:
        FlywheelError: there are any.
    """
    if gone:
        named = ", ".join(f"{row.interface} of {row.annotator_id}" for row in gone[:_NAMED])
        raise FlywheelError(
            f"labelling projects are gone on the server: {named}; `flywheel annotate doctor` "
            "names the command that makes them again"
        )


def known_tasks(ledger: sa.Engine, project: int) -> int:
    """Return how many tasks of *project* we know to be on the server, strangers included."""
    ours = sa.select(sa.func.count()).where(
        ASSIGNMENTS.c.project_id == project,
        ASSIGNMENTS.c.server_task > 0,
        ~ASSIGNMENTS.c.deleted,
    )
    others = sa.select(PROJECTS.c.strangers).where(PROJECTS.c.project_id == project)
    with transaction(ledger, writes=False) as connection:
        return int(connection.execute(ours).scalar_one()) + int(
            connection.execute(others).scalar_one()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the server holds of one labelling project."""

    tasks: frozenset[int]
    arrived: Mapping[str, int]  # assignment -> its task, of which we did not know
    strangers: int  # tasks that are not ours


def recognise(ledger: sa.Engine, client: LabelStudioClient, project: int) -> Found:
    """Learn which tasks of *project* really exist; nothing is recorded yet.

    A second task of one assignment is removed from the server: it was sent by a push that died.
    """
    there: dict[int, str] = {}
    asked = {"fields": "task_only", "include": "id,data"}
    for tasks in numbered(client, project, [], asked, size=PAGE):
        there |= {int(t["id"]): str((t.get("data") or {}).get("assignment")) for t in tasks}
    with transaction(ledger, writes=False) as connection:
        rows = connection.execute(
            sa.select(ASSIGNMENTS.c.assignment_id, ASSIGNMENTS.c.server_task).where(
                ASSIGNMENTS.c.project_id == project
            )
        ).all()
    ours = {row.assignment_id: row for row in rows}
    placed = {row.server_task for row in rows if row.server_task is not None}
    arrived: dict[str, int] = {}
    spare, strangers = [], 0
    for task, assignment in sorted(there.items()):
        row = ours.get(assignment)
        if task in placed and (row is None or row.server_task == task):
            continue
        if row is None:
            strangers += 1
        elif row.server_task is None and assignment not in arrived:
            arrived[assignment] = task
        else:
            spare.append(task)
    for task in spare:
        client.request("DELETE", f"api/tasks/{task}/")
    return Found(tasks=frozenset(there) - frozenset(spare), arrived=arrived, strangers=strangers)


def record_found(connection: sa.Connection, project: int, found: Found) -> None:
    """Record what of *project* arrived and how much is strange; the sync follows deletions."""
    give_way(connection, list(found.arrived.values()))
    for assignment, task in found.arrived.items():
        connection.execute(_arrival(assignment, task))
    connection.execute(
        sa.update(PROJECTS)
        .where(PROJECTS.c.project_id == project)
        .values(strangers=found.strangers)
    )


def _arrival(assignment: str, task: int) -> sa.Update:
    return (
        sa.update(ASSIGNMENTS)
        .where(ASSIGNMENTS.c.assignment_id == assignment, ASSIGNMENTS.c.server_task.is_(None))
        .values(server_task=task)
    )


def waiting_of(ledger: sa.Engine, project: int) -> Sequence[sa.Row[Any, Any]]:
    """Return assignment_id and data of what was planned for *project* and has not arrived."""
    query = (
        sa.select(ASSIGNMENTS.c.assignment_id, ASSIGNMENTS.c.data)
        .where(ASSIGNMENTS.c.project_id == project, ASSIGNMENTS.c.server_task.is_(None))
        .order_by(ASSIGNMENTS.c.assignment_id)
    )
    with transaction(ledger, writes=False) as connection:
        return connection.execute(query).all()


def record_arrivals(ledger: sa.Engine, chunk: Sequence[str], answer: Mapping[str, Any]) -> None:
    """Record that the assignments of *chunk* arrived, in order, as the server's *answer* says.

    Raises:
        FlywheelError: it took fewer or more.
    """
    tasks = [int(each) for each in answer.get("task_ids", [])]
    if len(tasks) != len(chunk):
        raise FlywheelError(
            f"Label Studio took {len(tasks)} of {len(chunk)} tasks; run again to send the rest"
        )
    update = (
        sa.update(ASSIGNMENTS)
        .where(ASSIGNMENTS.c.assignment_id == sa.bindparam("which"))
        .values(server_task=sa.bindparam("task"))
    )
    with transaction(ledger) as connection:
        give_way(connection, tasks)
        connection.execute(
            update, [{"which": w, "task": t} for w, t in zip(chunk, tasks, strict=True)]
        )
