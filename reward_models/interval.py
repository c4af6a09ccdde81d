"""How sure a mean is, when values come in clusters that rise and fall together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from data_contracts.errors import ShapeError

FloatArray = npt.NDArray[np.float64]
_CELLS: Final = 4_000_000  # resampled values held at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean between the bounds of its bootstrap interval."""

    mean: float
    low: float
    high: float


def cluster_bootstrap(
    values: FloatArray,
    clusters: Sequence[str] | None = None,
    *,
    rng: np.random.Generator,
    resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Return the mean of *values* with a percentile interval over whole clusters.

    Args:
        values: (n,) measurements, finite.
        clusters: (n,) what each belongs to (a prompt); None makes each its own.
        rng: draws the resamples.
        resamples: how many.
        level: share of resampled means inside the interval.

    Raises:
        ShapeError: no values, or as many clusters as values are not given.

    Source:
        Efron & Tibshirani (1993), percentile bootstrap; the ratio of resampled sums to counts.

    Example:
        >>> cluster_bootstrap(np.array([1.0, 1.0]), rng=np.random.default_rng(0))
        Interval(mean=1.0, low=1.0, high=1.0)
    """
    if len(values) == 0 or (clusters is not None and len(clusters) != len(values)):
        raise ShapeError(
            f"{len(values)} values but {0 if clusters is None else len(clusters)} clusters; "
            "give at least one value, and one cluster for each"
        )
    names = np.arange(len(values)) if clusters is None else np.asarray(clusters)
    _, group = np.unique(names, return_inverse=True)
    sums, counts = np.bincount(group, values), np.bincount(group).astype(float)
    part = max(1, _CELLS // len(sums))
    means = []
    for start in range(0, resamples, part):
        drawn = rng.integers(len(sums), size=(min(part, resamples - start), len(sums)))
        means.append(sums[drawn].sum(1) / counts[drawn].sum(1))
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean=float(values.mean()), low=float(low), high=float(high))
