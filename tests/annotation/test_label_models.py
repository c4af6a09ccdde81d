"""Majority, one-coin, Dawid-Skene, MACE and the ordinal model."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from crowdkit.aggregation import DawidSkene
from crowds import indexed, skilled_crowd

from annotation.answers import index_answers, number_names
from annotation.dawid_skene import fit_dawid_skene
from annotation.label_fit import EmSettings, label_posterior, run_em
from annotation.mace import fit_mace
from annotation.ordinal import fit_ordinal
from annotation.simple_models import fit_majority, fit_one_coin
from data_contracts.errors import ContractError, ShapeError


def mace(answers, **more):
    return fit_mace(answers, rng=np.random.default_rng(0), **more)


MODELS = [fit_majority, fit_one_coin, fit_dawid_skene, mace, fit_ordinal]
every_model = pytest.mark.parametrize("fit", MODELS, ids=lambda fit: fit.__name__)
CLASSIC = EmSettings(max_iterations=25, tolerance=None, share_smoothing=0, vote_smoothing=0)


@pytest.mark.parametrize("seed", range(4))
def test_without_a_prior_it_is_the_dawid_skene_of_crowd_kit(seed):
    """Both run 25 iterations from the vote; the clip of 1e-10 is the same."""
    _, (task, annotator, label) = skilled_crowd(seed=seed, classes=4, per_task=3)
    answers = indexed((task, annotator, label), tasks=400, annotators=12, classes=4)
    ours = fit_dawid_skene(answers, pool_strength=0, settings=CLASSIC)
    frame = pd.DataFrame({"task": task, "worker": annotator, "label": label})
    oracle = DawidSkene(n_iter=25, tol=-np.inf).fit(frame)
    assert len(oracle.loss_history_) == ours.iterations == 25
    expected = oracle.probas_.reindex(range(400))[list(range(4))].to_numpy()
    np.testing.assert_allclose(ours.posterior, expected, atol=1e-8)
    np.testing.assert_allclose(
        ours.class_shares, oracle.priors_.reindex(range(4)).to_numpy(), atol=1e-8
    )


def test_one_coin_by_hand():
    """One task, two annotators who agree, no prior: the first E-step is sure within .01."""
    answers = indexed(([0, 0], [0, 1], [1, 1]), tasks=1, annotators=2, classes=2)
    fit = fit_one_coin(answers, settings=EmSettings(max_iterations=1))
    votes = np.array([0.01, 2.01]) / 2.02
    pool = (2 * votes[1] + 1) / 4
    chance = (votes[1] + 4 * pool) / 5
    share = np.array([votes[0] + 1, votes[1] + 1]) / 3
    odds = share[1] * chance**2 / (share[0] * (1 - chance) ** 2)
    assert fit.posterior[0, 1] == pytest.approx(odds / (1 + odds))


@pytest.mark.parametrize("fit", MODELS[:4], ids=lambda fit: fit.__name__)
def test_better_annotators_are_found_and_truth_is_recovered(fit):
    truth, rows = skilled_crowd(tasks=800, seed=3, low=0.45)
    answers = indexed(rows, tasks=800, annotators=12, classes=3)
    found = fit(answers)
    assert (found.posterior.argmax(axis=1) == truth).mean() > 0.85
    np.testing.assert_allclose(found.posterior.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(found.confusions.sum(axis=2), 1, atol=1e-9)
    accuracy = np.bincount(rows[1], rows[2] == truth[rows[0]]) / np.bincount(rows[1])
    judged = np.einsum("c,rcc->r", found.class_shares, found.confusions)
    assert np.corrcoef(accuracy, judged)[0, 1] > 0.8


def test_dawid_skene_hears_one_who_always_swaps_two_classes():
    """A reader of the scale upside down is worth as much as an honest one; a vote loses it."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 500)
    task, annotator = np.repeat(np.arange(500), 5), np.tile(np.arange(5), 500)
    right = rng.random(2500) < np.array([0.8, 0.8, 0.8, 0.05, 0.05])[annotator]
    answers = indexed(
        (task, annotator, np.where(right, truth[task], 1 - truth[task])),
        tasks=500, annotators=5, classes=2,
    )  # fmt: skip
    heard = (fit_dawid_skene(answers).posterior.argmax(axis=1) == truth).mean()
    voted = (fit_majority(answers).posterior.argmax(axis=1) == truth).mean()
    assert heard > 0.95
    assert voted < 0.75


