"""Calibration recovers the slope and tie width that made the answers, errors and lengths known."""

import numpy as np
import pytest

from reward_models.aspect_calibration import AspectCalibration, fit_aspect_calibration
from reward_models.aspect_report import (
    JudgedPairs,
    aspect_figures,
    calibration_error,
    reliability,
)
from reward_models.ties import outcome_chances

SLOPE, WIDTH = 0.5, 0.6


def answers(count, *, flips=0.0, by_length=0.0, seed=0):
    """Draw raw leads and what people with some errors say; the winner is put first."""
    rng = np.random.default_rng(seed)
    raw, longer = rng.normal(0, 3, count), rng.normal(0, 0.5, count)
    chances = outcome_chances(SLOPE * raw + by_length * longer, WIDTH)
    said = (rng.random(count)[:, None] > chances.cumsum(1)).sum(1)  # 0 first, 1 tie, 2 second
    wrong = rng.random(count) < flips
    said = np.where(wrong, 2 - said, said)
    turn = np.where(said == 2, -1.0, 1.0)
    masses = np.stack([said != 1, said == 1], 1).astype(float)
    return raw * turn, longer * turn, masses


def fitted(margin, longer, masses, weight=1.0):
    return fit_aspect_calibration(margin, longer, masses, np.full(len(margin), weight))


def test_recovers_slope_and_tie_width():
    margin, _, masses = answers(20_000)
    found = fitted(margin, np.zeros(len(margin)), masses)
    assert found.slope == pytest.approx(SLOPE, rel=0.05)
    assert found.width == pytest.approx(WIDTH, rel=0.05)
    assert found.length == 0


def decided(*, flips):
    """Return only the answers that are no ties."""
    margin, _, masses = answers(20_000, flips=flips)
    kept = masses[:, 0] == 1
    return margin[kept], np.zeros(int(kept.sum())), masses[kept]


def test_known_errors_do_not_flatten_the_slope():
    """One answer in ten says the opposite; its weight .8 says that it is right nine times."""
    clean = fitted(*decided(flips=0.0)).slope
    assert fitted(*decided(flips=0.1), weight=0.8).slope == pytest.approx(clean, rel=0.1)
    assert fitted(*decided(flips=0.1), weight=1.0).slope < 0.8 * clean


def test_length_that_scores_overrate_is_taken_out():
    """Raw scores give every e-fold of tokens 2 more than people do: 2 * slope must come off."""
    margin, longer, masses = answers(20_000)
    found = fitted(margin + 2 * longer, longer, masses)
    assert found.slope == pytest.approx(SLOPE, rel=0.05)
    assert found.length == pytest.approx(-2 * SLOPE, rel=0.1)


def test_a_model_worse_than_chance_is_flattened_never_flipped():
    margin, _, masses = answers(2_000)
    found = fitted(-margin, np.zeros(len(margin)), masses)
    assert 0 < found.slope < 0.02


def test_perfect_separation_stays_finite():
    masses = np.tile([1.0, 0.0], (50, 1))
    found = fitted(np.full(50, 2.0), np.zeros(50), masses)
    assert np.isfinite(found.slope)
    assert found.slope > 0.5


def test_nothing_to_fit_keeps_the_models_width():
    empty = np.empty(0)
    found = fit_aspect_calibration(empty, empty, np.empty((0, 2)), empty, width=0.4)
    assert found == AspectCalibration(width=0.4)


def test_a_calibrated_model_has_no_calibration_error():
    margin, _, masses = answers(40_000)
    decided = masses[:, 0] == 1
    error = calibration_error(reliability(SLOPE * margin[decided], WIDTH))
    assert error < 0.015
    assert calibration_error(reliability(4 * SLOPE * margin[decided], WIDTH)) > 0.1


def test_accuracy_with_and_without_ties_by_hand():
    """Leads 3, -3, .1, 0 with width 1: win, loss, tie, tie; said win, win, win, tie."""
    pairs = JudgedPairs(
        margin=np.array([3.0, -3.0, 0.1, 0.0]), longer=np.zeros(4),
        masses=np.array([[1.0, 0], [1, 0], [1, 0], [0, 1]]), weight=np.ones(4),
        prompts=np.array(["a", "b", "c", "d"]),
    )  # fmt: skip
    found = aspect_figures(
        pairs, calibrated=(AspectCalibration(width=1.0),), rng=np.random.default_rng(0)
    )
    assert found.accuracy.mean == pytest.approx(2 / 3)
    assert found.accuracy_with_ties.mean == pytest.approx(2 / 4)
    assert (found.pairs, found.ties, found.length) == (4, 1, None)
