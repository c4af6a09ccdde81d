"""Sync: answers come back exactly once. Polling decides; a webhook may only wake it.

The table is a function of what the server holds and of what was assigned: every task that changed
is judged anew as a whole, and its rows replace what stood there in one transaction; the cursor
moves last, to where the server stood before it was read. So a sync that dies, runs twice or
beside another leaves what a fresh full one would.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import sqlalchemy as sa

from annotation.client import LabelStudioClient
from annotation.interfaces import Interface, interface_named
from annotation.results import Assignment, EditedVersion, ResultRefused, rows_of_answer
from data_contracts.contract import load_contract
from data_contracts.schemas import ANNOTATION
from pipelines.labelling.deletions import DELETED, follow_deletions, tombstone
from pipelines.labelling.edits import edited_in, record_edits, store_texts, tenants_of
from pipelines.labelling.ledger import ANSWERS, ASSIGNMENTS, open_ledger, projects_of
from pipelines.labelling.loose_texts import drop_loose
from pipelines.labelling.polling import (
    changes_of,
    move_cursor,
    record_reads,
    task_counts,
)
from pipelines.labelling.push import check_none_gone, known_tasks, recognise, record_found
from pipelines.stores.atomic import locked
from pipelines.stores.catalogue_tables import transaction
from pipelines.stores.enforcer import split_rows

ACCEPTED, QUARANTINED = "accepted", "quarantined"
_SECOND: Final = "a second answer to one task; the first one counts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What one sync found; the counts are of answers."""

    accepted: int = 0
    quarantined: int = 0
    deleted: int = 0
    unchanged: int = 0


