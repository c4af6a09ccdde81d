"""Coordination: users who praise the same generations far too alike to have chosen alone.

A shared taste makes people like similar things, not the same ones: two of one taste who see the
same ten generations still disagree on some. Members of a group that is told what to praise do
not, or, where they follow only half of the time, praise far more of it together than popularity
and their own habit elsewhere explain. So users are compared on what both have seen.
"""

import itertools
from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from pipelines.signals.adversaries import wilson_lower
from pipelines.signals.co_praise import Habits, IntArray, Parts, blocks, habits, overlaps
from pipelines.signals.signal_patterns import praised
from pipelines.signals.signal_table import BoolArray
from pipelines.signals.tenant_users import User, Users, number_users

PARTNERS: Final = 2  # near-identical others from which a user belongs to a group
CROWDED: Final = 400  # praised by more than this, a generation tells nothing of who is together
BY_CHANCE: Final = 4.0  # partners that each user may find by chance; a group knits four together
UNLIKELY: Final = 0.01  # chance of a pair's overlap, at most, however few users there are
PAIRS_AT_ONCE: Final = 1_000_000  # compared at a time: some 100 MB
LIFT: Final = 2.0  # times as much praise in common as expected, at least


def find_groups(
    exposures: pa.Table, *, alike: float = 0.5, shared: int = 6, confidence: float = 2.0
) -> dict[User, int]:
    """Return the group of each user who belongs to one, numbered from 0.

    Two users are partners in either of two ways. *Nearly identical*: of the generations that both
    saw and at least one of them praised, both surely praised more than a share *alike* ("surely"
    is the lower end of Wilson's interval); a member has at least PARTNERS such partners. *Too
    often together*: both praised LIFT times as much as expected, and so much comes by chance with
    BY_CHANCE others of all; a core is four and more of whom each pair shares two partners, and who
    has PARTNERS in a core belongs to it. Either way at least *shared* in number.

    Args:
        exposures: EXPOSURE rows of users who are not yet left out.
        alike: share in [0, 1].
        shared: praised in common, at least.
        confidence: standard errors.
    """
    if exposures.num_rows == 0:
        return {}
    users, user = number_users(exposures["user_id"], exposures["tenant_id"])
    ids = pc.unique(exposures["generation_id"]).sort()
    item = pc.index_in(exposures["generation_id"], value_set=ids).to_numpy().astype(np.int64)
    gave = praised(exposures)
    shape = (len(users), len(ids))
    acts = binary(user[gave], item[gave], shape)

    def parts() -> Iterator[tuple[csr_array, csr_array]]:
        yield acts, binary(user, item, shape)

    return group_users(users, acts, parts, alike=alike, shared=shared, confidence=confidence)


def group_users(
    users: Users,
    acts: csr_array,
    parts: Parts,
    *,
    alike: float = 0.5,
    shared: int = 6,
    confidence: float = 2.0,
) -> dict[User, int]:
    """Return the group of each user who belongs to one, as `find_groups`.

    Args:
        users: who is compared; u of them.
        acts: (u, i) 1 where the user praised the generation.
        parts: gives, for some generations at a time, who praised and who saw them, both (u, i of
            the part); asked again and again, and only where somebody is close enough to compare.
        alike: share in [0, 1].
        shared: praised in common, at least.
        confidence: standard errors.
    """
    close = _close_pairs(acts, shared=shared)
    head = next(close, None)
    if head is None:
        return {}
    # Only users who praised that much at all are compared on what both have seen.
    much: BoolArray = np.asarray(acts.sum(axis=1)).ravel() >= shared
    some, place = np.flatnonzero(much), np.cumsum(much) - 1
    known = habits(some, parts)
    # Where people act much many pairs share something, and few of them turn out to be partners.
    found = [
        _partners(
            place[first], place[second], some, known, parts, alike=alike, confidence=confidence
        )
        for first, second in itertools.chain([head], close)
    ]
    left, right, identical, often = (np.concatenate(column) for column in zip(*found, strict=True))
    member, joined = _members(left, right, identical, often, len(some))
    left, right = left[joined], right[joined]
    kept = member[left] & member[right]
    graph = coo_array((np.ones(kept.sum()), (left[kept], right[kept])), shape=(len(some),) * 2)
    group = connected_components(graph, directed=False)[1]
    sizes = np.bincount(group[member], minlength=len(some))
    inside = np.flatnonzero(member & (sizes[group] > PARTNERS))
    names = {users[int(some[n])]: int(group[n]) for n in inside}
    order = {old: new for new, old in enumerate(dict.fromkeys(names[u] for u in sorted(names)))}
    return {name: order[names[name]] for name in sorted(names)}


