"""The demo's figures: paired intervals over prompts and seeds."""

import numpy as np

from pipelines.demo_report import _bootstrap, _measures, _stages
from pipelines.outcome import _auc


def test_the_mean_weighs_seeds_alike():
    mean, low, high = _bootstrap([np.array([1.0, 3.0]), np.array([5.0])])
    assert mean == 3.5
    assert low <= mean <= high


def test_seeds_that_disagree_widen_the_interval():
    rng = np.random.default_rng(0)
    values = rng.normal(0, 1, 300)
    _, low, high = _bootstrap([values, values, values])
    _, wide_low, wide_high = _bootstrap([values - 3, values, values + 3])
    assert wide_high - wide_low > 3 * (high - low)


def test_an_interval_covers_what_is_true():
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(60):
        _, low, high = _bootstrap([rng.normal(2.0, 1.0, 200)])
        hits += low <= 2.0 <= high
    assert hits >= 50


def test_the_same_figures_come_out_twice():
    values = [np.random.default_rng(s).normal(size=50) for s in range(3)]
    assert _bootstrap(values) == _bootstrap(values)


def test_validity_is_given_only_where_it_was_measured():
    outcome = {"turn": 1, "overall": [[50.0, 70.0]]}
    outcome["aspects"] = {
        name: [[0.5, 0.7]] for name in ("prompt_alignment", "physical_plausibility", "aesthetics")
    }
    row = _measures([outcome])
    assert row["quality"]["overall"]["mean"] == 60.0
    assert "validity" not in row


def test_a_mocker_that_always_scores_higher_is_found_surely():
    assert _auc(np.array([0.1, 0.2, 0.9]), np.array([False, False, True])) == 1.0
    assert _auc(np.array([0.5, 0.5]), np.array([False, True])) == 0.5
    assert _auc(np.array([0.5, 0.5]), np.array([True, True])) is None


def test_steps_are_gathered_into_stages():
    assert _stages({"finetune__dpo_policy": 2.0, "traces__events": 1.0, "x": 0.5}) == {
        "DPO": 2.0,
        "tables": 1.5,
    }
