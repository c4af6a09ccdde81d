"""Crowd-Bradley-Terry's derivatives as one compiled loop over comparisons sorted by annotator."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@numba.njit(cache=True)
def index_by_annotator(
    annotator: NDArray[Any],
    first: NDArray[Any],
    second: NDArray[Any],
    outcome: NDArray[Any],
    side: NDArray[Any],
    annotators: int,
) -> tuple[IntArray, NDArray[np.int32], NDArray[np.int32], NDArray[np.int8]]:
    """Return (r + 1,) starts, and the columns by annotator with the smaller item first.

    The last column is outcome + 1 + 3 * (side + 1).
    """
    start = np.zeros(annotators + 1, np.int64)
    for i in range(len(annotator)):
        start[annotator[i] + 1] += 1
    for r in range(annotators):
        start[r + 1] += start[r]
    free = start[:-1].copy()
    low, high = np.empty(len(first), np.int32), np.empty(len(first), np.int32)
    said = np.empty(len(first), np.int8)
    for i in range(len(annotator)):
        at = free[annotator[i]]
        free[annotator[i]] += 1
        turn = 1 if first[i] < second[i] else -1
        low[at], high[at] = min(first[i], second[i]), max(first[i], second[i])
        said[at] = turn * outcome[i] + 1 + 3 * (turn * side[i] + 1)
    return start, low, high, said


@numba.njit(cache=True)
def comparison_derivatives(
    start: IntArray,
    low: NDArray[np.int32],
    high: NDArray[np.int32],
    said: NDArray[np.int8],
    score: FloatArray,
    person: FloatArray,
    of_item: FloatArray,
    of_person: FloatArray,
) -> float:
    """Add up first and second derivatives of the log-likelihood; they add over annotators.

    The chance that the smaller item wins is 1 / (1 + exp(tie - d)) with
    d = slope * (score_low - score_high) + lean * side; of a tie what both wins leave.

    Args:
        start: (r + 1,) where each annotator's comparisons begin.
        low: (n,) item.
        high: (n,) its rival.
        said: (n,) outcome + 1 + 3 * (side + 1), both from the smaller item's view.
        score: (i,) of each item.
        person: (r, 3) slope, lean and tie of each annotator; tie >= 0.
        of_item: (i, 2) added to: gradient, and curvature (minus the second derivative).
        of_person: (r, 9) added to: gradient of slope, lean, tie, then the curvatures
            slope-slope, slope-lean, lean-lean, slope-tie, lean-tie, tie-tie.

    Returns:
        The log-likelihood, nats.
    """
    log_likelihood, product = 0.0, 1.0
    for r in range(len(start) - 1):
        slope, lean, tie = person[r, 0], person[r, 1], person[r, 2]
        open_up = np.exp(tie)
        square = open_up * open_up
        g0, g1, g2 = 0.0, 0.0, 0.0
        h00, h01, h11, h02, h12, h22 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for n in range(start[r], start[r + 1]):
            a, b = low[n], high[n]
            outcome, side = said[n] % 3 - 1, said[n] // 3 - 1
            gap = score[a] - score[b]
            d = min(max(slope * gap + lean * side, -60.0), 60.0)
            odds = np.exp(d)
            p = odds / (odds + open_up)
            q = 1 / (1 + odds * open_up)
            vp, vq = p * (1 - p), q * (1 - q)
            if outcome > 0:
                by_d, by_tie, v, cross = 1 - p, p - 1, vp, -vp
                product *= p
            elif outcome < 0:
                by_d, by_tie, v, cross = q - 1, q - 1, vq, vq
                product *= q
            else:
                rest = max(square - 1, 1e-12)
                by_d, by_tie = q - p, 2 * square / rest - 2 + p + q
                v, cross = vp + vq, vq - vp
                product *= rest * p * q
                h22 += 4 * square / (rest * rest)
            if product < 1e-200:
                log_likelihood += np.log(product)
                product = 1.0
            of_item[a, 0] += slope * by_d
            of_item[b, 0] -= slope * by_d
            of_item[a, 1] += slope * slope * v
            of_item[b, 1] += slope * slope * v
            g0 += gap * by_d
            g1 += side * by_d
            g2 += by_tie
            h00 += gap * gap * v
            h01 += gap * side * v
            h11 += side * side * v
            h02 += gap * cross
            h12 += side * cross
            h22 += v
        of_person[r] += np.array([g0, g1, g2, h00, h01, h11, h02, h12, h22])
    return log_likelihood + np.log(product)