def sync_answers(
    root: Path,
    client: LabelStudioClient,
    *,
    thorough: bool = False,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Synced:
    """Read every answer that changed since the last sync into the ledger.

    Args:
        root: of the zone.
        client: of its server.
        thorough: look for answers that were committed late even if that was done within a minute.
        clock: UTC.

    Raises:
        FlywheelError: the server is away or refuses; running again goes on where it stopped. Or
            a labelling project is gone there; all others were read then.
    """
    ledger = open_ledger(root)
    counts = {ACCEPTED: 0, QUARANTINED: 0, DELETED: 0, "unchanged": 0}
    with locked(root / "labelling" / ".sync", exclusive=True):
        projects = projects_of(ledger)
        there = task_counts(client, [project.project_id for project in projects])
        for number, count in there.items():
            if count != known_tasks(ledger, number):
                # A push may be recording what it sent; its tasks are no strangers.
                with locked(root / "labelling" / ".push", exclusive=True):
                    found = recognise(ledger, client, number)
                    with transaction(ledger) as connection:
                        record_found(connection, number, found)
                        counts[DELETED] += follow_deletions(connection, number, found.tasks)
        for project in projects_of(ledger):  # again: some are to be read from the beginning now
            if project.project_id not in there:
                continue
            interface = interface_named(project.interface)
            changes = changes_of(ledger, client, project, thorough=thorough, now=clock())
            for tasks in changes.pages:
                for state, count in _take(root, ledger, project, interface, tasks).items():
                    counts[state] += count
            move_cursor(ledger, project.project_id, changes)
        if thorough or counts[ACCEPTED] or counts[QUARANTINED] or counts[DELETED]:
            drop_loose(root, ledger)
    check_none_gone([project for project in projects if project.project_id not in there])
    return Synced(
        accepted=counts[ACCEPTED],
        quarantined=counts[QUARANTINED],
        deleted=counts[DELETED],
        unchanged=counts["unchanged"],
    )


def annotations_of(ledger: sa.Engine, turn: str | None = None) -> pa.Table:
    """Return the accepted rows of *turn* (None: of all) in one order: the annotation contract."""
    query = sa.select(ANSWERS.c.rows).where(ANSWERS.c.state == ACCEPTED)
    if turn is not None:
        of_turn = sa.select(ASSIGNMENTS.c.server_task).where(ASSIGNMENTS.c.turn == turn)
        query = query.where(ANSWERS.c.server_task.in_(of_turn))
    with transaction(ledger, writes=False) as connection:
        found = connection.execute(query).scalars().all()
    return table_of_rows([row for rows in found for row in rows]).sort_by("annotation_id")


def quarantined_of(ledger: sa.Engine) -> dict[str, int]:
    """Return how many answers are quarantined, by reason."""
    query = (
        sa.select(ANSWERS.c.reason, sa.func.count())
        .where(ANSWERS.c.state == QUARANTINED)
        .group_by(ANSWERS.c.reason)
        .order_by(ANSWERS.c.reason)
    )
    with transaction(ledger, writes=False) as connection:
        return {str(reason): int(count) for reason, count in connection.execute(query)}


def _take(
    root: Path,
    ledger: sa.Engine,
    project: sa.Row[Any],
    interface: Interface,
    tasks: Sequence[Mapping[str, Any]],
) -> dict[str, int]:
    """Judge the tasks of one page and store the outcome, in one transaction."""
    numbers = [int(task["id"]) for task in tasks]
    with transaction(ledger, writes=False) as connection:
        given = {
            row.server_task: row
            for row in connection.execute(
                sa.select(ASSIGNMENTS).where(ASSIGNMENTS.c.server_task.in_(numbers))
            )
        }
    tenants = (
        tenants_of(ledger, [row.left_id for row in given.values()])
        if interface.form == "edit"
        else {}
    )
    judged: list[dict[str, Any]] = []
    for task in tasks:
        row = given.get(int(task["id"]))
        if row is not None:
            judged += _judge(task, row, project, interface, tenants.get(row.left_id))
    _hold_to_contract(judged)
    store_texts(root, ledger, judged)
    with transaction(ledger) as connection:
        before = {
            row.server_annotation: (row.updated_at, row.state, row.reason)
            for row in connection.execute(
                sa.select(ANSWERS).where(ANSWERS.c.server_task.in_(numbers))
            )
        }
        fresh = [
            each
            for each in judged
            if before.get(each["server_annotation"])
            != (each["updated_at"], each["state"], each["reason"])
        ]
        there = {each["server_annotation"] for each in judged}
        gone = [n for n, (_, state, _) in before.items() if n not in there and state != DELETED]
        replaced = [each["server_annotation"] for each in fresh]
        connection.execute(sa.delete(ANSWERS).where(ANSWERS.c.server_annotation.in_(replaced)))
        if fresh:
            columns = [{k: v for k, v in each.items() if k != "edited"} for each in fresh]
            connection.execute(sa.insert(ANSWERS), columns)
        record_edits(connection, replaced, fresh)
        tombstone(connection, gone)
        # Strangers are read again: one may turn out to be ours.
        ours = [task for task in tasks if int(task["id"]) in given]
        record_reads(connection, project.project_id, ours)
    return {
        ACCEPTED: sum(each["state"] == ACCEPTED for each in fresh),
        QUARANTINED: sum(each["state"] == QUARANTINED for each in fresh),
        DELETED: len(gone),
        "unchanged": len(judged) - len(fresh),
    }


def _judge(
    task: Mapping[str, Any],
    row: sa.Row[Any],
    project: sa.Row[Any],
    interface: Interface,
    tenant: str | None,
) -> list[dict[str, Any]]:
    """Return what every answer of one task amounts to; of two good ones the first counts."""
    assignment = Assignment(
        task_id=row.task_id,
        annotator_id=row.annotator_id,
        user_id=project.user_id,
        left_id=row.left_id,
        right_id=row.right_id,
        is_gold=row.is_gold,
        data=row.data,
        tenant_id=tenant,
    )
    judged, answered = [], False
    for answer in sorted(task.get("annotations") or [], key=lambda each: int(each["id"])):
        rows: list[dict[str, Any]] = []
        reason: str | None = None
        edited: EditedVersion | None = None
        try:
            if task.get("data") != row.data:
                raise ResultRefused("the task was changed on the server after it was sent")
            rows = rows_of_answer(answer, assignment, interface)
            edited = edited_in(rows, answer, assignment)
            if answered:
                rows, reason = [], _SECOND
            answered = True
        except ResultRefused as refused:
            reason = str(refused)
        judged.append(
            {
                "server_annotation": int(answer["id"]),
                "project_id": project.project_id,
                "server_task": int(task["id"]),
                "updated_at": str(answer.get("updated_at")),
                "state": ACCEPTED if reason is None else QUARANTINED,
                "reason": reason,
                "rows": [{**each, "updated_at": each["updated_at"].isoformat()} for each in rows],
                "edited": edited,  # not of the table: its text becomes a blob
            }
        )
    return judged


def _hold_to_contract(judged: Sequence[dict[str, Any]]) -> None:
    """Quarantine answers of which a row breaks the annotation contract."""
    rows = table_of_rows([row for each in judged for row in each["rows"]])
    if not rows.num_rows:
        return
    _, refused = split_rows(rows, load_contract("annotation"), now=datetime.now(UTC))
    broken = set(refused["annotation_id"].to_pylist())
    for each in judged:
        if any(row["annotation_id"] in broken for row in each["rows"]):
            each.update(state=QUARANTINED, reason="a row breaks the annotation contract", rows=[])


def table_of_rows(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return rows as the ledger keeps them as a table of the annotation contract."""
    parsed = [{**row, "updated_at": datetime.fromisoformat(row["updated_at"])} for row in rows]
    nullable = pa.schema([field.with_nullable(True) for field in ANNOTATION])
    return pa.Table.from_pylist(parsed, schema=nullable)
