"""The E-step over exposures as one compiled loop; its counts add over any partition by item."""

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


class Shown(NamedTuple):
    """Exposures sorted by item; keys are distinct (pattern, slot).

    Item i has exposures start[i] .. start[i + 1] - 1, key k the signals
    signal[signal_start[k]] .. signal[signal_start[k + 1] - 1].
    """

    start: IntArray  # (i + 1,)
    user: IntArray  # (e,)
    key: IntArray  # (e,)
    weight: FloatArray  # (e,) in [0, 1]; 0: no evidence, only the user's intents are inferred
    signal_start: IntArray  # (k + 1,)
    signal: IntArray


class Beliefs(NamedTuple):
    """What the E-step takes for true. Intent 0 endorses, each user in an own way."""

    shares: FloatArray  # (u, m) how often each user has each intent
    emission: FloatArray  # (k, m, c) chance of the key's pattern; intent 0 is not read
    looked: FloatArray  # (k,) chance that the key's slot is looked at
    odds: FloatArray  # (k, c) odds of the key's signals for the average endorsing user
    boost: FloatArray  # (u, s) factor on those odds
    quiet: FloatArray  # (u, c) chance of no signal from an endorsing user who looks


class Counts(NamedTuple):
    """The posterior of every item, and expected counts, which add over partitions."""

    posterior: FloatArray  # (i, c)
    by_key: FloatArray  # (k, m, c)
    by_user: FloatArray  # (u, m) of all exposures, whatever their weight
    key_looked: FloatArray  # (k, c) endorsing and looked at
    user_looked: FloatArray  # (u, c) endorsing and looked at
    user_given: FloatArray  # (u, s) signals given while endorsing
    log_likelihood: float


@numba.njit(cache=True)
def e_step(shown: Shown, beliefs: Beliefs, log_prior: FloatArray) -> Counts:  # noqa: PLR0912 - one loop, so that nothing is kept per exposure
    """Infer every item's class from its exposures, and what the users meant.

    Axes: i items, e exposures, u users, k keys, m intents, c classes, s signals.

    Args:
        shown: the exposures.
        beliefs: chances, all > 0.
        log_prior: (i, c) everything else known about the item; -inf forbids a class.
    """
    items, classes = log_prior.shape
    users, intents = beliefs.shares.shape
    posterior = np.empty((items, classes))
    by_key = np.zeros(beliefs.emission.shape)
    by_user = np.zeros((users, intents))
    key_looked = np.zeros((beliefs.emission.shape[0], classes))
    user_looked = np.zeros((users, classes))
    user_given = np.zeros(beliefs.boost.shape)
    log_likelihood = 0.0
    longest = 1
    for i in range(items):
        longest = max(longest, shown.start[i + 1] - shown.start[i])
    endorse = np.empty((longest, classes))
    total = np.empty((longest, classes))
    product = np.empty(classes)
    log_q = np.empty(classes)
    for i in range(items):
        log_q[:] = log_prior[i]
        product[:] = 1.0
        first = shown.start[i]
        count = shown.start[i + 1] - first
        for n in range(count):
            u, k = shown.user[first + n], shown.key[first + n]
            begin, end = shown.signal_start[k], shown.signal_start[k + 1]
            silent = begin == end
            lift = beliefs.shares[u, 0] * beliefs.looked[k]
            for s in range(begin, end):
                lift *= beliefs.boost[u, shown.signal[s]]
            unseen = beliefs.shares[u, 0] * (1 - beliefs.looked[k]) if silent else 0.0
            small = False
            worth = shown.weight[first + n]
            for c in range(classes):
                chance = lift * beliefs.odds[k, c] * beliefs.quiet[u, c] + unseen
                endorse[n, c] = chance
                for m in range(1, intents):
                    chance += beliefs.shares[u, m] * beliefs.emission[k, m, c]
                total[n, c] = chance
                if worth == 1.0:
                    product[c] *= chance
                    small = small or product[c] < 1e-200
                elif worth > 0.0:
                    log_q[c] += worth * np.log(chance)
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
        for n in range(count):
            u, k = shown.user[first + n], shown.key[first + n]
            begin, end = shown.signal_start[k], shown.signal_start[k + 1]
            unseen = beliefs.shares[u, 0] * (1 - beliefs.looked[k]) if begin == end else 0.0
            meant = 0.0
            worth = shown.weight[first + n]
            for c in range(classes):
                weight = posterior[i, c] / total[n, c]
                r = weight * endorse[n, c]
                seen = worth * (r - weight * unseen)
                by_key[k, 0, c] += worth * r
                key_looked[k, c] += seen
                user_looked[u, c] += seen
                meant += r
                for m in range(1, intents):
                    r = weight * beliefs.shares[u, m] * beliefs.emission[k, m, c]
                    by_key[k, m, c] += worth * r
                    by_user[u, m] += r
            by_user[u, 0] += meant
            for s in range(begin, end):
                user_given[u, shown.signal[s]] += worth * meant
    return Counts(posterior, by_key, by_user, key_looked, user_looked, user_given, log_likelihood)


def add_counts(first: Counts, second: Counts) -> Counts:
    """Add the counts of two partitions; posteriors do not add, so the first's stays.

    The arrays of *first* are written into: counts of millions of users are not held twice.
    """
    for total, more in zip(first[1:-1], second[1:-1], strict=True):
        np.add(total, more, out=total)
    return first._replace(log_likelihood=first.log_likelihood + second.log_likelihood)


def rows_of(shown: Shown) -> IntArray:
    """Return (e,) the item of each exposure."""
    count = np.diff(shown.start)
    rows: IntArray = np.repeat(np.arange(len(count)), count)
    return rows


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
