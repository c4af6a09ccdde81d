"""Crowd-Bradley-Terry: strengths of items and habits of annotators from comparisons at once."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from annotation.answer_table import FloatArray, IntArray
from annotation.comparison_kernel import comparison_derivatives
from annotation.comparisons import Comparisons
from annotation.fixed_point import Accelerator

_SLOPE, _LEAN, _TIE = range(3)
_LEARNING_STEPS: Final = 6  # the spread of annotators is learned in the first steps, then held
_TRUST: Final = 4.0  # annotators' worth of belief in the spreads below
_SPREAD: Final = (0.25, 0.1, 0.1)  # first variances of slope, lean and tie between annotators


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdStrengths:
    """What items are worth and how annotators compare.

    Slope is reliability: 1 the average annotator, 0 guesses, negative the wrong way round.
    Lean is drawn to the left (in score units); tie is how close two must be to be called equal.
    """

    score: FloatArray  # (i,) log strengths
    score_sd: FloatArray  # (i,)
    slope: FloatArray  # (r,)
    lean: FloatArray  # (r,)
    tie: FloatArray  # (r,) >= 0
    steps: int
    converged: bool

    def better_chance(self, first: IntArray, second: IntArray) -> FloatArray:
        """Return (p,) chances that *first* is better, from what is known and how surely."""
        gap = self.score[first] - self.score[second]
        spread = self.score_sd[first] ** 2 + self.score_sd[second] ** 2
        chance: FloatArray = expit(gap / np.sqrt(1 + np.pi / 8 * spread))
        return chance


def fit_crowd_bradley_terry(
    comparisons: Comparisons, *, tolerance: float = 1e-6, max_steps: int = 200
) -> CrowdStrengths:
    """Find the likeliest strengths and habits together.

    The smaller item wins with chance 1 / (1 + exp(tie - d)), its rival with
    1 / (1 + exp(tie + d)), d = slope * (score - score of the rival) + lean * side. Habits are
    held to those of all annotators, slopes to 1, by as much as annotators differ; scores to 0.

    Args:
        comparisons: the indexed comparisons; without ties, tie is 0 for everybody.
        tolerance: Euclidean length of a step of the scores at which to stop.
        max_steps: readings of the comparisons at most.

    Source:
        Chen, Bennett, Collins-Thompson & Horvitz (2013) for reliabilities in Bradley-Terry;
        Rao & Kupper (1967) for ties. The slope in place of a chance to be wrong, the side and
        the pooled habits are ours.
    """
    has_ties = bool((comparisons.outcome == 0).any())
    has_sides = bool((comparisons.side != 0).any())
    free = np.array([True, has_sides, has_ties])
    score: FloatArray = np.zeros(comparisons.items)
    person: FloatArray = np.tile([1.0, 0.0, 0.5 if has_ties else 0.0], (comparisons.annotators, 1))
    prior = _Prior(person)
    accelerator = Accelerator(memory=6)
    best, before = -np.inf, (score, person)
    steps, converged = 0, False
    curved: FloatArray = np.ones(comparisons.items)
    while steps < max_steps and not converged and len(comparisons.low):
        likely, of_item, of_person = _derivatives(comparisons, score, person)
        steps += 1
        learning = steps <= _LEARNING_STEPS
        value = likely + prior.log_density(score, person, free)
        if not learning and value < best - 1e-9 * abs(best):
            # The leap went downhill: take half of the plain step that preceded it instead.
            score, person = accelerator.retreat(*before)
            best = -np.inf
            continue
        best = value if not learning else -np.inf
        curved = of_item[:, 1] + 1 / prior.score_variance
        if learning:
            prior.learn(score, curved, person, of_person)
        move = (of_item[:, 0] - score / prior.score_variance) / curved
        habit = _habit_step(person, of_person, prior, free)
        converged = not learning and float(np.linalg.norm(move)) < tolerance
        before = (score, person)
        score, person = accelerator.leap(score, person, move, habit, restart=learning)
        person[:, _TIE] = np.maximum(person[:, _TIE], 1e-3 if has_ties else 0.0)
    return CrowdStrengths(
        score=score - score.mean() if len(score) else score,
        score_sd=np.sqrt(1 / curved) if steps else np.ones(comparisons.items),
        slope=person[:, _SLOPE],
        lean=person[:, _LEAN],
        tie=person[:, _TIE],
        steps=steps,
        converged=converged or not len(comparisons.low),
    )


class _Prior:
    """What is believed of scores and habits before anybody's comparisons; learned from all."""

    def __init__(self, person: FloatArray) -> None:
        self.score_variance = 1.0
        self.mean = np.array([1.0, 0.0, person[0, _TIE] if len(person) else 0.0])
        self.variance = np.array(_SPREAD)

    def log_density(self, score: FloatArray, person: FloatArray, free: NDArray[np.bool_]) -> float:
        apart = ((person - self.mean) ** 2 / self.variance)[:, free].sum()
        return -0.5 * float(score @ score / self.score_variance + apart)

    def learn(
        self, score: FloatArray, curved: FloatArray, person: FloatArray, of_person: FloatArray
    ) -> None:
        """Match the spreads to what was found, uncertainty included."""
        known = of_person[:, [3, 5, 8]]
        weight = known / (known + 1 / self.variance)
        total = weight.sum(axis=0)
        mean = (weight * person).sum(axis=0) + _TRUST * self.mean
        mean /= total + _TRUST
        self.mean = np.array([1.0, mean[_LEAN], mean[_TIE]])
        apart = (person - self.mean) ** 2 + 1 / (known + 1 / self.variance)
        self.variance = (apart.sum(axis=0) + _TRUST * np.array(_SPREAD)) / (len(person) + _TRUST)
        self.variance = np.maximum(self.variance, 1e-4)
        self.score_variance = float(score @ score + (1 / curved).sum() + _TRUST) / (
            len(score) + _TRUST
        )


def _derivatives(
    comparisons: Comparisons, score: FloatArray, person: FloatArray
) -> tuple[float, FloatArray, FloatArray]:
    of_item = np.zeros((comparisons.items, 2))
    of_person = np.zeros((comparisons.annotators, 9))
    likely = comparison_derivatives(
        comparisons.start, comparisons.low, comparisons.high, comparisons.said,
        score, person, of_item, of_person,
    )  # fmt: skip
    return likely, of_item, of_person


def _habit_step(
    person: FloatArray, of_person: FloatArray, prior: _Prior, free: NDArray[np.bool_]
) -> FloatArray:
    """Return each annotator's (r, 3) Newton step; habits that are not free stay."""
    gradient = of_person[:, :3] - (person - prior.mean) / prior.variance
    matrix = np.empty((len(person), 3, 3))
    for n, (a, b) in enumerate(((0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2))):
        matrix[:, a, b] = matrix[:, b, a] = of_person[:, 3 + n]
    matrix += np.diag(1 / prior.variance)
    held = ~free
    gradient[:, held] = 0.0
    matrix[:, held, :] = 0.0
    matrix[:, :, held] = 0.0
    matrix[:, held, held] = 1.0
    step: FloatArray = np.linalg.solve(matrix, gradient[:, :, None])[:, :, 0]
    return step
