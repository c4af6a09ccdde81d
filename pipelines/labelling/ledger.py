"""The ledger: who was given what, what came back, and how far the server was read.

Label Studio lets any import set `completed_by`, so it is no evidence of who answered. This record
is made on our side, before a task is sent, and every answer is held to it.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from data_contracts.errors import FlywheelError
from pipelines.stores.catalogue_tables import prepared_engine, transaction

METADATA: Final = sa.MetaData()

SERVERS: Final = sa.Table("servers", METADATA, sa.Column("url", sa.String, primary_key=True))
ANNOTATORS: Final = sa.Table(
    "annotators",
    METADATA,
    sa.Column("annotator_id", sa.String, primary_key=True),
    sa.Column("user_id", sa.Integer, nullable=False, unique=True),
    sa.Column("address", sa.String, nullable=False),
)
PROJECTS: Final = sa.Table(
    "projects",
    METADATA,
    sa.Column("project_id", sa.Integer, primary_key=True),
    sa.Column("annotator_id", sa.String, sa.ForeignKey("annotators.annotator_id"), nullable=False),
    sa.Column("interface", sa.String, nullable=False),
    sa.Column("read_to", sa.String),  # the highest updated_at that was read; null: never
    sa.Column("strangers", sa.Integer, nullable=False, default=0),  # tasks that are not ours
    sa.UniqueConstraint("annotator_id", "interface"),
)
ASSIGNMENTS: Final = sa.Table(
    "assignments",
    METADATA,
    sa.Column("assignment_id", sa.String, primary_key=True),  # says nothing, and is in the task
    sa.Column("task_id", sa.String, nullable=False, index=True),
    sa.Column("turn", sa.String, nullable=False, index=True),
    sa.Column("project_id", sa.Integer, sa.ForeignKey("projects.project_id"), nullable=False),
    sa.Column("annotator_id", sa.String, nullable=False),
    sa.Column("left_id", sa.String, nullable=False),  # generation; perhaps the only one
    sa.Column("right_id", sa.String),  # null: a critique or an edit
    sa.Column("left_blob", sa.String),  # digest of its media; null: text
    sa.Column("right_blob", sa.String),
    sa.Column("is_gold", sa.Boolean, nullable=False, default=False),
    sa.Column("data", sa.JSON, nullable=False),  # what the server is sent
    # Null: not known to have arrived. Below 0: gone, for the server gives its number to others.
    sa.Column("server_task", sa.Integer, unique=True),
    sa.Column("deleted", sa.Boolean, nullable=False, default=False),  # removed on the server
    sa.Index("assignments_by_project", "project_id", "server_task"),
)
ANSWERS: Final = sa.Table(
    "answers",
    METADATA,
    sa.Column("server_annotation", sa.Integer, primary_key=True),
    sa.Column("project_id", sa.Integer, nullable=False, index=True),
    sa.Column("server_task", sa.Integer, nullable=False, index=True),
    sa.Column("updated_at", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False),  # accepted, quarantined or deleted
    sa.Column("reason", sa.String),  # why it was quarantined
    sa.Column("rows", sa.JSON, nullable=False),  # of the annotation contract; a tombstone has none
)
ORIGINALS: Final = sa.Table(
    "originals",
    METADATA,
    sa.Column("generation_id", sa.String, primary_key=True),  # that an edit was asked of
    sa.Column("tenant_id", sa.String, nullable=False),
    sa.Column("project_id", sa.String, nullable=False),
    sa.Column("prompt_id", sa.String, nullable=False),
)
EDITS: Final = sa.Table(
    "edits",
    METADATA,
    sa.Column("server_annotation", sa.Integer, primary_key=True),  # of an accepted answer
    sa.Column("generation_id", sa.String, nullable=False, index=True),  # the edited version
    sa.Column("parent_generation_id", sa.String, nullable=False),  # what was edited
    sa.Column("blob", sa.String, nullable=False),  # digest of the edited text
    sa.Column("updated_at", sa.String, nullable=False),
)
LOOSE: Final = sa.Table(
    "loose_texts",  # texts in the blobs that perhaps no edit names (any more)
    METADATA,
    sa.Column("blob", sa.String, primary_key=True),
)
LOOKS: Final = sa.Table(
    "looks",
    METADATA,
    sa.Column("project_id", sa.Integer, primary_key=True),
    sa.Column("read_to", sa.String),  # the highest updated_at at the last thorough look
    sa.Column("looked_at", sa.String, nullable=False),  # when that began, by our clock
)
READS: Final = sa.Table(
    "reads",
    METADATA,
    sa.Column("server_task", sa.Integer, primary_key=True),
    sa.Column("project_id", sa.Integer, nullable=False, index=True),
    sa.Column("updated_at", sa.String, nullable=False),  # of the task, when it was last judged
)
GOLD: Final = sa.Table(
    "gold",
    METADATA,
    sa.Column("task_id", sa.String, primary_key=True),
    sa.Column("interface", sa.String, nullable=False),
    sa.Column("question", sa.JSON, nullable=False),  # as it is shown
    sa.Column("answers", sa.JSON, nullable=False),  # rows of annotation.gold.GOLD
    sa.Column("source", sa.String, nullable=False),  # file, lead or settled
)
BUDGETS: Final = sa.Table(
    "budgets",
    METADATA,
    sa.Column("annotator_id", sa.String, primary_key=True),
    sa.Column("per_day", sa.Integer, nullable=False),  # answers asked of them on one day, UTC
)


def open_ledger(root: Path) -> sa.Engine:
    """Open the ledger of the zone under *root*, made where it is absent.

    Raises:
        FlywheelError: its database cannot be opened.
    """
    folder = root / "labelling"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return prepared_engine(f"sqlite:///{folder / 'ledger.sqlite'}", METADATA)


def record_server(ledger: sa.Engine, url: str) -> None:
    """Bind the ledger to one server: its numbers mean nothing on another.

    Raises:
        FlywheelError: it is bound to another already.
    """
    with transaction(ledger) as connection:
        known = connection.execute(sa.select(SERVERS.c.url)).scalars().all()
        if known and url not in known:
            raise FlywheelError(
                f"this zone's annotators are on {known[0]}; use another --root for {url}"
            )
        if not known:
            connection.execute(sa.insert(SERVERS).values(url=url))


def server_of(ledger: sa.Engine) -> str | None:
    """Return the address of the ledger's server; None before anybody was provisioned."""
    with transaction(ledger, writes=False) as connection:
        return connection.execute(sa.select(SERVERS.c.url)).scalar()


