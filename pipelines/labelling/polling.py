"""Polling: which tasks of a labelling project changed since they were read, and what they hold.

Reading a task whole costs the server more than its number and time of change, and us a judgement.
So what lies after the cursor is listed first, and only tasks that changed since they were last
read are read again. A task's time moves after each change of its answers is stored, so the same
time means the same answers. Most of a request's cost does not depend on what it returns: a list
is long, and one is enough unless thousands changed.

A change may be committed on the server a little after its own time stamp, so each look goes back
behind the last one. A glance goes back a second; once a minute, and whenever somebody wants to be
sure, a thorough look goes back twenty seconds behind the last thorough one and misses nothing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from annotation.client import PAGE, LabelStudioClient
from pipelines.labelling.ledger import LOOKS, PROJECTS, READS
from pipelines.stores.catalogue_tables import transaction

Task = Mapping[str, Any]
_GLANCE: Final = timedelta(seconds=1)
_OVERLAP: Final = timedelta(seconds=20)  # no change is committed later than that after its stamp
_THOROUGH_EVERY: Final = timedelta(minutes=1)
# Of a task and of its answers: all that is judged. The rest costs four times as much.
_FIELDS: Final = (
    "id,data,updated_at,annotations,result,completed_by,updated_by,was_cancelled,lead_time"
)
_BRIEF: Final = {"fields": "task_only", "include": "id,updated_at"}
LISTED: Final = 2000  # tasks that one list names; the server holds their answers meanwhile
_STAMP: Final = "%Y-%m-%dT%H:%M:%S.%fZ"
_PROJECTS: Final = 100  # a request; the server's own limit
_NAMED: Final = 200  # tasks that one address can name


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What changed in one project."""

    newest: str | None  # the latest change that the server held before it was read; None: none
    pages: Iterator[Sequence[Task]]  # read while they are taken
    looked_at: datetime | None  # when a thorough look began; None: this is a glance


def task_counts(client: LabelStudioClient, projects: Sequence[int]) -> dict[int, int]:
    """Return how many tasks the server has in each of *projects* that it knows."""
    found: dict[int, int] = {}
    for start in range(0, len(projects), _PROJECTS):
        named = ",".join(map(str, projects[start : start + _PROJECTS]))
        page = client.request(
            "GET", "api/projects/",
            params={"ids": named, "include": "id,task_number", "page_size": _PROJECTS},
        )  # fmt: skip
        found |= {int(each["id"]): int(each["task_number"]) for each in page["results"]}
    return found


def changes_of(
    ledger: sa.Engine,
    client: LabelStudioClient,
    project: sa.Row[Any],
    *,
    thorough: bool,
    now: datetime,
) -> Changes:
    """Find what changed in *project* since its cursor; everything, if it was never read.

    Each page asks for numbers above the last one: whatever moves or vanishes on the server
    meanwhile, no task slips between two pages.

    Args:
        ledger: the zone's.
        client: of the server.
        project: a row of `projects_of`.
        thorough: look for what was committed late, though the last thorough look is fresh.
        now: UTC.
    """
    number = int(project.project_id)
    if project.read_to is None:
        newest = _newest(client, number)
        whole = {"fields": "all", "include": _FIELDS}
        pages = numbered(client, number, [], whole, size=PAGE)
        return Changes(newest=newest, pages=pages, looked_at=now)
    last = _last_look(ledger, number)
    if last is None or thorough or not timedelta(0) <= now - last.looked_at < _THOROUGH_EVERY:
        read_to = project.read_to if last is None or last.read_to is None else last.read_to
        since, looked_at = _moment(read_to).astimezone(UTC) - _OVERLAP, now
    else:
        since, looked_at = _moment(project.read_to).astimezone(UTC) - _GLANCE, None
    after = [_rule("updated_at", "Datetime", since.strftime(_STAMP))]
    # The newest first: this request alone says what is newest, for one request sees one moment.
    listed = _page(client, number, after, _BRIEF, order="-tasks:updated_at", size=LISTED)
    newest = max((each["updated_at"] for each in listed), key=_moment, default=project.read_to)
    if len(listed) == LISTED:
        # What moves from here on moves past *newest*, so the next look finds it.
        oldest = _moment(listed[-1]["updated_at"]).astimezone(UTC)
        rest = [*after, _rule("updated_at", "Datetime", oldest.strftime(_STAMP), "less_or_equal")]
        for page in numbered(client, number, rest, _BRIEF, size=LISTED):
            listed = [*listed, *page]
    changed = _unread(ledger, number, listed)
    return Changes(newest=newest, pages=_named(client, number, changed), looked_at=looked_at)


