"""Co-praise: how much two users praise in common, and how much of it popularity and habit explain.

Two users who see the same popular generations and praise readily meet often by chance. What each
would praise of the common ones follows from how readily the user praises *elsewhere*, for what is
to be judged must not explain itself, and from how often *others* praise each generation.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.stats import nbinom

from pipelines.signals.signal_table import FloatArray

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

    def chance(self) -> FloatArray:
        """Return how probably so many or more come together by chance.

        A negative binomial: Poisson around an expectation that is itself not exact.
        """
        size = 1.0 / self.spread
        tail: FloatArray = nbinom.sf(self.together - 1, size, size / (size + self.expected))
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

    Args:
        first: (p,) place of a user in *some*.
        second: (p,) of the other.
        some: (s,) rows of the users who are compared.
        known: their habits.
        parts: gives, for some generations at a time, who praised and who saw them, both (u, i of
            the part).
    """
    common = {name: np.zeros(len(first)) for name in ("one", "other", "together", "hoped", "both")}
    mean = known.mean
    for praise, sight in parts():
        fans = np.asarray(praise.sum(axis=0)).ravel().astype(np.float64)
        saw = np.asarray(sight.sum(axis=0)).ravel().astype(np.float64)
        popular = _popular(praise, sight, mean)
        acts, seen = praise[some], sight[some]
        # 1 seen, 2 praised by the one, 3 by the other, 6 by both: one product tells all.
        left, right = seen + acts, seen + 2 * acts
        sizes = np.diff(seen.indptr)
        for rows in blocks(sizes[first] + sizes[second]):
            met = left[first[rows]].multiply(right[second[rows]]).tocoo()
            one, other = met.data % 2 == 0, met.data % 3 == 0
            others = fans[met.col] - one - other + OTHERS * mean
            without = others / (saw[met.col] - 2 + OTHERS) / mean
            width = rows.stop - rows.start
            for name, weight in (
                ("one", one), ("other", other), ("together", one & other),
                ("hoped", popular[met.col]), ("both", without**2),
            ):  # fmt: skip
                common[name][rows] += np.bincount(met.row, weights=weight, minlength=width)
    own_first, vague_first = _habit(
        known.mine[first], known.hoped[first], common["one"], common["hoped"], mean
    )
    own_second, vague_second = _habit(
        known.mine[second], known.hoped[second], common["other"], common["hoped"], mean
    )
    return Overlaps(
        # Counted where all else is: what many praise is expected of both, and seen of both.
        together=common["together"],
        either=common["one"] + common["other"] - common["together"],
        expected=own_first * own_second * common["both"],
        spread=vague_first + vague_second + TASTE,
    )


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
