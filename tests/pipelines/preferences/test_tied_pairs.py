"""Pairs that are surely equal become ties where that was asked for, and never by themselves."""

import numpy as np

from pipelines.preferences.target import TargetSettings, targets

SETTINGS = TargetSettings(min_confidence=0.65)


def test_a_sure_tie_aims_at_a_half_and_weighs_by_how_sure_it_is():
    """Equal with chance .9: weight 2 * .9 - 1 = .8; a surely better one stays a win."""
    found = targets(np.array([0.52, 0.95]), settings=SETTINGS, equal=np.array([0.9, 0.05]))
    np.testing.assert_allclose(found.target, [0.5, 1.0])
    np.testing.assert_allclose(found.weight, [0.8, 0.9])
    assert found.kept.tolist() == [True, True]


def test_nobody_asked_for_ties():
    found = targets(np.array([0.52]), settings=SETTINGS)
    assert not found.kept[0]
    assert found.target[0] == 1.0


def test_a_true_split_is_no_tie():
    """Three of five for the first: people differ, and the target says how."""
    found = targets(
        np.array([0.55]), settings=SETTINGS, equal=np.array([0.9]),
        votes_for=np.array([3.0]), votes=np.array([5.0]),
    )  # fmt: skip
    np.testing.assert_allclose([found.target[0], found.weight[0]], [0.6, 1.0])