def move_cursor(ledger: sa.Engine, project: int, changes: Changes) -> None:
    """Record how far *project* was read, once all pages of *changes* are stored."""
    of_project = PROJECTS.c.project_id == project
    with transaction(ledger) as connection:
        connection.execute(sa.update(PROJECTS).where(of_project).values(read_to=changes.newest))
        if changes.looked_at is not None:
            connection.execute(sa.delete(LOOKS).where(LOOKS.c.project_id == project))
            connection.execute(
                sa.insert(LOOKS).values(
                    project_id=project,
                    read_to=changes.newest,
                    looked_at=changes.looked_at.isoformat(),
                )
            )


def record_reads(connection: sa.Connection, project: int, tasks: Sequence[Task]) -> None:
    """Record as of when *tasks* were read, in the transaction that stores what they hold."""
    rows = [
        {"server_task": int(task["id"]), "project_id": project, "updated_at": task["updated_at"]}
        for task in tasks
    ]
    if rows:
        numbers = [row["server_task"] for row in rows]
        connection.execute(sa.delete(READS).where(READS.c.server_task.in_(numbers)))
        connection.execute(sa.insert(READS), rows)


def read_anew(connection: sa.Connection, project: int, tasks: Sequence[int]) -> None:
    """Let the next look read *project* from the beginning, and *tasks* whatever was read of them.

    Their times did not move while they were not listed, so no list of changes would name them.
    """
    connection.execute(
        sa.delete(READS).where(READS.c.server_task == sa.bindparam("task")),
        [{"task": task} for task in tasks],
    )
    connection.execute(
        sa.update(PROJECTS).where(PROJECTS.c.project_id == project).values(read_to=None)
    )


def numbered(
    client: LabelStudioClient,
    project: int,
    rules: Sequence[Mapping[str, Any]],
    asked: Mapping[str, str],
    *,
    size: int,
) -> Iterator[Sequence[Task]]:
    """Yield the tasks of *project* that *rules* let through, page by page, by their numbers.

    Each page asks for numbers above the last one, so that a task that vanishes between two pages
    hides no other.

    Args:
        client: of the server.
        project: its number there.
        rules: the server's filters; none let everything through.
        asked: which fields.
        size: tasks a page.
    """
    last = 0
    while True:
        above = [_rule("id", "Number", last), *rules]
        tasks = _page(client, project, above, asked, order="tasks:id", size=size)
        if tasks:
            yield tasks
        if len(tasks) < size:
            return
        last = int(tasks[-1]["id"])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    read_to: str | None
    looked_at: datetime


def _last_look(ledger: sa.Engine, project: int) -> _Look | None:
    with transaction(ledger, writes=False) as connection:
        row = connection.execute(
            sa.select(LOOKS).where(LOOKS.c.project_id == project)
        ).one_or_none()
    if row is None:
        return None
    return _Look(read_to=row.read_to, looked_at=_moment(row.looked_at))


def _unread(ledger: sa.Engine, project: int, listed: Sequence[Task]) -> list[int]:
    """Return the numbers of listed tasks that were not read as of their last change."""
    query = sa.select(READS.c.server_task, READS.c.updated_at).where(READS.c.project_id == project)
    with transaction(ledger, writes=False) as connection:
        known = {row.server_task: row.updated_at for row in connection.execute(query)}
    # Twice listed is read once.
    there = {int(each["id"]): each["updated_at"] for each in listed}
    return [number for number, moment in there.items() if known.get(number) != moment]


def _newest(client: LabelStudioClient, project: int) -> str | None:
    """Return the latest change in *project*, before it is read: what happens meanwhile is later."""
    tasks = _page(client, project, [], _BRIEF, order="-tasks:updated_at", size=1)
    return str(tasks[0]["updated_at"]) if tasks else None


def _page(
    client: LabelStudioClient,
    project: int,
    rules: Sequence[Mapping[str, Any]],
    asked: Mapping[str, str],
    *,
    order: str,
    size: int,
) -> Sequence[Task]:
    query = {"ordering": [order], "filters": {"conjunction": "and", "items": list(rules)}}
    page = client.request(
        "GET",
        "api/tasks/",
        params={**asked, "project": project, "page": 1, "page_size": size,
                "query": json.dumps(query)},
    )  # fmt: skip
    found: Sequence[Task] = page["tasks"]
    return found


def _named(
    client: LabelStudioClient, project: int, numbers: Sequence[int]
) -> Iterator[Sequence[Task]]:
    """Yield the tasks of these numbers that still exist."""
    size = min(PAGE, _NAMED)
    for start in range(0, len(numbers), size):
        query = {
            "ordering": ["tasks:id"],
            "selectedItems": {"all": False, "included": numbers[start : start + size]},
        }
        page = client.request(
            "GET",
            "api/tasks/",
            params={"project": project, "fields": "all", "include": _FIELDS, "page": 1,
                    "page_size": size, "query": json.dumps(query)},
        )  # fmt: skip
        yield page["tasks"]


def _rule(column: str, kind: str, bound: int | str, operator: str = "greater") -> dict[str, Any]:
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": kind,
            "value": bound}  # fmt: skip


def _moment(written: str) -> datetime:
    return datetime.fromisoformat(written)
