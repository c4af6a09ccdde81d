"""Next questions: whom to ask what, so that each answer tells as much as it can."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.answer_table import FloatArray, IntArray
from annotation.beliefs import PairBelief, expected_gain
from data_contracts.errors import ContractError, ShapeError


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRules:
    """How the queue spends people's time."""

    exploration: float = 0.1  # share of questions drawn at random among those that are open
    settled: float = 0.98  # a pair is closed when one side is this likely
    least: int = 1  # answers before a pair may be closed
    most: int = 9  # answers after which nobody is asked again
    worth: float = 0.0  # of the best question's gain; what tells less is not asked at all
    per_prompt: int = 1  # new questions about one prompt in one round
    # Whoever has been asked *known* questions may be given up to *lead* times an equal share of a
    # round: by then it is known whose answers tell most. 1: everybody is asked equally much.
    lead: float = 2.0
    known: int = 40

    def __post_init__(self) -> None:
        if not 0 <= self.exploration <= 1 or not 0.5 < self.settled <= 1:
            raise ContractError("queue: exploration is a share in [0, 1], settled one in (.5, 1]")
        if not 0 <= self.least <= self.most or self.per_prompt < 1:
            raise ContractError("queue: 0 <= least <= most, and per_prompt at least 1")
        if not 1 <= self.lead < float("inf") or self.known < 0:
            raise ContractError("queue: lead is 1 or more, and known at least 0")
        if not 0 <= self.worth <= 1:
            raise ContractError(f"queue: worth is {self.worth}; give a share in [0, 1]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Who is asked what next, in the order in which they meet it; each array is (n,)."""

    pair: IntArray
    annotator: IntArray


def next_questions(
    belief: PairBelief,
    asked: NDArray[Any],
    prompt: IntArray,
    *,
    slope: FloatArray,
    tie: FloatArray,
    budget: IntArray,
    rules: QueueRules,
    rng: np.random.Generator,
) -> Round:
    """Choose one round: the most telling pairs of a question and a person, some at random.

    Nobody is asked the same pair twice. Overlap follows from what is known: a settled pair is
    closed, one on which annotators split stays open until *most*. Once they are known, those
    whose answers tell more are asked more. With *worth* above 0 a budget is a limit, not a
    target: who guesses is asked what is drawn at random, and little else.

    Args:
        belief: of p pairs.
        asked: (p, r) whether annotator r was given pair p already.
        prompt: (p,) prompt of each pair, from 0.
        slope: (r,) reliability; see `expected_gain`.
        tie: (r,) >= 0.
        budget: (r,) each annotator's equal share of this round; the round is their sum.
        rules: how to spend.
        rng: decides what is drawn at random, and between equals.

    Raises:
        ShapeError: sizes disagree.
    """
    pairs, people = asked.shape
    if not len(belief.mean) == len(prompt) == pairs:
        raise ShapeError(f"beliefs, prompts and asked disagree on {pairs} pairs")
    if not len(slope) == len(tie) == len(budget) == people:
        raise ShapeError(f"slopes, ties, budgets and asked disagree on {people} annotators")
    given = asked.sum(axis=1)
    closed = (given >= rules.least) & (belief.settled >= rules.settled)
    open_pairs = ~closed & (given < rules.most)
    gain = expected_gain(belief, slope, tie)
    share = np.maximum(budget, 0)
    seasoned = asked.sum(axis=0) >= rules.known
    limit = np.where(seasoned, np.floor(rules.lead * share), share).astype(np.int64)
    pair, who = _spend(
        gain, open_pairs[:, None] & ~asked, prompt, limit, int(share.sum()),
        rules=rules, room=rules.most - given, rng=rng,
    )  # fmt: skip
    order = rng.permutation(len(pair))
    return Round(pair=pair[order], annotator=who[order])


def _spend(
    gain: FloatArray,
    allowed: NDArray[np.bool_],
    prompt: IntArray,
    work: IntArray,
    total: int,
    *,
    rules: QueueRules,
    room: IntArray,
    rng: np.random.Generator,
) -> tuple[IntArray, IntArray]:
    """Take the most telling (pair, annotator) that the limits leave, again and again."""
    pairs, people = allowed.shape
    # Some places are drawn at random: they come first, as if they told more than anything.
    key = np.where(allowed, gain, -1.0) + 1e-9 * rng.random((pairs, people))
    order = np.argsort(-key, axis=None)
    order = order[: int(allowed.sum())]
    explore = order[rng.permutation(len(order))]
    best = gain[allowed].max(initial=0.0)
    telling = order[: int((allowed & (gain >= rules.worth * best)).sum())]
    turns = rng.random(total) < rules.exploration
    left, taken = work.copy(), np.zeros(pairs, np.int64)
    of_prompt = np.zeros(int(prompt.max(initial=-1)) + 1, np.int64)
    streams = {True: iter(explore.tolist()), False: iter(telling.tolist())}
    used: set[int] = set()
    found: list[tuple[int, int]] = []
    for turn in turns.tolist():
        for cell in streams[turn]:
            pair, who = divmod(cell, people)
            if (
                cell in used or left[who] < 1 or taken[pair] >= min(1, room[pair])
                or of_prompt[prompt[pair]] >= rules.per_prompt
            ):  # fmt: skip
                continue
            used.add(cell)
            left[who] -= 1
            taken[pair] += 1
            of_prompt[prompt[pair]] += 1
            found.append((pair, who))
            break
    cells = np.array(found, dtype=np.int64).reshape(-1, 2)
    return cells[:, 0], cells[:, 1]
