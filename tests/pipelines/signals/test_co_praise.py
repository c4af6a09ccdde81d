"""What two users praise in common, counted exposure by exposure."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipelines.signals.co_praise import OTHERS, OVERALL, TASTE, habits, overlaps
from pipelines.signals.coordination import binary

USERS, ITEMS = 6, 9


def tables(seed):
    """Who saw and who praised, both (u, i) of 0 and 1."""
    rng = np.random.default_rng(seed)
    sight = rng.random((USERS, ITEMS)) < rng.choice([0.3, 0.8])
    return sight & (rng.random((USERS, ITEMS)) < 0.5), sight


def parts_of(praise, sight, cuts):
    """Some generations at a time, as they come from disk."""
    edges = sorted({0, ITEMS, *cuts})

    def parts():
        for begin, end in itertools.pairwise(edges):
            shape = (USERS, end - begin)
            yield tuple(binary(*np.nonzero(t[:, begin:end]), shape) for t in (praise, sight))

    return parts


def by_loops(praise, sight, a, b):
    """Together, either, expected and spread, as the module says them."""
    mean = praise.sum() / sight.sum()
    fans, saw = praise.sum(axis=0), sight.sum(axis=0)
    popular = (fans + OTHERS * mean) / (saw + OTHERS) / mean
    common = np.flatnonzero(sight[a] & sight[b])
    both = sum(
        ((fans[i] - praise[a, i] - praise[b, i] + OTHERS * mean) / (saw[i] - 2 + OTHERS) / mean)
        ** 2
        for i in common
    )
    expected, spread = both, TASTE
    for user in (a, b):
        hoped, here = popular[sight[user]].sum(), popular[common].sum()
        usual = (praise[user].sum() + 5 * mean) / (hoped + 5)
        behind = hoped - here + OVERALL * here
        readiness = (
            praise[user].sum() - praise[user, common].sum() + OVERALL * here * usual
        ) / behind
        expected *= readiness
        spread += ((hoped - here) * usual + 1) / (behind * readiness) ** 2
    praised_by_one = (praise[a] | praise[b])[common]
    return (praise[a] & praise[b]).sum(), praised_by_one.sum(), expected, spread


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), cuts=st.sets(st.integers(1, ITEMS - 1), max_size=3))
def test_pairs_have_in_common_what_loops_count_however_generations_are_parted(seed, cuts):
    praise, sight = tables(seed)
    assume(praise.any() and (sight.sum(axis=1) > 0).all())
    parts = parts_of(praise, sight, cuts)
    some = np.array([0, 2, 3, 5])
    pairs = [(0, 1), (0, 3), (2, 3), (1, 2), (0, 2), (2, 1)]
    pairs = [(a, b) for a, b in pairs if (sight[some[a]] & sight[some[b]]).any()]
    assume(pairs)
    first, second = np.array(pairs).T
    met = overlaps(first, second, some, habits(some, parts), parts)
    for pair, users in enumerate(zip(some[first], some[second], strict=True)):
        found = [each[pair] for each in (met.together, met.either, met.expected, met.spread)]
        assert found == pytest.approx(by_loops(praise, sight, *users), rel=1e-12)