def test_a_start_of_mace_can_lose_and_the_likeliest_is_kept():
    """Every start draws anew, so more of them never find less likely answers."""
    _, rows = skilled_crowd(tasks=60, annotators=20, classes=2, per_task=3, low=0.2, seed=5)
    answers = indexed(rows, tasks=60, annotators=20, classes=2)
    short = EmSettings(max_iterations=10)
    few = [
        fit_mace(answers, rng=np.random.default_rng(s), starts=2, settings=short).log_likelihood
        for s in range(12)
    ]
    many = fit_mace(answers, rng=np.random.default_rng(0), starts=20).log_likelihood
    assert len({round(value, 6) for value in few}) > 1
    assert many >= max(few) - 1e-6


def test_the_ordinal_model_learns_who_leans_up_the_scale():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 5, 600)
    task, annotator = np.repeat(np.arange(600), 4), np.tile(np.arange(4), 600)
    lean = np.array([0.0, 0.0, 1.0, 1.0])[annotator]
    label = np.clip(np.rint(truth[task] + lean + rng.normal(0, 0.6, 2400)), 0, 4).astype(int)
    answers = indexed((task, annotator, label), tasks=600, annotators=4, classes=5)
    fit = fit_ordinal(answers)
    said = fit.confusions @ np.arange(5)  # (r, c) expected level
    assert said[2:, 2].min() > said[:2, 2].max() + 0.7
    few = fit_ordinal(answers).posterior.argmax(axis=1)
    assert (few == truth).mean() > (fit_majority(answers).posterior.argmax(axis=1) == truth).mean()


@every_model
def test_gold_is_taken_as_it_is(fit):
    _, rows = skilled_crowd(tasks=50, seed=2)
    answers = indexed(rows, tasks=50, annotators=12, classes=3)
    gold = np.full(50, -1, dtype=np.int32)
    gold[7] = 2
    np.testing.assert_array_equal(fit(answers, gold=gold).posterior[7], [0, 0, 1])


@pytest.mark.parametrize("fit", [fit_one_coin, fit_dawid_skene, fit_ordinal])
def test_a_newcomer_begins_at_the_pool(fit):
    """One without answers is taken for the average annotator, not for a perfect or useless one."""
    _, rows = skilled_crowd(tasks=300, seed=4)
    found = fit(indexed(rows, tasks=300, annotators=13, classes=3)).confusions
    right = np.einsum("rcc->rc", found).mean(axis=1)
    assert right[:12].min() < right[12] < right[:12].max()
    assert right[12] == pytest.approx(right[:12].mean(), abs=0.06)


@every_model
@pytest.mark.parametrize(
    "rows",
    [
        ([], [], []),
        ([0, 1, 2], [0, 0, 0], [1, 0, 1]),
        ([0, 1, 2, 0, 1], [0, 0, 0, 1, 1], [1, 1, 1, 1, 1]),
        (np.zeros(10_000), np.zeros(10_000), np.ones(10_000)),
        (np.zeros(10_000), np.zeros(10_000), np.arange(10_000) % 2),
        (np.zeros(3000), np.arange(3000) % 50, np.ones(3000)),
    ],
    ids=[
        "empty",
        "one annotator",
        "one class",
        "one said it 1e4 times",
        "and both ways",
        "a crowd",
    ],
)
def test_strange_crowds_give_finite_answers(fit, rows):
    found = fit(indexed(rows, tasks=3, annotators=50, classes=2))
    for array in (found.posterior, found.confusions, found.class_shares):
        assert np.isfinite(array).all()
    np.testing.assert_allclose(found.posterior.sum(axis=1), 1, atol=1e-9)


