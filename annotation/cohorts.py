"""Cohorts: annotators who agree among themselves on another answer, reported beside the rest."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.linalg import eigsh

from annotation.answer_table import FloatArray, IntArray
from annotation.answers import Answers, index_answers
from annotation.dawid_skene import fit_dawid_skene
from annotation.dependence import PairAgreement, agreement_of_pairs
from annotation.foretold import foretold

BoolArray = NDArray[np.bool_]
_MOST: Final = 3  # cohorts beside the main one
_LEAST_MEMBERS: Final = 3
_LEAST_ANSWERS: Final = 10  # of an annotator who can be placed
_ROUNDS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """A consistent minority and what it holds true; it is never mixed into the main answer."""

    members: IntArray  # (m,) annotators
    posterior: FloatArray  # (t, c) by its members alone; class shares where none answered
    answered: IntArray  # (t,) answers by members
    gain: float  # nats by which members' answers are better foretold within than by the rest
    differs: IntArray  # tasks where both sides are sure, of different classes


def find_cohorts(
    answers: Answers,
    *,
    rng: np.random.Generator,
    gain: float = 2.0,
    sure: float = 0.8,
    draws: int = 39,
) -> tuple[Cohort, ...]:
    """Find groups whose answers their own consensus foretells better than everybody's.

    One who reads the scale upside down or always says the same is explained by a confusion
    matrix, and does not agree with like ones beyond it; guessers agree with nobody. What is left
    over is agreement about particular tasks: taste. Copies would look alike, so merge dependent
    annotators first.

    Args:
        answers: the indexed answers, dependent annotators merged.
        gain: nats a member, on average, that a cohort must foretell better, each member left out
            of the consensus that foretells it.
        rng: draws crowds without cohorts.
        sure: posterior above which a side is sure of a task.
        draws: crowds of the same people with the same confusions, but of one mind; at most one
            in twenty may split with as much gain. Whoever looks for groups finds some in noise.

    Returns:
        At most three cohorts of at least three members, by size; none is the usual case.
    """
    placed = answers.answers_of >= _LEAST_ANSWERS
    free = placed.copy()
    found: list[Cohort] = []
    while len(found) < _MOST and free.sum() >= 2 * _LEAST_MEMBERS:
        cohort = _one_cohort(answers, free, gain=gain, sure=sure)
        if cohort is None or not _beyond_chance(answers, free, cohort.gain, rng=rng, draws=draws):
            break
        found.append(cohort)
        free[cohort.members] = False
    return tuple(sorted(found, key=lambda c: (-len(c.members), c.members.tolist())))


def _one_cohort(
    answers: Answers, free: BoolArray, *, gain: float,
    sure: float,
) -> Cohort | None:  # fmt: skip
    main = fit_dawid_skene(_of(answers, free))
    member = _seed(agreement_of_pairs(_of(answers, free), main.posterior), answers.annotators)
    member &= free
    rest = free & ~member
    better: FloatArray = np.zeros(answers.annotators)
    for _ in range(_ROUNDS):
        if member.sum() < _LEAST_MEMBERS or rest.sum() < _LEAST_MEMBERS:
            return None
        inside = fit_dawid_skene(_of(answers, member))
        outside = fit_dawid_skene(_of(answers, rest))
        better = foretold(answers, inside, member) - foretold(answers, outside, rest)
        fresh = free & (better > 0)
        if np.array_equal(fresh, member):
            break
        member, rest = fresh, free & ~fresh
    # The main answer is the larger side's.
    if member.sum() > rest.sum():
        member, rest, better = rest, member, -better
    if member.sum() < _LEAST_MEMBERS or rest.sum() < _LEAST_MEMBERS:
        return None
    if better[member].mean() < gain or -better[rest].mean() < gain:
        return None
    inside, outside = fit_dawid_skene(_of(answers, member)), fit_dawid_skene(_of(answers, rest))
    both_sure = (inside.posterior.max(axis=1) > sure) & (outside.posterior.max(axis=1) > sure)
    other = inside.posterior.argmax(axis=1) != outside.posterior.argmax(axis=1)
    return Cohort(
        members=np.flatnonzero(member),
        posterior=inside.posterior,
        answered=np.bincount(answers.task[member[answers.annotator]], minlength=answers.tasks),
        gain=float(better[member].sum()),
        differs=np.flatnonzero(both_sure & other),
    )


def _beyond_chance(
    answers: Answers,
    free: BoolArray,
    gain: float,
    *,
    rng: np.random.Generator,
    draws: int,
) -> bool:
    """Say whether crowds of one mind, who answer the same tasks, seldom gain as much."""
    allowed = (draws + 1) // 20 - 1
    crowd = _of(answers, free)
    fit = fit_dawid_skene(crowd)
    task, who = crowd.task, crowd.annotator
    for _ in range(draws):
        drawn = rng.random((crowd.tasks, 1)) > fit.posterior.cumsum(axis=1)
        truth = np.minimum(drawn.sum(axis=1), crowd.classes - 1)
        row = fit.confusions[who, truth[task]].cumsum(axis=1)
        label = np.minimum((rng.random((len(who), 1)) > row).sum(axis=1), crowd.classes - 1)
        other = index_answers(
            task, who, label, tasks=crowd.tasks, annotators=crowd.annotators, classes=crowd.classes
        )
        split = _one_cohort(other, free, gain=0.0, sure=1.0)
        allowed -= split is not None and split.gain >= gain
        if allowed < 0:
            return False
    return True


def _seed(pairs: PairAgreement, annotators: int) -> BoolArray:
    """Return who loads most on the main direction of agreement beyond the expected."""
    none = np.zeros(annotators, dtype=np.bool_)
    if annotators < 4 or not len(pairs.first):
        return none
    value = np.clip(pairs.deviation, -4, 4)
    matrix = csr_array((value, (pairs.first, pairs.second)), shape=(annotators, annotators))
    # A fixed start: the direction must not depend on chance.
    _, vectors = eigsh(matrix + matrix.T, k=1, which="LA", v0=np.ones(annotators))
    load = vectors[:, 0] * np.sign(vectors[:, 0][np.abs(vectors[:, 0]).argmax()])
    return load > 0.4 * load.max()


def _of(answers: Answers, who: BoolArray) -> Answers:
    keep = who[answers.annotator]
    return index_answers(
        answers.task[keep], answers.annotator[keep], answers.label[keep],
        tasks=answers.tasks, annotators=answers.annotators, classes=answers.classes,
    )  # fmt: skip