def record_people(
    ledger: sa.Engine,
    annotators: Iterable[Mapping[str, Any]],
    projects: Iterable[Mapping[str, Any]],
) -> None:
    """Record accounts and labelling projects; recording again changes nothing.

    Args:
        annotators: annotator_id, user_id, address.
        projects: project_id, annotator_id, interface.

    Raises:
        FlywheelError: an annotator has another account now, so old answers would be theirs.
    """
    with transaction(ledger) as connection:
        known = {r.annotator_id: r.user_id for r in connection.execute(sa.select(ANNOTATORS))}
        placed = {r.project_id for r in connection.execute(sa.select(PROJECTS.c.project_id))}
        for person in annotators:
            before = known.get(person["annotator_id"])
            if before is None:
                connection.execute(sa.insert(ANNOTATORS).values(**person))
            elif before != person["user_id"]:
                raise FlywheelError(
                    f"annotator {person['annotator_id']} has another account on the server now; "
                    "give the new person a new name"
                )
        for project in projects:
            if project["project_id"] not in placed:
                connection.execute(sa.insert(PROJECTS).values(**project, strangers=0))


def projects_of(ledger: sa.Engine) -> Sequence[sa.Row[Any]]:
    """Return project_id, annotator_id, user_id, interface, read_to, strangers, by project."""
    query = (
        sa.select(PROJECTS, ANNOTATORS.c.user_id)
        .join(ANNOTATORS, ANNOTATORS.c.annotator_id == PROJECTS.c.annotator_id)
        .order_by(PROJECTS.c.project_id)
    )
    with transaction(ledger, writes=False) as connection:
        return connection.execute(query).all()


def standing_of(ledger: sa.Engine, turn: str | None = None) -> list[dict[str, Any]]:
    """Return annotator_id, given, answered and quarantined of everybody, of *turn* or of all."""
    given = sa.select(ASSIGNMENTS.c.annotator_id, ASSIGNMENTS.c.server_task).where(
        ~ASSIGNMENTS.c.deleted
    )
    if turn is not None:
        given = given.where(ASSIGNMENTS.c.turn == turn)
    with transaction(ledger, writes=False) as connection:
        tasks = connection.execute(given).all()
        states = connection.execute(
            sa.select(ANSWERS.c.server_task, ANSWERS.c.state).where(ANSWERS.c.state != "deleted")
        ).all()
    answered = {row.server_task for row in states if row.state == "accepted"}
    broken = {row.server_task for row in states if row.state == "quarantined"}
    return [
        {
            "annotator_id": who,
            "given": len(own),
            "answered": sum(task in answered for task in own),
            "quarantined": sum(task in broken for task in own),
        }
        for who in sorted({row.annotator_id for row in tasks})
        for own in [[row.server_task for row in tasks if row.annotator_id == who]]
    ]


def given_questions(ledger: sa.Engine, turn: str) -> set[str]:
    """Return the questions of *turn* that anybody was given."""
    query = sa.select(ASSIGNMENTS.c.task_id).where(ASSIGNMENTS.c.turn == turn).distinct()
    with transaction(ledger, writes=False) as connection:
        return set(connection.execute(query).scalars())


def open_assignments(ledger: sa.Engine, turn: str) -> int:
    """Return how many assignments of *turn* stand on the server without an answer."""
    query = sa.select(sa.func.count()).where(
        ASSIGNMENTS.c.turn == turn,
        ~ASSIGNMENTS.c.deleted,
        sa.or_(
            ASSIGNMENTS.c.server_task.is_(None),
            ASSIGNMENTS.c.server_task.not_in(
                sa.select(ANSWERS.c.server_task).where(ANSWERS.c.state != "deleted")
            ),
        ),
    )
    with transaction(ledger, writes=False) as connection:
        return int(connection.execute(query).scalar_one())
