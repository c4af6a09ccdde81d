"""Agreement: concurrence beyond chance. It is reported, never used as a weight."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
from scipy.sparse import csr_array

from annotation.answer_table import FloatArray, IntArray, RatingTable, read_ratings
from data_contracts.errors import ShapeError

Level = Literal["nominal", "ordinal", "interval"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Krippendorff's alpha with a bootstrap interval over generations.

    *alpha* is None where it does not exist: no generation has two answers, or all are equal.
    """

    alpha: float | None
    low: float | None
    high: float | None
    answers: int
    generations: int
    annotators: int


def krippendorff_alpha(counts: FloatArray, values: FloatArray, *, level: Level) -> float | None:
    """Return agreement beyond chance: 1 perfect, 0 as by chance; None where undefined.

    Args:
        counts: (u, v) how many annotators gave unit u the value v.
        values: (v,) the values, ascending.
        level: how far apart two values are: unequal or not, ranks between, squared difference.

    Raises:
        ShapeError: *counts* and *values* disagree on v.

    Source:
        Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability".

    Example:
        >>> counts = np.array([[2.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
        >>> round(krippendorff_alpha(counts, np.array([1.0, 2.0]), level="nominal"), 4)
        0.4444
    """
    if counts.ndim != 2 or counts.shape[1] != len(values):
        raise ShapeError(f"counts are {counts.shape} but there are {len(values)} values")
    per_unit = _coincidences(counts)
    alpha = _alphas(per_unit.sum(axis=0)[None], values, level=level)[0]
    return None if np.isnan(alpha) else float(alpha)


def rating_agreement(
    annotations: pa.Table,
    *,
    aspect: str,
    level: Level = "ordinal",
    resamples: int = 1000,
    rng: np.random.Generator,
) -> Agreement:
    """Measure how far annotators agree on *aspect*, with a 95 % interval over generations."""
    ratings = read_ratings(annotations, aspect=aspect)
    counts, values = value_counts(ratings)
    units = int((counts.sum(axis=1) >= 2).sum())
    alpha = krippendorff_alpha(counts, values, level=level)
    low: float | None = None
    high: float | None = None
    if alpha is not None and units > 1:
        per_unit = _coincidences(counts).reshape(len(counts), -1)
        drawn = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=resamples)
        sums = (drawn.astype(np.float64) @ per_unit).reshape(resamples, len(values), len(values))
        alphas = _alphas(sums, values, level=level)
        low, high = (float(x) for x in np.nanquantile(alphas, (0.025, 0.975)))
    return Agreement(
        alpha=alpha,
        low=low,
        high=high,
        answers=len(ratings.value),
        generations=units,
        annotators=len(ratings.annotators),
    )


def value_counts(ratings: RatingTable) -> tuple[FloatArray, FloatArray]:
    """Return (u, v) counts and the (v,) distinct values, ascending."""
    values, at = np.unique(ratings.value, return_inverse=True)
    cell = ratings.generation * len(values) + at
    size = len(ratings.generations) * len(values)
    counts = np.bincount(cell, minlength=size).astype(np.float64)
    return counts.reshape(len(ratings.generations), len(values)), values


def pairwise_agreement(ratings: RatingTable) -> pa.Table:
    """Return a row per two annotators who share generations: shared, agreement, Cohen's kappa.

    Kappa is null where both always give the same one answer.
    """
    values, label = np.unique(ratings.value, return_inverse=True)
    shape = (len(ratings.annotators), len(ratings.generations))
    took = _incidence(ratings.annotator, ratings.generation, shape)
    shared = (took @ took.T).toarray()
    equal, chance = np.zeros_like(shared), np.zeros_like(shared)
    for v in range(len(values)):
        mine = label == v
        gave = _incidence(ratings.annotator[mine], ratings.generation[mine], shape)
        equal += (gave @ gave.T).toarray()
        times = (gave @ took.T).toarray()  # how often a said v where b answered too
        chance += times * times.T
    a, b = np.triu_indices(len(ratings.annotators), 1)
    keep = shared[a, b] > 0
    a, b = a[keep], b[keep]
    together = shared[a, b]
    observed = equal[a, b] / together
    expected = chance[a, b] / together**2
    beyond = 1 - expected
    kappa = np.where(
        beyond > 1e-12, (observed - expected) / np.where(beyond > 0, beyond, 1), np.nan
    )
    names = np.array(ratings.annotators, dtype=object)
    return pa.table(
        {
            "annotator_id": pa.array(names[a].tolist(), pa.string()),
            "other_annotator_id": pa.array(names[b].tolist(), pa.string()),
            "shared": pa.array(together.astype(np.int64)),
            "agreement": pa.array(observed),
            "kappa": pa.array(kappa, mask=np.isnan(kappa)),
        }
    )


def _coincidences(counts: FloatArray) -> FloatArray:
    """Return (u, v, v): each unit's pairs of answers, weighted to one per answer."""
    answers = counts.sum(axis=1)
    weight = np.where(answers >= 2, 1 / np.maximum(answers - 1, 1), 0.0)
    both = counts[:, :, None] * counts[:, None, :]
    diagonal = np.arange(counts.shape[1])
    both[:, diagonal, diagonal] -= counts
    pairs: FloatArray = both * weight[:, None, None]
    return pairs


def _alphas(coincidences: FloatArray, values: FloatArray, *, level: Level) -> FloatArray:
    """Return (b,) alphas of (b, v, v) coincidence tables; NaN where undefined."""
    margin = coincidences.sum(axis=2)
    total = margin.sum(axis=1)
    distance = _distances(margin, values, level=level)
    observed = (coincidences * distance).sum(axis=(1, 2))
    expected = np.einsum("bv,bw,bvw->b", margin, margin, distance)
    defined = expected > 0
    ratio = (total - 1) * observed / np.where(defined, expected, 1.0)
    alphas: FloatArray = np.where(defined, 1 - ratio, np.nan)
    return alphas


def _distances(margin: FloatArray, values: FloatArray, *, level: Level) -> FloatArray:
    if level == "ordinal":
        # Answers between two values, the two themselves counted half.
        middle = np.cumsum(margin, axis=1) - margin / 2
        apart: FloatArray = (middle[:, :, None] - middle[:, None, :]) ** 2
        return apart
    if level == "interval":
        return np.broadcast_to(
            (values[:, None] - values[None, :]) ** 2, (len(margin), *([len(values)] * 2))
        )
    return np.broadcast_to(1.0 - np.eye(len(values)), (len(margin), *([len(values)] * 2)))


def _incidence(row: IntArray, column: IntArray, shape: tuple[int, int]) -> csr_array:
    return csr_array((np.ones(len(row)), (row, column)), shape=shape)
