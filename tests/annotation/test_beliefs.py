"""What is believed of pairs, and what one more answer would clear up."""

import numpy as np
import pytest

from annotation.beliefs import PairBelief, expected_gain, pair_beliefs
from annotation.comparisons import index_comparisons
from annotation.crowd_bradley_terry import fit_crowd_bradley_terry
from data_contracts.errors import ShapeError

NOUGHT = np.zeros(0, np.int64)


def belief(mean, sd):
    """Pairs of prompts of their own."""
    size = len(mean)
    return PairBelief(
        mean=np.array(mean, float), prompt=np.arange(size), place=np.zeros(size, np.int64),
        covariance=np.square(np.array(sd, float))[:, None, None],
    )  # fmt: skip


def asked(who, first, second, said, *, items=3, people=2):
    arrays = (np.array(each, np.int64) for each in (who, first, second, said))
    comparisons = index_comparisons(*arrays, items=items, annotators=people)
    return comparisons, fit_crowd_bradley_terry(comparisons)


def believed(answers, **more):
    """Pairs (0, 1), (0, 2), (1, 2) of one prompt."""
    first, second = np.array([0, 0, 1]), np.array([1, 2, 2])
    return pair_beliefs(*answers, first, second, np.zeros(3, np.int64), **more)


def test_before_anything_is_known_every_pair_is_even():
    found = believed(asked(NOUGHT, NOUGHT, NOUGHT, NOUGHT))
    np.testing.assert_allclose(found.chance, 0.5)
    np.testing.assert_allclose(found.sd, found.sd[0])


def test_answers_about_two_pairs_tell_of_the_third():
    """0 beat 1 and 1 beat 2, so that 0 against 2 is surer than either, though nobody asked it."""
    found = believed(asked([0, 1] * 4, [0, 1] * 4, [1, 2] * 4, [1, 1] * 4))
    assert found.chance[1] > found.chance[0] > 0.75
    assert found.sd[1] < believed(asked(NOUGHT, NOUGHT, NOUGHT, NOUGHT)).sd[1]


def test_what_the_previous_snapshot_knew_moves_the_mean_and_narrows_it():
    """With nothing answered and scores of variance v, a gap has variance 2 v: the rest is
    precision-weighted, 1 / (1 / (2 v) + 1 / .25), all from the prior's mean."""
    answers = asked(NOUGHT, NOUGHT, NOUGHT, NOUGHT)
    before = believed(answers)
    found = believed(
        answers, prior_mean=np.array([1.0, 0, 0]), prior_sd=np.array([0.5, np.inf, np.inf])
    )
    variance = 1 / (1 / before.sd[0] ** 2 + 1 / 0.25)
    assert found.sd[0] ** 2 == pytest.approx(variance)
    assert found.mean[0] == pytest.approx(variance / 0.25)
    assert found.mean[1] == pytest.approx(found.mean[0] / 2)


def test_more_is_expected_where_less_is_known_and_nothing_where_all_is():
    gain = expected_gain(belief([0, 1, 6], [1, 1, 1]), np.ones(1), np.zeros(1))[:, 0]
    assert gain[0] > gain[1] > gain[2]
    assert gain[2] < 1e-3


def test_nothing_is_expected_from_a_guesser_and_as_much_from_a_liar_as_from_a_friend():
    gain = expected_gain(belief([0.3], [1]), np.array([1.0, 0.0, -1.0, 2.0]), np.full(4, 0.4))[0]
    assert gain[1] == pytest.approx(0, abs=1e-9)
    assert gain[2] == pytest.approx(gain[0])
    assert gain[3] > gain[0]


def test_a_question_that_tells_of_its_whole_prompt_is_worth_more():
    """Two pairs of one prompt with the same gap, against the same pair on its own."""
    together = PairBelief(mean=np.zeros(2), prompt=np.zeros(2, np.int64), place=np.arange(2),
                          covariance=np.ones((1, 2, 2)))  # fmt: skip
    alone = expected_gain(belief([0], [1]), np.ones(1), np.zeros(1))[0, 0]
    gain = expected_gain(together, np.ones(1), np.zeros(1))
    np.testing.assert_allclose(gain[:, 0], 2 * alone)


def test_expected_gain_is_never_negative_nor_more_than_there_is():
    rng = np.random.default_rng(3)
    found = belief(rng.normal(size=200), rng.uniform(0.1, 3, 200))
    gain = expected_gain(found, rng.normal(size=5), rng.uniform(0, 1, 5))
    assert gain.min() >= 0
    assert (gain <= (4 * found.chance * (1 - found.chance))[:, None] + 1e-9).all()


def test_pairs_across_prompts_are_refused():
    answers = asked(NOUGHT, NOUGHT, NOUGHT, NOUGHT)
    with pytest.raises(ShapeError, match="two prompts"):
        pair_beliefs(*answers, np.array([0]), np.array([2]), np.array([0, 0, 1]))
    with pytest.raises(ShapeError, match="prompts for 3 items"):
        pair_beliefs(*answers, np.array([0]), np.array([1]), np.array([0, 0]))
