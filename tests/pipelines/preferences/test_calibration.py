"""How far signals are believed: temperature from gold, unlogged signals, firm or loose priors."""

import numpy as np
import pyarrow as pa
import pytest
from annotation_rows import annotations, generations, rating

from pipelines.preferences import IntentSettings, fit_intent
from pipelines.preferences.calibration import UNTRIED, calibrate
from pipelines.preferences.channels import gold_chances
from pipelines.preferences.click_model import designed, logged_only
from pipelines.preferences.firmness import choose_firmness, loosened

EVEN = np.full(5, 0.2)


def believed(items, *, sureness, seed=0):
    """Log chances of five classes that are *sureness* times as sure as they may be, and gold."""
    rng = np.random.default_rng(seed)
    level = rng.integers(0, 5, items)
    seen = level + rng.normal(0, 1.2, items)
    honest = -0.5 * ((np.arange(5)[None] - seen[:, None]) / 1.2) ** 2
    return sureness * honest, level


@pytest.mark.parametrize(("sureness", "low", "high"), [(2.0, 1.5, 2.1), (1.0, 0.85, 1.15)])
def test_gold_finds_by_how_much_signals_are_too_sure(sureness, low, high):
    clicks, level = believed(2000, sureness=sureness)
    made = calibrate(clicks, EVEN, np.ones(2000), (np.arange(2000), level))
    assert low < made.temperature < high
    assert made.after >= made.before
    assert made.judged == 2000


def test_too_little_gold_or_none_leaves_the_default():
    clicks, level = believed(19, sureness=3.0)
    assert calibrate(clicks, EVEN, np.ones(19), (np.arange(19), level)) == UNTRIED
    assert calibrate(clicks, EVEN, np.ones(19), None) == UNTRIED
    clicks, level = believed(40, sureness=3.0)
    unseen = np.zeros(40)
    assert calibrate(clicks, EVEN, unseen, (np.arange(40), level)) == UNTRIED


def test_gold_levels_share_finer_classes_by_hand():
    """Ten classes: each level covers two; seven: the first level covers 1.4 classes."""
    np.testing.assert_allclose(gold_chances(10)[0], [1, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(gold_chances(7)[0], [1, 0.4, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(gold_chances(7).sum(axis=0), 1.0)


def test_a_signal_nobody_ever_gave_is_impossible_not_meaningful():
    table = type("Table", (), {})()
    table.bits = np.zeros((2, designed(5).shape[2]))
    table.bits[1, 0] = 1.0
    table.key_counts = np.array([1, 2])
    chances = logged_only(designed(5), table)
    np.testing.assert_allclose(chances[..., 0], designed(5)[..., 0])
    assert chances[..., 1:].max() < 1e-4


def crew(levels, *, honest, turned, rng, gold=()):
    """Ratings of every generation by honest and by reversed annotators, with slips."""
    rows = []
    for n, level in enumerate(levels):
        names = [f"h{k}" for k in range(honest)] + [f"z{k}" for k in range(turned)]
        for name in names:
            seen = int(np.clip(level + rng.integers(-1, 2), 1, 5))
            rows.append(rating(f"g{n:04d}", name, 6 - seen if name[0] == "z" else seen))
    known = pa.table(
        {
            "generation_id": [f"g{n:04d}" for n in gold],
            "aspect": ["overall"] * len(gold),
            "value": [float(levels[n]) for n in gold],
        }
    )
    return annotations(rows), known if gold else None


def test_gold_turns_a_majority_round_that_answers_upside_down():
    rng = np.random.default_rng(0)
    levels = rng.integers(1, 6, 60)
    told, gold = crew(levels, honest=3, turned=6, rng=rng, gold=tuple(range(12)))
    fit = fit_intent(None, told, generations=generations(60), gold=gold)
    assert np.corrcoef(fit.expected_class()[12:], levels[12:])[0, 1] > 0.8
    turned = {row["annotator_id"]: row["reversed"] for row in fit.annotators.to_pylist()}
    assert min(share for name, share in turned.items() if name[0] == "z") > 0.5
    assert max(share for name, share in turned.items() if name[0] == "h") < 0.5


def test_without_gold_the_majority_is_followed():
    """Nothing could tell otherwise; the how-to says so."""
    rng = np.random.default_rng(0)
    levels = rng.integers(1, 6, 60)
    told, _ = crew(levels, honest=3, turned=6, rng=rng)
    fit = fit_intent(None, told, generations=generations(60))
    assert np.corrcoef(fit.expected_class(), levels)[0, 1] < 0


def test_firmness_is_tried_only_where_exposures_are_few():
    settings = IntentSettings()
    assert choose_firmness(None, (), settings=settings) == (settings.clicks, {})
    assert loosened(settings.clicks).signal_strength < settings.clicks.signal_strength
    off = IntentSettings(adapt=False)
    assert choose_firmness(None, (), settings=off) == (off.clicks, {})
