"""Coordination: users who praise the same generations far too alike to have chosen alone.

A shared taste makes people like similar things, not the same ones: two of one taste who see the
same ten generations still disagree on some. Members of a group that is told what to praise do
not. So users are compared on what both have seen, and only near identity joins them.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from pipelines.signals.adversaries import wilson_lower
from pipelines.signals.signal_patterns import praised

IntArray = NDArray[np.int64]

PARTNERS: Final = 2  # near-identical others from which a user belongs to a group
AT_ONCE: Final = 1_000_000  # entries of a product of users with users, about
CROWDED: Final = 400  # praised by more than this, a generation tells nothing of who is together


def find_groups(
    exposures: pa.Table, *, alike: float = 0.5, shared: int = 6, confidence: float = 2.0
) -> dict[str, int]:
    """Return the group of each user who belongs to one, numbered from 0.

    Of the generations that two users saw and at least one of them praised, both must surely
    have praised more than a share *alike*, and at least *shared* in number; a member has at
    least PARTNERS such partners. "Surely" is the lower end of Wilson's interval.

    Args:
        exposures: EXPOSURE rows of users who are not yet left out.
        alike: share in [0, 1].
        shared: praised in common, at least.
        confidence: standard errors.
    """
    if exposures.num_rows == 0:
        return {}
    users, user = _coded(exposures["user_id"])
    items, item = _coded(exposures["generation_id"])
    gave = praised(exposures)
    shape = (len(users), len(items))
    acts = binary(user[gave], item[gave], shape)

    def parts() -> Iterator[tuple[csr_array, csr_array]]:
        yield acts, binary(user, item, shape)

    return group_users(users, acts, parts, alike=alike, shared=shared, confidence=confidence)


def group_users(
    users: list[str],
    acts: csr_array,
    parts: Callable[[], Iterator[tuple[csr_array, csr_array]]],
    *,
    alike: float = 0.5,
    shared: int = 6,
    confidence: float = 2.0,
) -> dict[str, int]:
    """Return the group of each user who belongs to one, as `find_groups`.

    Args:
        users: names, sorted.
        acts: (u, i) 1 where the user praised the generation.
        parts: gives, for some generations at a time, who praised and who saw them, both (u, i of
            the part); asked only where somebody is close enough to be compared.
        alike: share in [0, 1].
        shared: praised in common, at least.
        confidence: standard errors.
    """
    first, second, together = _close_pairs(acts, shared=shared)
    if len(first) == 0:
        return {}
    # Only the few users who share that much are compared on what both have seen.
    some, place = np.unique(np.concatenate([first, second]), return_inverse=True)
    left, right = place[: len(first)], place[len(first) :]
    either = np.zeros(len(left))
    for praise, sight in parts():
        mine, seen = praise[some], sight[some]
        for pairs in _blocks(np.diff(seen.indptr)[left] + np.diff(seen.indptr)[right]):
            one, two = left[pairs], right[pairs]
            either[pairs] += _in_both(mine[one], seen[two]) + _in_both(seen[one], mine[two])
            either[pairs] -= _in_both(mine[one], mine[two])
    sure = wilson_lower(
        together.astype(np.float64), np.maximum(either, together), confidence=confidence
    )
    joined = sure > alike
    left, right = left[joined], right[joined]
    partners = np.bincount(np.concatenate([left, right]), minlength=len(some))
    member = partners >= PARTNERS
    kept = member[left] & member[right]
    graph = coo_array((np.ones(kept.sum()), (left[kept], right[kept])), shape=(len(some),) * 2)
    group = connected_components(graph, directed=False)[1]
    sizes = np.bincount(group[member], minlength=len(some))
    inside = np.flatnonzero(member & (sizes[group] > PARTNERS))
    names = {users[some[n]]: int(group[n]) for n in inside}
    order = {old: new for new, old in enumerate(dict.fromkeys(names[u] for u in sorted(names)))}
    return {name: order[names[name]] for name in sorted(names)}


def _close_pairs(acts: csr_array, *, shared: int) -> tuple[IntArray, IntArray, IntArray]:
    """Return pairs of users, first < second, who praised at least *shared* in common, and how many.

    Some users at a time: all pairs of users together would not fit where many praise alike.
    """
    fans = np.asarray(acts.sum(axis=0)).ravel()
    told = acts[:, (fans >= PARTNERS + 1) & (fans <= CROWDED)]
    found: list[IntArray] = [np.zeros((3, 0), dtype=np.int64)]
    work = told @ np.asarray(told.sum(axis=0)).ravel()
    for some in _blocks(work):
        both = (told[some] @ told.T).tocoo()
        row = both.row + some.start
        close = (row < both.col) & (both.data >= shared)
        found.append(np.stack([row[close], both.col[close], both.data[close]]).astype(np.int64))
    first, second, together = np.concatenate(found, axis=1)
    return first, second, together


def _in_both(one: csr_array, other: csr_array) -> IntArray:
    counted: IntArray = np.asarray(one.multiply(other).sum(axis=1)).ravel().astype(np.int64)
    return counted


def _blocks(work: IntArray) -> Iterator[slice]:
    """Cut rows into runs of at most about AT_ONCE *work* each."""
    run = np.cumsum(work) // AT_ONCE
    edges = [0, *(np.flatnonzero(np.diff(run)) + 1).tolist(), len(work)]
    for start, end in itertools.pairwise(edges):
        yield slice(start, end)


def _coded(column: pa.ChunkedArray) -> tuple[list[str], IntArray]:
    names = pc.unique(column).cast(pa.string())
    names = names.take(pc.sort_indices(names))
    return names.to_pylist(), pc.index_in(column, value_set=names).to_numpy().astype(np.int64)


def binary(row: IntArray, column: IntArray, shape: tuple[int, int]) -> csr_array:
    """Return a sparse matrix with 1 at each of the places, named once or often."""
    matrix = coo_array((np.ones(len(row), dtype=np.int32), (row, column)), shape=shape).tocsr()
    matrix.data = np.ones_like(matrix.data)
    return matrix
