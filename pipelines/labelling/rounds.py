"""Rounds: who is asked about which comparison next, from what the ledger has been answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from numpy.typing import NDArray

from annotation.beliefs import PairBelief, pair_beliefs
from annotation.comparisons import Comparisons, index_comparisons
from annotation.crowd_bradley_terry import CrowdStrengths, fit_crowd_bradley_terry
from annotation.next_questions import QueueRules, next_questions
from pipelines.labelling.gold import Known
from pipelines.labelling.ledger import ASSIGNMENTS
from pipelines.labelling.planning import Question, assign, people_of
from pipelines.labelling.sync import annotations_of
from pipelines.stores.catalogue_tables import transaction

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a turn's comparisons may cost."""

    answers: float  # a comparison on average, over the whole turn
    each: int  # new questions an annotator gets in one round


def plan_round(
    ledger: sa.Engine,
    turn: str,
    questions: Sequence[Question],
    *,
    rules: QueueRules,
    budget: Budget,
    rng: np.random.Generator,
) -> int:
    """Give out one more round of *turn*'s comparisons; return how many assignments are new.

    Nothing is given while somebody still owes an answer that a round before asked for: call it
    when the open ones are in. It returns 0 when every pair is settled, nobody is left to ask, or
    the budget is spent, and then for good.

    Args:
        ledger: the zone's.
        turn: of the wheel.
        questions: all of the turn; those that are no comparisons are left alone.
        rules: when a pair is settled, and how much is drawn at random.
        budget: of the turn, and of one annotator in one round.
        rng: decides what is drawn at random.

    Raises:
        FlywheelError: nobody has a labelling project for a question's interface.
    """
    compared = [q for q in questions if q.other is not None]
    people = people_of(ledger, compared)
    given: list[tuple[Question, str]] = []
    for interface in sorted({q.interface for q in compared}):
        asked_of = [q for q in compared if q.interface == interface]
        given += _round(
            ledger, turn, asked_of, sorted(people[interface]), rules=rules, budget=budget, rng=rng
        )
    return assign(ledger, turn, given)


def _round(
    ledger: sa.Engine,
    turn: str,
    questions: Sequence[Question],
    people: Sequence[str],
    *,
    rules: QueueRules,
    budget: Budget,
    rng: np.random.Generator,
) -> list[tuple[Question, str]]:
    asked, paid = _asked(ledger, turn, questions, people)
    left = int(budget.answers * len(questions)) - paid
    if left <= 0:
        return []
    view = beliefs_of(ledger, turn, questions, people)
    more = next_questions(
        view.belief,
        asked,
        view.prompt,
        slope=view.fit.slope,
        tie=view.fit.tie,
        budget=np.full(len(people), budget.each, np.int64),
        rules=rules,
        rng=rng,
    )
    cells = zip(more.pair[:left].tolist(), more.annotator[:left].tolist(), strict=True)
    return [(questions[pair], people[who]) for pair, who in cells]


def settled_questions(
    ledger: sa.Engine, turn: str, questions: Sequence[Question], *, least: int, sure: float
) -> list[Known]:
    """Return the comparisons of *turn* whose answer is as good as known: gold for who never met it.

    Args:
        ledger: the zone's.
        turn: of the wheel.
        questions: all of the turn.
        least: annotators who must have judged a pair.
        sure: how likely the better side must be, in (.5, 1].
    """
    compared = [q for q in questions if q.other is not None]
    found: list[Known] = []
    for interface in sorted({q.interface for q in compared}):
        of = [q for q in compared if q.interface == interface]
        people = sorted(people_of(ledger, of)[interface])
        view = beliefs_of(ledger, turn, of, people)
        for at in np.flatnonzero((view.judges >= least) & (view.belief.settled >= sure)).tolist():
            better = 1.0 if view.belief.chance[at] > 0.5 else -1.0
            found.append(Known(question=of[at], answers={"overall": better}, source="settled"))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """What the answers so far say of p comparisons."""

    belief: PairBelief
    fit: CrowdStrengths
    prompt: Ints  # (p,) from 0
    judges: Ints  # (p,) annotators who judged each


