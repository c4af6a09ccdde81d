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


def aimed(won, lost, tied, *, probability=0.9, equal=None):
    """The target of one pair after so many direct comparisons."""
    votes = [np.array([float(n)]) for n in (won + tied / 2, won + lost + tied, tied)]
    return targets(
        np.array([probability]), settings=SETTINGS, equal=equal,
        votes_for=votes[0], votes=votes[1], votes_tied=votes[2],
    )  # fmt: skip


def test_people_who_all_say_the_same_do_not_split():
    assert not aimed(0, 0, 5, probability=0.5).kept[0]
    found = aimed(1, 0, 4)
    assert (found.target[0], round(found.weight[0], 12)) == (1.0, 0.8)


def test_a_split_with_some_ties_is_one_all_the_same():
    found = aimed(4, 3, 1)
    assert (found.target[0], found.weight[0], found.kept[0]) == (4.5 / 8, 1.0, True)


def test_an_even_split_has_nothing_to_imitate_overall_and_is_a_tie_of_an_aspect():
    for won, lost in ((3, 3), (2, 3)):
        assert not aimed(won, lost, 0).kept[0]
        tie = aimed(won, lost, 0, equal=np.array([0.1]))
        assert (tie.target[0], tie.weight[0], tie.kept[0]) == (0.5, 1.0, True)