def test_saying_it_ten_thousand_times_is_saying_it_once():
    once = indexed(([0, 0], [0, 1], [1, 0]), tasks=1, annotators=2, classes=2)
    often = indexed(
        (np.zeros(10_001), np.r_[np.zeros(10_000), 1], np.r_[np.ones(10_000), 0]),
        tasks=1, annotators=2, classes=2,
    )  # fmt: skip
    np.testing.assert_array_equal(often.cell, once.cell)
    np.testing.assert_array_equal(often.start, once.start)


@every_model
def test_one_class_only(fit):
    found = fit(indexed(([0, 1], [0, 1], [0, 0]), tasks=2, annotators=2, classes=1))
    np.testing.assert_allclose(found.posterior, 1.0)


def test_many_answers_do_not_underflow():
    """3,000 answers at 1e-3 each are 1e-9000 as a product."""
    rows = (np.zeros(3000), np.arange(3000), np.r_[np.zeros(1499), np.ones(1501)])
    answers = indexed(rows, tasks=1, annotators=3000, classes=2)
    shy = np.full((3000, 2, 2), 1e-3)
    shy[:, [0, 1], [0, 1]] = 2e-3
    found = label_posterior(answers, shy, np.array([0.5, 0.5]))
    assert found[0, 1] == pytest.approx(0.8)  # two more votes at odds of two


def test_the_log_likelihood_by_hand():
    """Two tasks, one answer each: .5 (.9 + .2) and .5 (.1 + .8)."""
    answers = indexed(([0, 1], [0, 0], [0, 1]), tasks=2, annotators=1, classes=2)
    confusion = np.array([[[0.9, 0.1], [0.2, 0.8]]])
    table = confusion.transpose(0, 2, 1)
    fit = run_em(
        answers, lambda counts: table,
        settings=EmSettings(max_iterations=1, tolerance=None, share_smoothing=1e9),
    )  # fmt: skip
    assert fit.log_likelihood == pytest.approx(np.log(0.55 * 0.45), abs=1e-6)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (([0], [0], [2]), r"labels must be 0 \.\. 1, row 0"),
        (([0], [-1], [1]), r"annotators must be 0 \.\. 1"),
        (([5], [0], [1]), r"tasks must be 0 \.\. 2"),
    ],
)
def test_numbers_out_of_range_are_refused_by_row(rows, message):
    with pytest.raises(ContractError, match=message):
        indexed(rows, tasks=3, annotators=2, classes=2)


def test_unequal_or_fractional_columns_are_refused():
    one = np.zeros(1, dtype=np.int64)
    with pytest.raises(ShapeError, match="2 labels"):
        index_answers(one, one, np.zeros(2, dtype=int), tasks=1, annotators=1, classes=1)
    with pytest.raises(ContractError, match="labels are float64"):
        index_answers(one, one, np.array([np.nan]), tasks=1, annotators=1, classes=1)


def test_gold_that_fits_nothing_is_refused():
    answers = indexed(([0], [0], [1]), tasks=1, annotators=1, classes=2)
    with pytest.raises(ContractError, match="task 0"):
        fit_dawid_skene(answers, gold=np.array([2], dtype=np.int32))
    with pytest.raises(ShapeError, match="2 tasks"):
        fit_dawid_skene(answers, gold=np.array([0, 1], dtype=np.int32))


def test_names_are_numbered_in_their_order():
    names, place = number_names(["b", "a", "b", "c"])
    assert names == ("a", "b", "c")
    assert place.tolist() == [1, 0, 1, 2]
    with pytest.raises(ContractError, match="1 missing"):
        number_names(["a", None])


def test_a_fit_holds_no_second_copy_of_the_answers():
    labels = 200_000
    rng = np.random.default_rng(0)
    answers = index_answers(
        np.repeat(np.arange(labels // 5), 5), rng.integers(0, 400, labels),
        rng.integers(0, 4, labels), tasks=labels // 5, annotators=400, classes=4,
    )  # fmt: skip
    tracemalloc.start()
    try:
        fit_dawid_skene(answers, settings=EmSettings(max_iterations=2))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Two posteriors take 12.8 bytes a label; twelve more lie in the index that came in.
    assert peak / labels < 18
