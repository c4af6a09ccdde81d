"""The E-step over exposures as one compiled loop; its sums add over any partition by item."""

import numba
import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@numba.njit(cache=True)
def e_step(  # noqa: PLR0912 - one loop, so that nothing is stored per exposure
    start: IntArray,
    user: IntArray,
    key: IntArray,
    shares: FloatArray,
    emission: FloatArray,
    log_prior: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    """Infer every item's class from its exposures, and what the users meant.

    Axes: i items, e exposures sorted by item, u users, k keys, m intents, c classes.

    Args:
        start: (i + 1,) exposures of item i are start[i] .. start[i + 1] - 1.
        user: (e,) whose exposure.
        key: (e,) which (pattern, bucket, slot).
        shares: (u, m) how often user u acts with intent m.
        emission: (k, m, c) chance of the pattern; > 0.
        log_prior: (i, c) everything else known about the item; -inf forbids a class.

    Returns:
        (i, c) posterior; (k, m, c) and (u, m) expected counts of intents; log-likelihood.
    """
    items, classes = log_prior.shape
    intents = shares.shape[1]
    posterior = np.empty((items, classes))
    by_key = np.zeros(emission.shape)
    by_user = np.zeros(shares.shape)
    log_likelihood = 0.0
    total = np.empty(classes)
    product = np.empty(classes)
    for i in range(items):
        log_q = log_prior[i].copy()
        product[:] = 1.0
        for e in range(start[i], start[i + 1]):
            u, k = user[e], key[e]
            small = False
            for c in range(classes):
                chance = 0.0
                for m in range(intents):
                    chance += shares[u, m] * emission[k, m, c]
                product[c] *= chance
                small = small or product[c] < 1e-200
            # One logarithm for many exposures; a longer product would underflow to zero.
            if small:
                for c in range(classes):
                    log_q[c] += np.log(product[c])
                    product[c] = 1.0
        top = -np.inf
        for c in range(classes):
            log_q[c] += np.log(product[c])
            top = max(top, log_q[c])
        norm = 0.0
        for c in range(classes):
            posterior[i, c] = np.exp(log_q[c] - top)
            norm += posterior[i, c]
        log_likelihood += top + np.log(norm)
        for c in range(classes):
            posterior[i, c] /= norm
        for e in range(start[i], start[i + 1]):
            u, k = user[e], key[e]
            for c in range(classes):
                total[c] = 0.0
                for m in range(intents):
                    total[c] += shares[u, m] * emission[k, m, c]
            for m in range(intents):
                meant = 0.0
                for c in range(classes):
                    r = posterior[i, c] * shares[u, m] * emission[k, m, c] / total[c]
                    by_key[k, m, c] += r
                    meant += r
                by_user[u, m] += meant
    return posterior, by_key, by_user, log_likelihood


def normalise(log_weights: FloatArray) -> tuple[FloatArray, float]:
    """Turn (i, c) log weights into distributions; the second value is their log total."""
    top = log_weights.max(axis=1, keepdims=True)
    weights = np.exp(log_weights - top)
    norm = weights.sum(axis=1, keepdims=True)
    rows: FloatArray = weights / norm
    return rows, float((top + np.log(norm)).sum())


def add_by_row(rows: IntArray, values: FloatArray, *, size: int) -> FloatArray:
    """Return (size, c) sums of *values* (n, c) over equal *rows*."""
    columns = [np.bincount(rows, weights=column, minlength=size) for column in values.T]
    summed: FloatArray = np.stack(columns, axis=1)
    return summed
