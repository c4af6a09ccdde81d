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


def e_step(shown: Shown, beliefs: Beliefs, log_prior: FloatArray) -> Counts:
    """Infer every item's class from its exposures, and what the users meant.

    Axes: i items, e exposures, u users, k keys, m the three intents, c classes, s signals.

    Args:
        shown: the exposures.
        beliefs: chances, all > 0.
        log_prior: (i, c) everything else known about the item; -inf forbids a class.
    """
    keys, intents, classes = beliefs.emission.shape
    # Exposures name users in no order: what is known of one and what is counted lie side by
    # side, so that each costs the fewest lines of cache.
    known = np.concatenate([beliefs.shares, beliefs.quiet, beliefs.boost], axis=1)
    told = np.zeros(known.shape)
    posterior = np.empty(log_prior.shape)
    by_key = np.zeros((keys, intents, classes))
    key_looked = np.zeros((keys, classes))
    log_likelihood = _count(
        *shown, known, beliefs.emission, beliefs.looked, beliefs.odds, log_prior,
        posterior, by_key, key_looked, told,
    )  # fmt: skip
    by_key[:, 1:] *= beliefs.emission[:, 1:]
    by_user, user_looked, user_given = np.split(told, [intents, intents + classes], axis=1)
    return Counts(posterior, by_key, by_user, key_looked, user_looked, user_given, log_likelihood)


@numba.njit(cache=True)
def _count(  # noqa: PLR0912 - one loop, so that nothing is kept per exposure
    start: IntArray,
    user: IntArray,
    key: IntArray,
    weight: FloatArray,
    signal_start: IntArray,
    signal: IntArray,
    known: FloatArray,
    emission: FloatArray,
    looked: FloatArray,
    odds: FloatArray,
    log_prior: FloatArray,
    posterior: FloatArray,
    by_key: FloatArray,
    key_looked: FloatArray,
    told: FloatArray,
) -> float:
    """Take the E-step of `e_step`; return the log-likelihood.

    The three intents are written out: as a loop inside the loop they take half as long again.

    Args:
        start: (i + 1,) as all up to *signal* of `Shown`.
        user: (e,).
        key: (e,).
        weight: (e,).
        signal_start: (k + 1,).
        signal: signals of all keys.
        known: (u, 3 + c + s) shares, quiet and boost of `Beliefs`, side by side.
        emission: (k, 3, c) of `Beliefs`, as are the next two.
        looked: (k,).
        odds: (k, c).
        log_prior: (i, c).
        posterior: (i, c), overwritten.
        by_key: (k, 3, c), added to; without the emission, but for intent 0.
        key_looked: (k, c), added to.
        told: (u, 3 + c + s), added to: by_user, user_looked and user_given of `Counts`.
    """
    items, classes = log_prior.shape
    quiets, boosts = 3, 3 + classes  # where they begin in what is known of a user
    log_likelihood, touched = 0.0, 0.0
    longest = 1
    for i in range(items):
        longest = max(longest, start[i + 1] - start[i])
    endorse = np.empty((longest, classes))
    total = np.empty((longest, classes))
    product = np.empty(classes)
    log_q = np.empty(classes)
    for i in range(items):
        log_q[:] = log_prior[i]
        product[:] = 1.0
        first = start[i]
        count = start[i + 1] - first
        # Users lie far apart: asked for together, their lines of cache come while others do.
        for n in range(count):
            u = user[first + n]
            for near in range(0, known.shape[1], 8):
                touched += known[u, near] + told[u, near]
        for n in range(count):
            u, k = user[first + n], key[first + n]
            begin, end = signal_start[k], signal_start[k + 1]
            endorsing, mocking, careless = known[u, 0], known[u, 1], known[u, 2]
            lift = endorsing * looked[k]
            for s in range(begin, end):
                lift *= known[u, boosts + signal[s]]
            unseen = endorsing * (1 - looked[k]) if begin == end else 0.0
            worth = weight[first + n]
            least = 1.0
            for c in range(classes):
                chance = lift * odds[k, c] * known[u, quiets + c] + unseen
                endorse[n, c] = chance
                chance += mocking * emission[k, 1, c]
                chance += careless * emission[k, 2, c]
                total[n, c] = chance
                if worth == 1.0:
                    product[c] *= chance
                    least = min(least, product[c])
                elif worth > 0.0:
                    log_q[c] += worth * np.log(chance)
            # One logarithm for many exposures; a longer product would underflow to zero.
            if least < 1e-200:
                for c in range(classes):
                    log_q[c] += np.log(product[c])
                    product[c] = 1.0
        top = -np.inf
        for c in range(classes):
            log_q[c] += np.log(product[c])
            top = max(top, log_q[c])
        norm = 0.0
        for c in range(classes):
            product[c] = np.exp(log_q[c] - top)
            norm += product[c]
        log_likelihood += top + np.log(norm)
        for c in range(classes):
            product[c] /= norm
            posterior[i, c] = product[c]
        for n in range(count):
            u, k = user[first + n], key[first + n]
            begin, end = signal_start[k], signal_start[k + 1]
            endorsing, mocking, careless = known[u, 0], known[u, 1], known[u, 2]
            unseen = endorsing * (1 - looked[k]) if begin == end else 0.0
            worth = weight[first + n]
            meant, mocked, cared_not = 0.0, 0.0, 0.0
            for c in range(classes):
                believed = product[c] / total[n, c]
                endorsed = believed * endorse[n, c]
                meant += endorsed
                mocked += believed * emission[k, 1, c]
                cared_not += believed * emission[k, 2, c]
                by_key[k, 0, c] += worth * endorsed
                by_key[k, 1, c] += worth * mocking * believed
                by_key[k, 2, c] += worth * careless * believed
                seen = worth * (endorsed - believed * unseen)
                key_looked[k, c] += seen
                told[u, quiets + c] += seen
            told[u, 0] += meant
            told[u, 1] += mocked * mocking
            told[u, 2] += cared_not * careless
            for s in range(begin, end):
                told[u, boosts + signal[s]] += worth * meant
    return log_likelihood + 0.0 * touched  # or a compiler would leave the touching out


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
