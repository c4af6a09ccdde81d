"""Co-praise: how much two users praise in common, and how much of it popularity and habit explain.

Two users who see the same popular generations and praise readily meet often by chance. What each
would praise of the common ones follows from how readily the user praises *elsewhere*, for what is
to be judged must not explain itself, and from how often *others* praise each generation.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.stats import nbinom

from pipelines.signals.signal_table import BoolArray, FloatArray

IntArray = NDArray[np.int64]
Parts = Callable[[], Iterator[tuple[csr_array, csr_array]]]

AT_ONCE: Final = 1_000_000  # entries of a product of users with users, about
OTHERS: Final = 10.0  # exposures of average praise that stand behind each generation
OVERALL: Final = 0.25  # of what both saw, how much counts for a habit beside what lies elsewhere
TASTE: Final = 0.03  # squared deviation of the overlap that shared taste may explain


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlaps:
    """What pairs of users praise in common, each array (p,)."""

    together: FloatArray  # generations that both praised
    either: FloatArray  # that both saw and at least one praised
    expected: FloatArray  # how many both would praise by chance
    spread: FloatArray  # squared relative deviation of that expectation

    def chance(self, pairs: IntArray) -> FloatArray:
        """Return how probably so many or more come together by chance, for some *pairs*.

        A negative binomial: Poisson around an expectation that is itself not exact.
        """
        size = 1.0 / self.spread[pairs]
        tail: FloatArray = nbinom.sf(
            self.together[pairs] - 1, size, size / (size + self.expected[pairs])
        )
        return tail


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How readily the compared users praise, and how usual praise is."""

    mean: float  # share of exposures that were praised
    mine: FloatArray  # (s,) generations that each user praised
    hoped: FloatArray  # (s,) how many of the same the average user would have
    users: int  # who saw anything at all


def habits(some: IntArray, parts: Parts) -> Habits:
    """Learn how readily users praise.

    Args:
        some: (s,) rows of the users who are compared.
        parts: as of `overlaps`.
    """
    given = shown = 0
    present: NDArray[np.bool_] = np.zeros(1, dtype=bool)
    for praise, sight in parts():
        given, shown = given + praise.nnz, shown + sight.nnz
        present = present | (np.diff(sight.indptr) > 0)
    mean = given / max(shown, 1)
    mine, hoped = np.zeros(len(some)), np.zeros(len(some))
    for praise, sight in parts():
        mine += np.asarray(praise[some].sum(axis=1)).ravel()
        hoped += sight[some] @ _popular(praise, sight, mean)
    return Habits(mean=mean, mine=mine, hoped=hoped, users=int(present.sum()))


def overlaps(
    first: IntArray, second: IntArray, some: IntArray, known: Habits, parts: Parts
) -> Overlaps:
    """Compare pairs of users on what both have seen.

    Linear in what the second users saw, quickest with equal *first* side by side; holds 40 bytes
    a pair and one part.

    Args:
        first: (p,) place of a user in *some*.
        second: (p,) of the other.
        some: (s,) rows of the users who are compared.
        known: their habits.
        parts: gives, for some generations at a time, who praised and who saw them, both (u, i of
            the part).
    """
    pairs, mean = len(first), known.mean
    one, other, together, hoped, both = np.zeros((5, pairs))
    for praise, sight in parts():
        fans = np.asarray(praise.sum(axis=0)).ravel().astype(np.float64)
        saw = np.asarray(sight.sum(axis=0)).ravel().astype(np.float64)
        seen = sight[some]
        told = seen + praise[some]  # 1 seen, 2 praised: who praised it saw it
        # How often those praise a generation who are neither of two that saw it, of whom none,
        # one or both praised it; by the usual share.
        of_two = np.arange(3.0)[:, None]
        without = ((fans - of_two + OTHERS * mean) / (saw - 2 + OTHERS) / mean) ** 2
        _meet(
            first, second, told.indptr, told.indices, told.data == 2,
            _popular(praise, sight, mean), without, one, other, together, hoped, both,
        )  # fmt: skip
    own_first, vague_first = _habit(known.mine[first], known.hoped[first], one, hoped, mean)
    own_second, vague_second = _habit(known.mine[second], known.hoped[second], other, hoped, mean)
    return Overlaps(
        # Counted where all else is: what many praise is expected of both, and seen of both.
        together=together,
        either=one + other - together,
        expected=own_first * own_second * both,
        spread=vague_first + vague_second + TASTE,
    )


@numba.njit(cache=True)
def _meet(
    first: IntArray,
    second: IntArray,
    start: NDArray[np.int32],
    item: NDArray[np.int32],
    gave: BoolArray,
    popular: FloatArray,
    without: FloatArray,
    one: FloatArray,
    other: FloatArray,
    together: FloatArray,
    hoped: FloatArray,
    both: FloatArray,
) -> None:
    """Add to the last five, (p,) each, what pairs have in common in one part.

    Args:
        first: (p,) place of a user.
        second: (p,) of the other.
        start: (s + 1,) user u saw item[start[u]] .. item[start[u + 1] - 1].
        item: (e,).
        gave: (e,) whether praised.
        popular: (i,) from `_popular`.
        without: (3, i) what is expected of both, squared, where none, one or both praised.
        one: praised by the first and seen by both.
        other: praised by the second and seen by both.
        together: praised by both.
        hoped: sum of *popular* over what both saw.
        both: sum of *without*.
    """
    mark = np.zeros(len(popular), dtype=np.int8)
    last = -1
    for pair in range(len(first)):
        user = first[pair]
        if user != last:
            if last >= 0:
                for e in range(start[last], start[last + 1]):
                    mark[item[e]] = 0
            for e in range(start[user], start[user + 1]):
                mark[item[e]] = 1 + gave[e]
            last = user
        for e in range(start[second[pair]], start[second[pair] + 1]):
            i = item[e]
            if mark[i] == 0:
                continue
            mine, yours = mark[i] - 1, np.int8(gave[e])
            one[pair] += mine
            other[pair] += yours
            together[pair] += mine * yours
            hoped[pair] += popular[i]
            both[pair] += without[mine + yours, i]


def _popular(praise: csr_array, sight: csr_array, mean: float) -> FloatArray:
    """Return (i,) how often each generation is praised, by the usual share."""
    fans = np.asarray(praise.sum(axis=0)).ravel().astype(np.float64)
    saw = np.asarray(sight.sum(axis=0)).ravel().astype(np.float64)
    popular: FloatArray = (fans + OTHERS * mean) / (saw + OTHERS) / mean
    return popular


def _habit(
    mine: FloatArray, hoped: FloatArray, here: FloatArray, hoped_here: FloatArray, mean: float
) -> tuple[FloatArray, FloatArray]:
    """Return how much of what is popular a user praises, judged elsewhere, and how vague that is.

    Who saw little elsewhere is judged by everything, or a chance gap there would look like a plot.
    """
    overall = (mine + 5 * mean) / (hoped + 5)
    elsewhere = np.maximum(hoped - hoped_here, 0.0)
    behind = elsewhere + OVERALL * hoped_here
    habit = (mine - here + OVERALL * hoped_here * overall) / behind
    vague: FloatArray = (elsewhere * overall + 1.0) / (behind * habit) ** 2
    return habit, vague


def blocks(work: IntArray) -> Iterator[slice]:
    """Cut rows into runs of at most about AT_ONCE *work* each."""
    run = np.cumsum(work) // AT_ONCE
    edges = [0, *(np.flatnonzero(np.diff(run)) + 1).tolist(), len(work)]
    for start, end in itertools.pairwise(edges):
        yield slice(start, end)
