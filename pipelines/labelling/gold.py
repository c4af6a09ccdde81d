"""Gold in the ledger: where it comes from, and how it is mixed in unrecognisably."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any, Final

import pyarrow as pa
import sqlalchemy as sa

from annotation.gold import GOLD as GOLD_ROWS
from annotation.interfaces import interface_named
from data_contracts.aspects import ASPECT_TABLE
from data_contracts.errors import FlywheelError
from pipelines.labelling.ledger import ASSIGNMENTS, GOLD, PROJECTS, projects_of
from pipelines.labelling.planning import Question, Shown, assign
from pipelines.stores.catalogue_tables import transaction

_SIDES: Final = {"a": 1.0, "same": 0.0, "b": -1.0}
_LEVELS: Final = {aspect.name: aspect.levels for aspect in ASPECT_TABLE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A question whose answer is known."""

    question: Question
    answers: Mapping[str, float]  # aspect -> value, of a pair for the first against the other
    source: str  # file, lead or settled


def record_gold(ledger: sa.Engine, known: Sequence[Known]) -> int:
    """Record questions whose answer is known; return how many are new or changed.

    What annotators settled never replaces what a lead or a file said.
    """
    with transaction(ledger) as connection:
        before = {row.task_id: row for row in connection.execute(sa.select(GOLD))}
        fresh: dict[str, dict[str, Any]] = {}
        for each in known:
            row, there = _as_row(each), before.get(each.question.task_id)
            if there is None or (
                each.source != "settled"
                and (there.answers, there.source) != (row["answers"], row["source"])
            ):
                fresh[row["task_id"]] = row
        connection.execute(sa.delete(GOLD).where(GOLD.c.task_id.in_(list(fresh))))
        if fresh:
            connection.execute(sa.insert(GOLD), list(fresh.values()))
    return len(fresh)


def gold_of(ledger: sa.Engine) -> pa.Table:
    """Return everything that is known: rows of `annotation.gold.GOLD`, one a question.

    Of two interfaces that ask the same, what was settled gives way.
    """
    with transaction(ledger, writes=False) as connection:
        found = connection.execute(sa.select(GOLD).order_by(GOLD.c.task_id)).all()
    rows: dict[tuple[str, str | None, str], dict[str, Any]] = {}
    for row in sorted(found, key=lambda each: each.source != "settled"):
        for each in row.answers:
            key = (each["generation_id"], each["other_generation_id"], each["aspect"])
            rows[key] = {**each, "source": row.source}
    return pa.Table.from_pylist(list(rows.values()), schema=GOLD_ROWS)


def mix_gold(ledger: sa.Engine, turn: str, *, rate: float) -> int:
    """Give everybody gold beside what they were given of *turn*; return how many are new.

    Of all that an annotator gets of an interface in the turn, gold makes up *rate*, as far as
    there is gold that they never met. A mixed-in question is an assignment like any other: the
    same fields, an identity that is a hash, and an order on the server that follows the hash.
    Mixing again changes nothing until more was given.

    Args:
        ledger: the zone's.
        turn: what was given out.
        rate: share of gold, in [0, 1).
    """
    if not 0 <= rate < 1:
        raise FlywheelError(f"the rate of gold is a share in [0, 1), not {rate}")
    with transaction(ledger, writes=False) as connection:
        gold = connection.execute(sa.select(GOLD)).all()
        given = connection.execute(
            sa.select(
                ASSIGNMENTS.c.task_id, ASSIGNMENTS.c.turn, ASSIGNMENTS.c.project_id,
                ASSIGNMENTS.c.annotator_id, ASSIGNMENTS.c.is_gold,
            )
        ).all()  # fmt: skip
    met = {(row.annotator_id, row.task_id) for row in given}
    counts: dict[tuple[int, bool], int] = {}
    for row in given:
        if row.turn == turn:
            place = (row.project_id, bool(row.is_gold))
            counts[place] = counts.get(place, 0) + 1
    more: list[tuple[Question, str]] = []
    for project in projects_of(ledger):
        who = project.annotator_id
        work, have = (counts.get((project.project_id, which), 0) for which in (False, True))
        # Rounded up or down by chance, or small rounds would never hold any.
        chance = _hash("share", turn, project.interface, who) / 2**64
        wanted = int(work * rate / (1 - rate) + chance) - have
        fresh = [
            row for row in gold
            if row.interface == project.interface and (who, row.task_id) not in met
        ]  # fmt: skip
        fresh.sort(key=lambda row: _hash("which", turn, who, row.task_id))
        more += [(_question(row.question), who) for row in fresh[: max(wanted, 0)]]
    return assign(ledger, turn, more)


