"""People's blind answers against the reward model: by hand, by symmetry, on a known truth."""

import numpy as np
import pytest

from data_contracts.errors import ShapeError
from finetune.standing import calibration_error, human_comparison


def rng():
    return np.random.default_rng(0)


def test_worked_by_hand():
    """Wins 1 and 0 against .8 and .5 expected: flattered by .15; the tie is a third of answers."""
    told = human_comparison(
        np.array([1.0, 0.5, 0.0]), np.array([0.8, 0.8, 0.5]), ["p", "p", "q"], rng=rng()
    )
    assert (told.prompts, told.answers) == (2, 3)
    assert told.win_share.mean == 0.5
    assert told.overstatement.mean == pytest.approx(0.15)
    assert told.tie_share == pytest.approx(1 / 3)
    assert told.decided_prompts == 2


def test_ties_do_not_make_an_honest_model_flatter():
    """Exactly right on every decided answer (.9 said, 9 of 10 so); 45 % of all answers are ties."""
    decided, ties = 1100, 900
    wins = np.concatenate([np.tile([1.0] * 9 + [0.0], decided // 10), np.full(ties, 0.5)])
    told = human_comparison(
        wins, np.full(len(wins), 0.9), [f"p{i}" for i in range(len(wins))], rng=rng(), resamples=200
    )
    assert told.tie_share == pytest.approx(0.45)
    assert told.overstatement.mean == pytest.approx(0.0)
    assert told.overstatement.low < 0 < told.overstatement.high
    assert told.calibration_error == pytest.approx(0.0)


def test_of_ties_alone_nothing_is_known():
    told = human_comparison(np.full(3, 0.5), np.full(3, 0.9), ["p", "q", "r"], rng=rng())
    assert (told.tie_share, told.decided_prompts) == (1.0, 0)
    assert told.overstatement is None
    assert told.calibration_error is None


def test_seen_from_the_other_side_everything_turns_round():
    draws = rng()
    wins, predicted = draws.integers(0, 3, 60) / 2, draws.uniform(0, 1, 60)
    prompts = [f"p{i % 20}" for i in range(60)]
    one = human_comparison(wins, predicted, prompts, rng=rng())
    other = human_comparison(1 - wins, 1 - predicted, prompts, rng=rng())
    assert one.win_share.low == pytest.approx(1 - other.win_share.high)
    assert one.overstatement.low == pytest.approx(-other.overstatement.high)


def test_recovers_an_honest_model_and_finds_a_flattering_one():
    draws = rng()
    chance = draws.uniform(0.1, 0.9, 20_000)
    wins = (draws.random(20_000) < chance).astype(float)
    prompts = [f"p{i}" for i in range(20_000)]
    honest = human_comparison(wins, chance, prompts, rng=rng(), resamples=200)
    assert honest.overstatement.low < 0 < honest.overstatement.high
    assert honest.calibration_error < 0.02
    flattering = human_comparison(wins, np.sqrt(chance), prompts, rng=rng(), resamples=200)
    assert flattering.overstatement.low > 0.1


def test_certainty_that_is_right_has_no_error():
    assert calibration_error(np.array([1.0, 0.0]), np.array([1.0, 0.0])) == 0.0


def test_refuses_no_answers():
    with pytest.raises(ShapeError):
        human_comparison(np.empty(0), np.empty(0), [], rng=rng())
