"""Feedback: how one annotator did on gold, told to them alone and late enough to give none away."""

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from annotation.gold import gold_answers
from pipelines.labelling.gold import gold_of
from pipelines.labelling.ledger import ANNOTATORS, ANSWERS, ASSIGNMENTS, PROJECTS
from pipelines.labelling.sync import ACCEPTED, table_of_rows
from pipelines.stores.catalogue_tables import transaction

BATCH: Final = 5  # questions told at once: a count that moved by one would name the last as gold
_MISSES: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """One known question that was answered otherwise, as it was shown to this annotator."""

    assignment_id: str
    interface: str
    prompt: str
    aspect: str
    said: str
    expected: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What one annotator is told of their answers to gold."""

    answers: int = 0
    right: int = 0
    aspects: tuple[tuple[str, int, int], ...] = ()  # aspect, right, answers
    misses: tuple[Miss, ...] = ()  # the latest first


def feedback_of(ledger: sa.Engine, user_id: int) -> Feedback:
    """Return what the account *user_id* is told: their own answers, nobody else's, no model.

    Questions are told in whole batches, in the order in which they were answered.
    """
    mine = (
        sa.select(ANSWERS.c.rows, ASSIGNMENTS.c.assignment_id, ASSIGNMENTS.c.data,
                  ASSIGNMENTS.c.task_id, PROJECTS.c.interface)
        .join(ASSIGNMENTS, ASSIGNMENTS.c.server_task == ANSWERS.c.server_task)
        .join(PROJECTS, PROJECTS.c.project_id == ASSIGNMENTS.c.project_id)
        .join(ANNOTATORS, ANNOTATORS.c.annotator_id == PROJECTS.c.annotator_id)
        .where(ANNOTATORS.c.user_id == user_id, ASSIGNMENTS.c.is_gold,
               ANSWERS.c.state == ACCEPTED)
    )  # fmt: skip
    with transaction(ledger, writes=False) as connection:
        given = {
            (row.task_id, each["annotation_id"]): (row, each)
            for row in connection.execute(mine).all()
            for each in row.rows
        }
    answers = gold_answers(table_of_rows([each for _, each in given.values()]), gold_of(ledger))
    found = answers.to_pylist()
    # Of a question with several aspects all are told together.
    order = list(dict.fromkeys(row["task_id"] for row in found))
    told = set(order[: len(order) // BATCH * BATCH])
    found = [row for row in found if row["task_id"] in told]
    aspects = sorted({row["aspect"] for row in found})
    missed = [row for row in reversed(found) if not row["right"]][:_MISSES]
    return Feedback(
        answers=len(found),
        right=sum(row["right"] for row in found),
        aspects=tuple(
            (
                name,
                sum(row["right"] for row in found if row["aspect"] == name),
                sum(row["aspect"] == name for row in found),
            )
            for name in aspects
        ),
        misses=tuple(_miss(row, given[row["task_id"], row["annotation_id"]][0]) for row in missed),
    )


def _miss(row: dict[str, Any], assignment: Any) -> Miss:
    return Miss(
        assignment_id=assignment.assignment_id,
        interface=assignment.interface,
        prompt=assignment.data["prompt"],
        aspect=row["aspect"],
        said=_in_words(row, row["value"]),
        expected=_in_words(row, row["known"]),
    )


def _in_words(row: dict[str, Any], value: float | None) -> str:
    """Say a value as the annotator saw it: by the side of the screen, or in stars."""
    if value is None:
        return "cannot judge"
    if row["kind"] == "rating":
        return f"{value:g} star{'s' if value != 1 else ''}"
    if value == 0:
        return "the same"
    return "A" if (value > 0) == (row["shown_left"] == row["generation_id"]) else "B"
