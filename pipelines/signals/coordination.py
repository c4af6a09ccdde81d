"""Coordination: users who praise the same generations far too alike to have chosen alone.

A shared taste makes people like similar things, not the same ones: two of one taste who see the
same ten generations still disagree on some. Members of a group that is told what to praise do
not. So users are compared on what both have seen, and only near identity joins them.
"""

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
    acts = _binary(user[gave], item[gave], shape)
    fans = np.asarray(acts.sum(axis=0)).ravel()
    told = (fans >= PARTNERS + 1) & (fans <= CROWDED)
    both = (acts[:, told] @ acts[:, told].T).tocoo()
    close = (both.row < both.col) & (both.data >= shared)
    first, second, together = both.row[close], both.col[close], both.data[close]
    if len(first) == 0:
        return {}
    # Only the few users who share that much are compared on what both have seen.
    some, place = np.unique(np.concatenate([first, second]), return_inverse=True)
    left, right = place[: len(first)], place[len(first) :]
    seen, mine = _binary(user, item, shape)[some], acts[some]
    seen_by_other = (mine @ seen.T).tocsr()
    either = seen_by_other[left, right] + seen_by_other[right, left]
    either = np.asarray(either).ravel() - np.asarray((mine @ mine.T).tocsr()[left, right]).ravel()
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


def _coded(column: pa.ChunkedArray) -> tuple[list[str], IntArray]:
    names = pc.unique(column).cast(pa.string())
    names = names.take(pc.sort_indices(names))
    return names.to_pylist(), pc.index_in(column, value_set=names).to_numpy().astype(np.int64)


def _binary(
    row: IntArray,
    column: IntArray,
    shape: tuple[int, int],
) -> csr_array:
    matrix = coo_array((np.ones(len(row)), (row, column)), shape=shape).tocsr()
    matrix.data = np.ones_like(matrix.data)
    return matrix
