"""Planning: which annotator is given which question, which side is left, what they are sent."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any, Final

import sqlalchemy as sa

from data_contracts.errors import FlywheelError
from pipelines.labelling.ledger import ASSIGNMENTS, ORIGINALS, projects_of
from pipelines.stores.catalogue_tables import transaction

SITE: Final = "/media"  # where the door serves media, on the annotators' own origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What annotators see of one generation."""

    generation_id: str
    modality: str
    text: str | None = None  # of a text generation
    blob: str | None = None  # digest of a picture or film
    frames: int | None = None  # of a film
    fps: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """Whose a text is that is to be edited; its edited versions are theirs as well."""

    tenant_id: str
    project_id: str
    prompt_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question: two generations to compare, one to rate, or a text to edit."""

    task_id: str
    prompt: str
    first: Shown
    other: Shown | None = None  # None: a critique or an edit
    blind: bool = False
    is_gold: bool = False
    warning: str = ""  # shown before anything else
    original: Original | None = None  # of the first; None: no edit is asked for

    @property
    def interface(self) -> str:
        """Return the interface that asks it."""
        if self.original is not None:
            form = "edit"
        else:
            form = "critique" if self.other is None else "blind" if self.blind else "pair"
        return f"{form}_{self.first.modality}"


def plan_assignments(
    ledger: sa.Engine, turn: str, questions: Sequence[Question], *, overlap: int
) -> int:
    """Give every question to *overlap* annotators, in our own record, before anything is sent.

    Planning again changes nothing, whoever joined meanwhile. Sides are shuffled by a hash of the
    assignment, so that neither order nor model decides them, and the same question always looks
    the same.

    Args:
        ledger: the zone's.
        turn: what the questions belong to, such as a turn of the wheel.
        questions: to be answered.
        overlap: how many annotators answer each; everybody, if there are fewer.

    Returns:
        How many assignments are new.

    Raises:
        FlywheelError: nobody has a labelling project for a question's interface.
    """
    return assign(ledger, turn, lacking(ledger, turn, questions, overlap=overlap))


def lacking(
    ledger: sa.Engine, turn: str, questions: Sequence[Question], *, overlap: int
) -> list[tuple[Question, str]]:
    """Return who must still be given which of *questions*, so that *overlap* have each.

    Raises:
        FlywheelError: nobody has a labelling project for a question's interface.
    """
    people = people_of(ledger, questions)
    have: dict[str, set[str]] = {}
    query = sa.select(ASSIGNMENTS.c.task_id, ASSIGNMENTS.c.annotator_id).where(
        ASSIGNMENTS.c.turn == turn
    )
    with transaction(ledger, writes=False) as connection:
        for row in connection.execute(query):
            have.setdefault(row.task_id, set()).add(row.annotator_id)
    given = []
    for question in questions:
        known = have.get(question.task_id, set())
        others = set(people[question.interface]) - known
        missing = max(0, overlap - len(known))
        given += [(question, who) for who in _chosen(others, question.task_id, missing)]
    return given


def people_of(ledger: sa.Engine, questions: Sequence[Question]) -> dict[str, dict[str, int]]:
    """Return who answers each interface of *questions*: annotator -> labelling project.

    Raises:
        FlywheelError: nobody has a labelling project for a question's interface.
    """
    people: dict[str, dict[str, int]] = {}
    for row in projects_of(ledger):
        people.setdefault(row.interface, {})[row.annotator_id] = row.project_id
    missing = sorted({q.interface for q in questions} - set(people))
    if missing:
        raise FlywheelError(
            f"nobody answers {', '.join(missing)}; run `flywheel annotate up` with "
            f"{' '.join(f'--interface {name}' for name in missing)}"
        )
    return people


def assign(ledger: sa.Engine, turn: str, given: Sequence[tuple[Question, str]]) -> int:
    """Record that these questions are given to these annotators; return how many are new."""
    people = people_of(ledger, [question for question, _ in given])
    planned = [
        _assignment(turn, question, annotator, people[question.interface][annotator])
        for question, annotator in given
    ]
    with transaction(ledger) as connection:
        known = set(
            connection.execute(
                sa.select(ASSIGNMENTS.c.assignment_id).where(ASSIGNMENTS.c.turn == turn)
            ).scalars()
        )
        fresh = {each["assignment_id"]: each for each in planned}
        new = [each for name, each in fresh.items() if name not in known]
        _record_originals(connection, [question for question, _ in given])
        if new:
            connection.execute(sa.insert(ASSIGNMENTS), new)
    return len(new)


def _record_originals(connection: sa.Connection, questions: Sequence[Question]) -> None:
    """Record whose the texts are that are to be edited, before an edited version can come back."""
    asked = {
        q.first.generation_id: {"generation_id": q.first.generation_id, **asdict(q.original)}
        for q in questions
        if q.original is not None
    }
    if not asked:
        return
    known = set(
        connection.execute(
            sa.select(ORIGINALS.c.generation_id).where(ORIGINALS.c.generation_id.in_(list(asked)))
        ).scalars()
    )
    fresh = [row for name, row in asked.items() if name not in known]
    if fresh:
        connection.execute(sa.insert(ORIGINALS), fresh)


def _chosen(people: Iterable[str], task_id: str, overlap: int) -> Sequence[str]:
    """Return *overlap* of the people; a hash spreads questions evenly and stays the same."""
    return sorted(people, key=lambda each: _digest("who", task_id, each))[:overlap]


def _assignment(turn: str, question: Question, annotator: str, project: int) -> Mapping[str, Any]:
    identity = "asg_" + _digest("assignment", turn, question.task_id, annotator)
    first, other = question.first, question.other
    swapped = other is not None and int(_digest("side", identity), 16) % 2 == 1
    left, right = (other, first) if swapped and other is not None else (first, other)
    data: dict[str, Any] = {
        "assignment": identity,
        "prompt": question.prompt,
        "warning": question.warning,
    }
    sides = {"only": left} if right is None else {"left": left, "right": right}
    for side, shown in sides.items():
        data[side] = shown.text if shown.modality == "text" else f"{SITE}/{identity}/{side}"
    if first.modality == "video":
        data["fps"] = first.fps or 24
        data["frames"] = min(s.frames or 0 for s in sides.values()) or None
    return {
        "assignment_id": identity,
        "task_id": question.task_id,
        "turn": turn,
        "project_id": project,
        "annotator_id": annotator,
        "left_id": left.generation_id,
        "right_id": None if right is None else right.generation_id,
        "left_blob": left.blob,
        "right_blob": None if right is None else right.blob,
        "is_gold": question.is_gold,
        "data": data,
        "server_task": None,
        "deleted": False,
    }


def _digest(*parts: str) -> str:
    return blake2b("\x1f".join(parts).encode(), digest_size=12).hexdigest()
