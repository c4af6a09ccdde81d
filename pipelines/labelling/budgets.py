"""Budgets: how much is asked of an annotator on one day; what is beyond it waits for the next."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from data_contracts.errors import FlywheelError
from pipelines.labelling.ledger import ANNOTATORS, ANSWERS, ASSIGNMENTS, BUDGETS, PROJECTS
from pipelines.stores.catalogue_tables import transaction


def set_budget(ledger: sa.Engine, annotators: Sequence[str], per_day: int | None) -> list[str]:
    """Set how much is asked of these annotators on one day; None lifts it, no names mean everybody.

    Returns:
        Whose budget was set.

    Raises:
        FlywheelError: nobody of that name is known, or the number is negative.
    """
    if per_day is not None and per_day < 0:
        raise FlywheelError(f"a day's budget is at least 0, not {per_day}")
    with transaction(ledger) as connection:
        known = set(connection.execute(sa.select(ANNOTATORS.c.annotator_id)).scalars())
        names = sorted(set(annotators) or known)
        if strangers := [name for name in names if name not in known]:
            raise FlywheelError(
                f"no annotator {', '.join(strangers)} here; `flywheel annotate status` lists them"
            )
        connection.execute(sa.delete(BUDGETS).where(BUDGETS.c.annotator_id.in_(names)))
        if per_day is not None and names:
            rows = [{"annotator_id": name, "per_day": per_day} for name in names]
            connection.execute(sa.insert(BUDGETS), rows)
    return names


def budgets_of(ledger: sa.Engine) -> dict[str, int]:
    """Return the day's budget of everybody who has one."""
    with transaction(ledger, writes=False) as connection:
        return {row.annotator_id: row.per_day for row in connection.execute(sa.select(BUDGETS))}


def allowance(ledger: sa.Engine, *, now: datetime) -> Mapping[str, int]:
    """Return how many tasks more may be sent to everybody who has a budget.

    What was answered on this day (UTC) and what still waits on the server count; so nobody ever
    has more before them than a day's work, however many interfaces they answer with.
    """
    budgets = budgets_of(ledger)
    if not budgets:
        return {}
    begins = now.astimezone(UTC).date()
    today = (
        sa.select(PROJECTS.c.annotator_id, sa.func.count(sa.distinct(ANSWERS.c.server_task)))
        .join(PROJECTS, PROJECTS.c.project_id == ANSWERS.c.project_id)
        .where(
            ANSWERS.c.state != "deleted",
            # Server times are ISO in UTC, so that they sort as text.
            ANSWERS.c.updated_at >= begins.isoformat(),
            ANSWERS.c.updated_at < (begins + timedelta(days=1)).isoformat(),
        )
        .group_by(PROJECTS.c.annotator_id)
    )
    answered = sa.select(ANSWERS.c.server_task).where(ANSWERS.c.state != "deleted")
    waiting = (
        sa.select(ASSIGNMENTS.c.annotator_id, sa.func.count())
        .where(
            ASSIGNMENTS.c.server_task.is_not(None),
            ~ASSIGNMENTS.c.deleted,
            ASSIGNMENTS.c.server_task.not_in(answered),
        )
        .group_by(ASSIGNMENTS.c.annotator_id)
    )
    with transaction(ledger, writes=False) as connection:
        spent: list[dict[str, int]] = [
            dict(connection.execute(query).tuples().all()) for query in (today, waiting)
        ]
    return {
        name: max(per_day - sum(each.get(name, 0) for each in spent), 0)
        for name, per_day in budgets.items()
    }