def beliefs_of(
    ledger: sa.Engine, turn: str, questions: Sequence[Question], people: Sequence[str]
) -> _View:
    """Say what is known of comparisons of one interface from the answers to *turn*."""
    first = [q.first.generation_id for q in questions]
    second = [q.other.generation_id for q in questions if q.other is not None]
    items = {name: at for at, name in enumerate(sorted({*first, *second}))}
    prompts = {text: at for at, text in enumerate(sorted({q.prompt for q in questions}))}
    of_pair = np.array([prompts[q.prompt] for q in questions], np.int64)
    a, b = (np.array([items[name] for name in side], np.int64) for side in (first, second))
    of_item = np.zeros(len(items), np.int64)
    of_item[a], of_item[b] = of_pair, of_pair
    answers = _answers(annotations_of(ledger, turn), items, people)
    fit = fit_crowd_bradley_terry(answers)
    # One number a pair of items; an annotator who answered twice is one judge.
    code = np.minimum(a, b) * len(items) + np.maximum(a, b)
    told = answers.low.astype(np.int64) * len(items) + answers.high
    met = np.unique(np.column_stack([told, answers.annotator]), axis=0)[:, 0]
    return _View(
        belief=pair_beliefs(answers, fit, a, b, of_item),
        fit=fit,
        prompt=of_pair,
        judges=np.searchsorted(met, code, "right") - np.searchsorted(met, code, "left"),
    )


def _asked(
    ledger: sa.Engine, turn: str, questions: Sequence[Question], people: Sequence[str]
) -> tuple[NDArray[np.bool_], int]:
    """Return (questions, people) who was given what already, and how much of it is no gold."""
    query = sa.select(
        ASSIGNMENTS.c.task_id, ASSIGNMENTS.c.annotator_id, ASSIGNMENTS.c.is_gold
    ).where(ASSIGNMENTS.c.turn == turn)
    with transaction(ledger, writes=False) as connection:
        rows = connection.execute(query).all()
    row_of = {q.task_id: at for at, q in enumerate(questions)}
    column_of = {name: at for at, name in enumerate(people)}
    asked, paid = np.zeros((len(questions), len(people)), np.bool_), 0
    for row in rows:
        if row.task_id in row_of and row.annotator_id in column_of:
            asked[row_of[row.task_id], column_of[row.annotator_id]] = True
            paid += not row.is_gold
    return asked, paid


def _answers(annotations: pa.Table, items: Mapping[str, int], people: Sequence[str]) -> Comparisons:
    """Index the overall verdicts among *items* by *people*; what cannot be judged says nothing."""
    known, names = pa.array(list(items)), pa.array(list(people))
    overall = annotations.filter(
        pc.and_(pc.equal(annotations["kind"], "comparison"),
                pc.and_(pc.equal(annotations["aspect"], "overall"),
                        pc.is_valid(annotations["value"])))
    )  # fmt: skip

    def at(column: str, among: pa.Array) -> Any:
        return pc.index_in(overall[column], value_set=among)

    places = pa.table(
        {
            "who": at("annotator_id", names),
            "first": at("generation_id", known),
            "second": at("other_generation_id", known),
            "said": pc.sign(overall["value"]),
            "left": pc.equal(overall["shown_left"], overall["generation_id"]),
        }
    ).drop_null()
    who, first, second, said = (
        places[name].to_numpy().astype(np.int64) for name in ("who", "first", "second", "said")
    )
    left = places["left"].to_numpy(zero_copy_only=False)
    side = np.where(left.astype(np.bool_), 1, -1).astype(np.int64)
    return index_comparisons(
        who, first, second, said, side, items=len(items), annotators=len(people)
    )
