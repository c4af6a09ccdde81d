"""Item scores: what each generation deserves, from ratings, borrowing from its like.

Answers are pulled towards what the same model, the same prompt and the other aspects suggest, the
more so the fewer and the noisier they are.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_contracts.errors import ContractError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Before any answer: a third each to what is common, to the generation's own and to the rater.
_SHARE: Final = 1 / 3
_PSEUDO: Final = 5.0  # observations behind each designed variance


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemScores:
    """Scores in units of one standard deviation of answers; axes: i generations, k aspects."""

    generation_ids: tuple[str, ...]
    aspects: tuple[str, ...]
    score: FloatArray  # (i, k)
    error: FloatArray  # (i, k) posterior standard deviation
    iterations: int
    converged: bool


def fit_item_scores(
    ratings: pd.DataFrame, generations: pd.DataFrame, *, steps: int = 200, tolerance: float = 1e-4
) -> ItemScores:
    """Fit crossed random effects of model, prompt and generation, and each rater's noise.

    Answers are standardised by annotator and aspect, so that who is strict, or uses little of the
    scale, does not matter; aspects may go together at every level. All variances are learned by
    variational EM; where every generation has one answer, its own part and the rater's noise
    cannot be told apart and stay near the designed shares.

    Args:
        ratings: generation_id, annotator_id, aspect, value; none null.
        generations: generation_id, prompt_id, model_release.
        steps: most iterations.
        tolerance: largest change of a score at which the fit has converged.

    Raises:
        ContractError: no ratings.

    Source:
        Henderson (1975) for crossed effects; the factorised posterior is Bishop (2006), ch. 10.
    """
    if ratings.empty:
        raise ContractError("ratings: no rows; item scores need answers")
    groups = ratings.groupby(["annotator_id", "aspect"])["value"]
    spread = groups.transform("std", ddof=0).replace(0.0, 1.0)
    z = ((ratings["value"] - groups.transform("mean")) / spread).to_numpy(np.float64)
    item, ids = pd.factorize(ratings["generation_id"], sort=True)
    aspect, aspects = pd.factorize(ratings["aspect"], sort=True)
    rater, raters = pd.factorize(ratings["annotator_id"], sort=True)
    known = generations.drop_duplicates("generation_id").set_index("generation_id").loc[ids]
    size, width = len(ids), len(aspects)
    levels: list[IntArray] = [
        pd.factorize(known["model_release"])[0],
        pd.factorize(known["prompt_id"])[0],
        np.arange(size),
    ]
    shares = (_SHARE / 2, _SHARE / 2, _SHARE)
    covariance: list[FloatArray] = [share * np.eye(width) for share in shares]
    noise: FloatArray = np.full((len(raters), width), _SHARE)
    effect: list[FloatArray] = [np.zeros((int(level.max()) + 1, width)) for level in levels]
    doubt: list[FloatArray] = [np.zeros((len(each), width, width)) for each in effect]
    cell = item * width + aspect
    score: FloatArray = np.zeros((size, width))
    variance: FloatArray = np.ones((size, width))
    change, step = np.inf, 0
    while step < steps and change >= tolerance:
        weight = 1 / noise[rater, aspect]
        precision = _sums(cell, weight, score)
        pull = _sums(cell, weight * z, score)
        for n, level in enumerate(levels):
            rest = pull - precision * (_total(effect, levels) - effect[n][level])
            effect[n], doubt[n] = _posterior(level, precision, rest, covariance[n], len(effect[n]))
            seen = np.einsum("gk,gl->kl", effect[n], effect[n]) + doubt[n].sum(axis=0)
            prior = _PSEUDO * shares[n] * np.eye(width)
            covariance[n] = (seen + prior) / (len(effect[n]) + _PSEUDO)
        fresh = _total(effect, levels)
        own = [np.einsum("gkk->gk", d)[at] for d, at in zip(doubt, levels, strict=True)]
        variance = np.sum(own, axis=0)
        off = (z - fresh[item, aspect]) ** 2 + variance[item, aspect]
        place = rater * width + aspect
        told = np.bincount(place, minlength=noise.size).reshape(noise.shape)
        missed = _sums(place, off, noise)
        noise = (missed + _PSEUDO * _SHARE) / (told + _PSEUDO)
        change = float(np.abs(fresh - score).max())
        score, step = fresh, step + 1
    return ItemScores(
        generation_ids=tuple(ids),
        aspects=tuple(aspects),
        score=score,
        error=np.sqrt(variance),
        iterations=step,
        converged=change < tolerance,
    )


def _sums(cell: IntArray, values: FloatArray, like: FloatArray) -> FloatArray:
    """Return *values* added up by cell, in the shape of *like*."""
    sums: FloatArray = np.bincount(cell, weights=values, minlength=like.size).astype(np.float64)
    return sums.reshape(like.shape)


def _total(effect: list[FloatArray], levels: list[IntArray]) -> FloatArray:
    """Return (i, k): the sum of the effects of each generation."""
    parts = [each[at] for each, at in zip(effect, levels, strict=True)]
    total: FloatArray = np.sum(parts, axis=0)
    return total


def _posterior(
    level: IntArray, precision: FloatArray, rest: FloatArray, covariance: FloatArray, groups: int
) -> tuple[FloatArray, FloatArray]:
    """Return the (g, k) means and (g, k, k) covariances of one level's effects."""
    width = precision.shape[1]
    told, pulled = np.zeros((groups, width)), np.zeros((groups, width))
    np.add.at(told, level, precision)
    np.add.at(pulled, level, rest)
    inverse = np.linalg.inv(covariance) + told[:, :, None] * np.eye(width)
    doubt: FloatArray = np.asarray(np.linalg.inv(inverse), dtype=np.float64)
    mean: FloatArray = np.einsum("gkl,gl->gk", doubt, pulled)
    return mean, doubt
