"""People before a ledger: questions, and answers as the sync would have written them."""

from datetime import UTC, datetime

import sqlalchemy as sa

from pipelines.labelling.ledger import ANSWERS, ASSIGNMENTS
from pipelines.labelling.planning import Question, Shown
from pipelines.stores.catalogue_tables import transaction

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PEOPLE = tuple(f"ann-{n}" for n in range(6))


def questions(count):
    """Pairs of prompts of their own; the generation whose name ends in b is the better one."""

    def shown(name):
        return Shown(generation_id=name, modality="text", text=name)

    return [Question(task_id=f"t{n}", prompt=f"p{n}", first=shown(f"g{n}a"), other=shown(f"g{n}b"))
            for n in range(count)]  # fmt: skip


def answer_everything(ledger, say, *, moment=NOON, arrived=False):
    """Let everybody answer what they were given; say(task, annotator) is 1 for b, -1 for a.

    Only what has *arrived* on the server, or as if all that was planned had arrived just now.
    """
    done = sa.select(ANSWERS.c.server_task)
    waits = ASSIGNMENTS.c.server_task.is_(None)
    if arrived:
        waits = ASSIGNMENTS.c.server_task.is_not(None) & ASSIGNMENTS.c.server_task.not_in(done)
    with transaction(ledger) as connection:
        given = connection.execute(sa.select(ASSIGNMENTS).where(waits)).all()
        numbers = iter(range(connection.execute(
            sa.select(sa.func.count()).select_from(ANSWERS)).scalar_one() + 1, 10_000))  # fmt: skip
        for row, number in zip(given, numbers, strict=False):
            first, other = sorted((row.left_id, row.right_id))
            task = row.server_task or number
            connection.execute(
                sa.update(ASSIGNMENTS)
                .where(ASSIGNMENTS.c.assignment_id == row.assignment_id)
                .values(server_task=task)
            )
            said = {
                "annotation_id": f"an{number:05d}", "task_id": row.task_id, "kind": "comparison",
                "annotator_id": row.annotator_id, "generation_id": first, "aspect": "overall",
                "other_generation_id": other, "value": -1.0 * say(row.task_id, row.annotator_id),
                "scale": "-2..2", "shown_left": row.left_id, "is_gold": row.is_gold,
                "updated_at": moment.isoformat(),
            }  # fmt: skip
            connection.execute(
                sa.insert(ANSWERS).values(
                    server_annotation=number,
                    project_id=row.project_id,
                    server_task=task,
                    updated_at=moment.isoformat().replace("+00:00", "Z"),
                    state="accepted",
                    rows=[said],
                )
            )
