"""The latent-intent model: what users meant, fused with what annotators said."""

import numpy as np
import pyarrow as pa
import pytest
from annotation_rows import annotations, comparison, generations, rating
from click_rows import world

from data_contracts.errors import ContractError
from pipelines.preferences import IntentSettings, fit_intent, naive_scores
from pipelines.signals import drop_counts


def rank_correlation(a, b):
    return float(np.corrcoef(np.argsort(np.argsort(a)), np.argsort(np.argsort(b)))[0, 1])


def test_finds_quality_and_mockers_where_downloads_mislead():
    w = world(mockers=0.5)
    fit = fit_intent(w.exposures, None, generations=w.generations)
    assert rank_correlation(fit.expected_class(), w.quality) > 0.85
    naive = naive_scores(w.exposures)["score"].to_numpy()
    assert rank_correlation(naive, w.quality) < 0.5
    assert fit.user_mock_share[w.mocks].min() > fit.user_mock_share[~w.mocks].max()
    assert fit.intent_shares["mock"] == pytest.approx(0.5, abs=0.15)
    np.testing.assert_allclose(
        [fit.eta[f"grid:{k}"] for k in range(4)], [0.95, 0.8, 0.6, 0.45], atol=0.06
    )
    assert fit.converged


def test_answers_alone_find_quality_and_the_reversed_annotator():
    w = world(rated=1.0)
    fit = fit_intent(None, w.annotations, generations=w.generations)
    assert rank_correlation(fit.expected_class(), w.quality) > 0.9
    turned = {r["annotator_id"]: r["reversed"] for r in fit.annotators.to_pylist()}
    assert turned["turned"] > 0.9
    assert turned["ann"] < 0.1
    assert fit.users == ()


def test_comparisons_alone_find_quality():
    rng = np.random.default_rng(4)
    quality = rng.random(60)
    rows = []
    for _ in range(1500):
        a, b = rng.choice(60, 2, replace=False)
        value = np.sign(quality[a] - quality[b] + 0.1 * rng.normal())
        rows.append(comparison(f"g{a:04d}", f"g{b:04d}", f"a{rng.integers(5)}", value))
    fit = fit_intent(None, annotations(rows), generations=generations(60))
    assert rank_correlation(fit.expected_class(), quality) > 0.9


def upside_down(*, seed=5, items=60, turned=3):
    """Five who compare, most of them the wrong way round; gold for a fifth of the generations."""
    rng = np.random.default_rng(seed)
    quality = rng.permutation(items) / items
    known = np.flatnonzero(rng.random(items) < 0.2)
    places = [rng.choice(items, 2, replace=False) for _ in range(500)]
    places += [rng.choice(known, 2, replace=False) for _ in range(60)]
    rows = []
    for n, (a, b) in enumerate(places):
        said = np.sign(quality[a] - quality[b] + 0.1 * rng.normal())
        who = n % 5
        rows.append(
            comparison(f"g{a:04d}", f"g{b:04d}", f"a{who}", -said if who < turned else said)
        )
    gold = pa.table(
        {
            "generation_id": [f"g{n:04d}" for n in known],
            "aspect": ["overall"] * len(known),
            "value": [1.0 + np.floor(5 * quality[n]) for n in known],
        }
    )
    return quality, rows, gold


def test_gold_shows_that_most_who_compare_do_so_upside_down():
    """Their answers are used the right way round, not believed: they order what is not gold."""
    quality, rows, gold = upside_down()
    fit = fit_intent(None, annotations(rows), generations=generations(60), gold=gold)
    hidden = ~np.isin(fit.generation_ids, gold["generation_id"].to_pylist())
    assert rank_correlation(fit.expected_class()[hidden], quality[hidden]) > 0.9
    turned = {row["annotator_id"]: row["reversed"] for row in fit.annotators.to_pylist()}
    assert [turned[f"a{n}"] > 0.5 for n in range(5)] == [True, True, True, False, False]


def test_who_rates_upside_down_is_taken_to_compare_so():
    """Gold was only rated; the comparisons of two generations that nobody rated are turned."""
    gold = upside_down()[2]
    rated = [
        rating(name, who, 6 - value if who == "turned" else value)
        for name, value in zip(
            *(gold[c].to_pylist() for c in ("generation_id", "value")), strict=True
        )
        for who in ("turned", "honest")
    ]
    free = [f"g{n:04d}" for n in range(60)]
    first, second = [name for name in free if name not in gold["generation_id"].to_pylist()][:2]
    told = [*rated, comparison(first, second, "turned", -1)]
    fit = fit_intent(None, annotations(told), generations=generations(60), gold=gold)
    place = {name: n for n, name in enumerate(fit.generation_ids)}
    assert fit.expected_class()[place[first]] > fit.expected_class()[place[second]] + 0.05


def test_answers_add_to_clicks():
    w = world(shown=2000, rated=0.3)
    clicks = fit_intent(w.exposures, None, generations=w.generations)
    both = fit_intent(w.exposures, w.annotations, generations=w.generations)
    assert rank_correlation(both.expected_class(), w.quality) > rank_correlation(
        clicks.expected_class(), w.quality
    )