def marked_gold(ledger: sa.Engine, marks: Sequence[str]) -> list[Known]:
    """Return what a lead marked: *ASSIGNMENT=A*, *=B* or *=same*, or *=ASPECT:LEVEL* of a critique.

    The assignment is the one that the task carries; A and B are as it shows them. Several marks
    of one critique are one question.

    Raises:
        FlywheelError: no such assignment, or an answer that its interface cannot give.
    """
    found: dict[str, Known] = {}
    for mark in marks:
        name, _, said = mark.partition("=")
        with transaction(ledger, writes=False) as connection:
            row = connection.execute(
                sa.select(ASSIGNMENTS, PROJECTS.c.interface)
                .join(PROJECTS, PROJECTS.c.project_id == ASSIGNMENTS.c.project_id)
                .where(ASSIGNMENTS.c.assignment_id == name)
            ).first()
        if row is None:
            raise FlywheelError(
                f"there is no assignment {name[:40]}; take the field `assignment` of a task"
            )
        question = _asked_in(row)
        value = _marked_value(row.interface, said.strip())
        earlier = found.get(question.task_id)
        answers = {**(earlier.answers if earlier else {}), **value}
        found[question.task_id] = Known(question=question, answers=answers, source="lead")
    return list(found.values())


def _marked_value(interface: str, said: str) -> dict[str, float]:
    form = interface_named(interface)
    if form.form == "edit":
        raise FlywheelError(f"{interface}: an edit has no known answer; mark a pair or a critique")
    if form.form != "critique":
        if said.lower() not in _SIDES:
            raise FlywheelError(f"{interface}: say A, B or same, not {said[:20]!r}")
        return {"overall": _SIDES[said.lower()]}
    aspect, _, level = said.partition(":")
    most = _LEVELS.get(aspect, 0) if aspect in form.aspects else 0
    if not level.isdigit() or not 1 <= int(level) <= most:
        raise FlywheelError(
            f"{interface}: say ASPECT:LEVEL with one of {', '.join(form.aspects)} and a level "
            "of its scale, such as aesthetics:4"
        )
    return {aspect: float(level)}


def _asked_in(row: Any) -> Question:
    """Rebuild the question of an assignment, its left as the first."""
    form, _, modality = row.interface.partition("_")

    def shown(generation: str, blob: str | None, side: str) -> Shown:
        return Shown(
            generation_id=generation,
            modality=modality,
            text=row.data[side] if modality == "text" else None,
            blob=blob,
            frames=row.data.get("frames"),
            fps=row.data.get("fps"),
        )

    alone = row.right_id is None
    return Question(
        task_id=row.task_id,
        prompt=row.data["prompt"],
        first=shown(row.left_id, row.left_blob, "only" if alone else "left"),
        other=None if alone else shown(row.right_id, row.right_blob, "right"),
        blind=form == "blind",
        warning=row.data["warning"],
    )


def _as_row(known: Known) -> dict[str, Any]:
    question = known.question
    first = question.first.generation_id
    other = None if question.other is None else question.other.generation_id
    turned = other is not None and first > other
    return {
        "task_id": question.task_id,
        "interface": question.interface,
        "question": {**asdict(question), "is_gold": True},
        "answers": [
            {
                "generation_id": other if turned else first,
                "other_generation_id": first if turned else other,
                "aspect": aspect,
                "value": (-value if turned else value) + 0.0,
            }
            for aspect, value in sorted(known.answers.items())
        ],
        "source": known.source,
    }


def _question(stored: Mapping[str, Any]) -> Question:
    other = stored["other"]
    whole: dict[str, Any] = {
        **stored,
        "first": Shown(**stored["first"]),
        "other": None if other is None else Shown(**other),
    }
    return Question(**whole)


def _hash(*parts: str) -> int:
    return int.from_bytes(blake2b("\x1f".join(parts).encode(), digest_size=8).digest(), "big")
