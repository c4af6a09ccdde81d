"""Rank correlation with answers on few levels."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

FloatArray = NDArray[np.float64]


def somers_d(truth: FloatArray, scores: FloatArray) -> FloatArray:
    """Return (w,) how often scores rank two of unequal *truth* rightly, less how often wrongly.

    Args:
        truth: (n,) few levels.
        scores: (n, w) equal scores count as half right.

    Source:
        Somers (1962); one rank sum a level.

    Example:
        >>> somers_d(np.array([0.0, 0.0, 1.0]), np.array([[1.0], [3.0], [2.0]]))
        array([0.])
    """
    won, pairs = np.zeros(scores.shape[1]), 0
    for level in np.unique(truth)[1:]:
        high, below = truth == level, truth <= level
        ones, zeros = int(high.sum()), int(below.sum() - high.sum())
        ranks = rankdata(scores[below], axis=0)[high[below]]
        won += ranks.sum(axis=0) - ones * (ones + 1) / 2
        pairs += ones * zeros
    differences: FloatArray = 2 * won / pairs - 1
    return differences
