import numpy as np
import pytest

from pipelines.world.scoring import interval


def test_covers_the_known_mean_nineteen_times_in_twenty():
    """400 samples of 80: 95 % give or take 2.2, two standard errors."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        _, low, high = interval(rng.normal(3.0, 2.0, 80), rng=rng, resamples=400)
        covered += low <= 3.0 <= high
    assert 0.915 < covered / 400 < 0.975


def test_is_as_wide_as_theory_says():
    """2 x 1.96 x 2 / sqrt(400) = 0.392."""
    rng = np.random.default_rng(1)
    mean, low, high = interval(rng.normal(0.0, 2.0, 400), rng=rng)
    assert low < mean < high
    assert high - low == pytest.approx(0.392, rel=0.12)


def test_samples_of_one_prompt_are_not_counted_as_many_prompts():
    """Four copies of a value know no more than one: same interval, not half as wide."""
    values = np.random.default_rng(2).normal(size=(100, 1))
    one = interval(values, rng=np.random.default_rng(0))
    four = interval(np.repeat(values, 4, axis=1), rng=np.random.default_rng(0))
    assert four == pytest.approx(one)
    assert interval(values[:, 0], rng=np.random.default_rng(0)) == pytest.approx(one)


def test_the_same_generator_gives_the_same_interval():
    values = np.random.default_rng(2).normal(size=50)
    first, second = (interval(values, rng=np.random.default_rng(7)) for _ in range(2))
    assert first == second


def test_no_spread_no_width():
    assert interval(np.full(9, 4.0), rng=np.random.default_rng(0)) == (4.0, 4.0, 4.0)


def test_nothing_measured_is_not_a_number():
    assert np.isnan(interval(np.empty(0), rng=np.random.default_rng(0))).all()