def _partners(
    left: IntArray,
    right: IntArray,
    some: IntArray,
    known: Habits,
    parts: Parts,
    *,
    alike: float,
    confidence: float,
) -> tuple[IntArray, IntArray, BoolArray, BoolArray]:
    """Return the pairs who are partners, whether nearly identical, and whether too often together.

    Args:
        left: (p,) place of a user in *some*.
        right: (p,) of the other.
        some: (s,) rows of the users who are compared.
        known: their habits.
        parts: as of `group_users`.
        alike: share in [0, 1].
        confidence: standard errors.
    """
    met = overlaps(left, right, some, known, parts)
    identical = wilson_lower(met.together, met.either, confidence=confidence) > alike
    often = met.together > LIFT * met.expected
    # The chance is dear, and most pairs are neither.
    asked = np.flatnonzero(identical | often)
    chance = np.ones(len(left))
    chance[asked] = met.chance(asked)
    # Two who praise nearly everything are nearly identical too, and that by chance.
    identical &= chance < UNLIKELY
    often &= chance < min(BY_CHANCE / known.users, UNLIKELY)
    either = identical | often
    return left[either], right[either], identical[either], often[either]


def _close_pairs(acts: csr_array, *, shared: int) -> Iterator[tuple[IntArray, IntArray]]:
    """Give pairs of users, first < second, who praised at least *shared* in common.

    What more than CROWDED praised brings nobody together here; those who are compared are compared
    on it too, or liking what is popular would hide a group.

    About PAIRS_AT_ONCE at a time, by their first: all pairs of users together would not fit where
    many praise alike.
    """
    fans = np.asarray(acts.sum(axis=0)).ravel()
    told = acts[:, (fans >= PARTNERS + 1) & (fans <= CROWDED)]
    turned = told.T.tocsr()
    work = told @ np.asarray(told.sum(axis=0)).ravel()
    found: list[NDArray[np.int32]] = []
    held = 0
    for some in blocks(work):
        both = (told[some] @ turned).tocoo()
        row = both.row + some.start
        close = (row < both.col) & (both.data >= shared)
        found.append(np.stack([row[close], both.col[close]]).astype(np.int32))
        held += found[-1].shape[1]
        if held > PAIRS_AT_ONCE or (held and some.stop == len(work)):
            first, second = np.concatenate(found, axis=1)
            yield first, second
            found, held = [], 0


def _members(
    left: IntArray, right: IntArray, identical: BoolArray, often: BoolArray, users: int
) -> tuple[BoolArray, BoolArray]:
    """Return (u,) who belongs to some group, and (p,) which pairs hold groups together."""
    pair = np.concatenate([left[identical], right[identical]])
    member = np.bincount(pair, minlength=users) >= PARTNERS
    core: BoolArray = np.zeros(users, dtype=bool)
    held = np.flatnonzero(often)
    while len(held):
        knit = _shared_partners(left[held], right[held], users) >= PARTNERS
        if knit.all():
            break
        held = held[knit]
    core[left[held]] = core[right[held]] = True
    to_core = np.bincount(left[often], weights=core[right[often]], minlength=users)
    to_core += np.bincount(right[often], weights=core[left[often]], minlength=users)
    near = core | (to_core >= PARTNERS)
    joined: BoolArray = (identical & member[left] & member[right]) | (
        often & near[left] & near[right] & (core[left] | core[right])
    )
    return member | near, joined


def _shared_partners(left: IntArray, right: IntArray, users: int) -> IntArray:
    """Return (p,) with how many users both of each pair are paired."""
    ends = (np.concatenate([left, right]), np.concatenate([right, left]))
    paired = binary(*ends, (users, users))
    degree = np.diff(paired.indptr)
    found = np.zeros(len(left), dtype=np.int64)
    for rows in blocks(degree[left] + degree[right]):
        both = paired[left[rows]].multiply(paired[right[rows]])
        found[rows] = np.asarray(both.sum(axis=1)).ravel()
    return found


def binary(row: IntArray, column: IntArray, shape: tuple[int, int]) -> csr_array:
    """Return a sparse matrix with 1 at each of the places, named once or often."""
    matrix = coo_array((np.ones(len(row), dtype=np.int32), (row, column)), shape=shape).tocsr()
    matrix.data = np.ones_like(matrix.data)
    return matrix
