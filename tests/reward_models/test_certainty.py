"""Bootstrap intervals and calibration: known truth comes back."""

import numpy as np
import pytest
from scipy.special import expit

from data_contracts.errors import ShapeError
from reward_models.calibration import fit_calibration
from reward_models.interval import cluster_bootstrap


def rng():
    return np.random.default_rng(4)


def test_an_interval_worked_by_hand():
    """One cluster holds everything: every resample is the mean (0 + 1 + 1) / 3."""
    interval = cluster_bootstrap(np.array([0.0, 1.0, 1.0]), ["p", "p", "p"], rng=rng())
    assert interval.low == interval.mean == interval.high == pytest.approx(2 / 3)


def test_an_interval_has_the_width_of_theory():
    """400 coin flips: standard error sqrt(.25 / 400) = .025, half-width 1.96 of it."""
    values = np.repeat([0.0, 1.0], 200)
    interval = cluster_bootstrap(values, rng=rng(), resamples=4000)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * 0.025, rel=0.08)


def test_copies_within_a_cluster_do_not_narrow_it():
    values = rng().normal(size=100)
    alone = cluster_bootstrap(values, rng=rng())
    copied = cluster_bootstrap(
        np.repeat(values, 9), [f"p{i:03d}" for i in np.repeat(np.arange(100), 9)], rng=rng()
    )
    assert copied.low == pytest.approx(alone.low)
    assert copied.high == pytest.approx(alone.high)


def test_one_generator_gives_one_interval():
    values = rng().normal(size=30)
    assert cluster_bootstrap(values, rng=rng()) == cluster_bootstrap(values, rng=rng())


def test_an_interval_refuses_nothing():
    with pytest.raises(ShapeError):
        cluster_bootstrap(np.empty(0), rng=rng())
    with pytest.raises(ShapeError):
        cluster_bootstrap(np.ones(3), ["p"], rng=rng())


def test_calibration_recovers_the_slope_that_made_the_answers():
    one, other = rng().normal(3.0, 1.0, (2, 20_000))
    truth = 0.7
    wins = rng().random(20_000) < expit(truth * (one - other))
    fitted = fit_calibration(one, other, wins.astype(float), np.ones(20_000))
    assert fitted.slope == pytest.approx(truth, abs=0.03)
    assert fitted.centre == pytest.approx(3.0, abs=0.03)


def test_calibration_does_not_care_which_side_is_called_chosen():
    one, other, target = rng().random((3, 200))
    weight = np.ones(200)
    swapped = fit_calibration(other, one, 1 - target, weight)
    assert fit_calibration(one, other, target, weight).slope == pytest.approx(swapped.slope)


def test_perfect_separation_stays_finite_and_worse_than_chance_is_flattened():
    ones, zeros = np.ones(50), np.zeros(50)
    perfect = fit_calibration(ones, zeros, ones, ones)
    assert perfect.slope == pytest.approx(np.log(51 / 1), abs=1e-6)  # odds of (50 + 1) to 1
    assert 0 < fit_calibration(zeros, ones, ones, ones).slope < 2e-3
    assert fit_calibration(ones, ones, ones, ones).slope == 1.0