def test_an_aspect_speaks_for_the_class_through_its_link():
    rows = [rating("g0000", a, 5, aspect="aesthetics") for a in "abc"]
    fit = fit_intent(None, annotations(rows), generations=generations(2))
    assert set(fit.aspects) == {"overall", "aesthetics"}
    assert fit.expected_class("aesthetics")[0] > fit.expected_class()[0] > 0.6
    np.testing.assert_allclose(fit.expected_class()[1], 0.5)


def test_gold_is_clamped_whatever_annotators_say():
    gold = pa.table({"generation_id": ["g0000"], "aspect": ["overall"], "value": [1.0]})
    rows = annotations([rating("g0000", a, 5) for a in "abc"])
    five = IntentSettings(classes=5)
    fit = fit_intent(None, rows, generations=generations(2), gold=gold, settings=five)
    np.testing.assert_allclose(fit.posterior[0], [1, 0, 0, 0, 0])


def test_side_bias_is_not_taken_for_quality():
    """One annotator always takes the left; shown each way round, that says nothing."""
    rows = [
        comparison("g0000", "g0001", f"a{n}", 1 if n % 2 else -1,
                   shown_left="g0000" if n % 2 else "g0001")
        for n in range(10)
    ]  # fmt: skip
    fit = fit_intent(None, annotations(rows), generations=generations(2))
    np.testing.assert_allclose(fit.posterior[0], fit.posterior[1], atol=1e-6)


def test_row_order_does_not_matter():
    w = world(items=60, shown=1500, rated=0.9)
    rng = np.random.default_rng(9)
    shuffled = [t.take(rng.permutation(t.num_rows)) for t in (w.exposures, w.annotations)]
    first = fit_intent(w.exposures, w.annotations, generations=w.generations)
    second = fit_intent(*shuffled, generations=w.generations.take(rng.permutation(60)))
    assert first.generation_ids == second.generation_ids
    assert np.array_equal(first.posterior, second.posterior)
    assert np.array_equal(first.user_intents, second.user_intents)


def test_renaming_users_and_annotators_changes_nothing():
    w = world(items=60, shown=1500, rated=0.5)
    other = w.exposures.set_column(
        w.exposures.schema.get_field_index("user_id"), "user_id",
        pa.array([f"z{999 - int(u[1:])}" for u in w.exposures["user_id"].to_pylist()]),
    )  # fmt: skip
    first = fit_intent(w.exposures, w.annotations, generations=w.generations)
    second = fit_intent(other, w.annotations, generations=w.generations)
    np.testing.assert_allclose(first.posterior, second.posterior, atol=1e-9)


def test_no_evidence_leaves_every_class_equally_likely():
    fit = fit_intent(None, None, generations=generations(3))
    np.testing.assert_allclose(fit.posterior, 1 / fit.posterior.shape[1])
    assert fit.has_evidence.sum() == 0
    assert fit.converged


@pytest.mark.parametrize("rows", [
    [rating("g0000", "a", 3)],
    [rating(f"g{n:04d}", "a", 1) for n in range(3)],
    [rating("g0000", None, 2), rating("g0000", None, 2)],
    [comparison("g0000", "g0001", "a", 0)] * 3,
    [rating("g0000", "a", float("nan")), comparison("g0000", "g0001", "a", None)],
])  # fmt: skip
def test_poor_answers_give_no_nan(rows):
    fit = fit_intent(None, annotations(rows), generations=generations(3))
    assert np.isfinite(fit.posterior).all()


def test_unusable_answers_are_counted():
    rows = [
        rating("g0000", "a", 9), rating("nowhere", "a", 2), rating("g0001", "a", 2),
        rating("g0001", "a", 3), rating("g0002", "a", 1, kind="comment"),
        rating("g0002", "a", None), comparison("g0002", "g0002", "a", 1),
        rating("g0000", "b", 9, scale="0..10"),
    ]  # fmt: skip
    fit = fit_intent(None, annotations(rows), generations=generations(3))
    assert drop_counts(fit.drops) == {
        "cannot_judge": 1, "compared_with_itself": 1, "not_an_answer": 1, "off_scale": 1,
        "repeated_answer": 1, "unknown_generation": 1,
    }  # fmt: skip


def test_one_annotator_who_repeats_himself_counts_once():
    once = annotations([rating("g0000", "a", 5)])
    often = annotations([rating("g0000", "a", 5)] * 10_000)
    first = fit_intent(None, once, generations=generations(2))
    second = fit_intent(None, often, generations=generations(2))
    np.testing.assert_allclose(first.posterior, second.posterior)


def test_refuses_no_generations_and_impossible_gold():
    with pytest.raises(ContractError, match="no rows"):
        fit_intent(None, None, generations=generations(0))
    gold = pa.table({"generation_id": ["g0000"], "aspect": ["overall"], "value": [7.0]})
    with pytest.raises(ContractError, match="no level"):
        fit_intent(None, None, generations=generations(1), gold=gold)
    with pytest.raises(ContractError, match="2 classes"):
        IntentSettings(classes=1)
