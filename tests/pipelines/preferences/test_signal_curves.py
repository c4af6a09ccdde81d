"""Lines over quality classes, and priors anchored where people answered."""

import numpy as np
import pyarrow as pa
from scipy.special import expit
from test_intent import rank_correlation, world

from pipelines.preferences import fit_intent
from pipelines.preferences.click_model import designed
from pipelines.preferences.signal_curves import class_powers, fit_curves, line_through
from pipelines.signals import SIGNAL_NAMES


def test_recovers_the_line_that_made_the_counts():
    """Given counts equal to their expectation, the most likely line is the true one."""
    line = np.array([[-1.0, 0.5], [0.8, -1.2]])
    chances = expit(class_powers(5) @ line)
    times = np.array([100.0, 300.0, 200.0, 50.0, 400.0])
    np.testing.assert_allclose(fit_curves(times[:, None] * chances, times), chances, atol=1e-5)
    np.testing.assert_allclose(line_through(chances), line)


def test_a_signal_that_says_nothing_gives_a_flat_line():
    times = np.full(5, 200.0)
    flat = fit_curves(np.full((5, 1), 20.0), times)
    np.testing.assert_allclose(flat, 0.1, atol=1e-6)


def test_designed_chances_are_flat_for_the_indiscriminate():
    chances = designed(5)
    assert (np.diff(chances[2], axis=0) == 0).all()
    assert (np.diff(chances[0][:, SIGNAL_NAMES.index("like")]) > 0).all()


def reversed_world():
    """Everybody likes the bad and regenerates the good: swap both signals' quality."""
    w = world(mockers=0.0, rated=0.5)
    flipped = dict(zip(range(300), np.argsort(np.argsort(-w.quality)), strict=True))
    by_rank = np.argsort(w.quality)
    names = [f"g{by_rank[flipped[n]]:04d}" for n in range(300)]
    place = {f"g{n:04d}": name for n, name in enumerate(names)}
    at = w.exposures.schema.get_field_index("generation_id")
    turned = pa.array([place[g] for g in w.exposures["generation_id"].to_pylist()])
    w.exposures = w.exposures.set_column(at, "generation_id", turned)
    return w


def test_reversed_signs_are_found_where_people_answered():
    w = reversed_world()
    blind = fit_intent(w.exposures, None, generations=w.generations)
    told = fit_intent(w.exposures, w.annotations, generations=w.generations)
    silent = ~np.isin(told.generation_ids, w.annotations["generation_id"].to_pylist())
    assert rank_correlation(blind.expected_class(), w.quality) < 0
    assert told.prior == "anchored"
    assert rank_correlation(told.expected_class()[silent], w.quality[silent]) > 0.7


def test_right_signs_keep_most_of_their_accuracy():
    w = world(mockers=0.3, rated=0.3)
    fit = fit_intent(w.exposures, w.annotations, generations=w.generations)
    assert set(fit.prior_scores) == {"designed", "anchored"}
    assert rank_correlation(fit.expected_class(), w.quality) > 0.85
