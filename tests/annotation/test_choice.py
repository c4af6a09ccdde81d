"""Which model of a crowd is chosen on known tasks, and how sure it may be."""

import numpy as np
import pytest
from crowds import indexed, skilled_crowd
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.calibration import calibration_error, fit_temperature, surprise, temper
from annotation.choice import choose_labels, crowd_models, left_out_posterior
from data_contracts.errors import ContractError, ShapeError


def gold_of(truth, count, seed=0):
    gold = np.full(len(truth), -1, dtype=np.int32)
    known = np.random.default_rng(seed).choice(len(truth), count, replace=False)
    gold[known] = truth[known]
    return gold


def choose(answers, gold, **more):
    return choose_labels(answers, gold=gold, rng=np.random.default_rng(0), **more)


def confusable_crowd(tasks=300):
    """Everybody calls class 0 a 1 two times in three: only confusion matrices can tell."""
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 3, tasks)
    task, annotator = np.repeat(np.arange(tasks), 5), np.tile(np.arange(5), tasks)
    rows = np.array([[0.3, 0.65, 0.05], [0.02, 0.95, 0.03], [0.05, 0.05, 0.9]])
    drawn = rng.random(len(task))[:, None] > rows[truth[task]].cumsum(axis=1)
    return truth, indexed((task, annotator, drawn.sum(1)), tasks=tasks, annotators=5, classes=3)


def test_temper_by_hand():
    """Half the log odds: .8 against .2 becomes 2 against 1."""
    found = temper(np.array([[0.8, 0.2], [0.5, 0.5], [1.0, 0.0]]), 2.0)
    np.testing.assert_allclose(found, [[2 / 3, 1 / 3], [0.5, 0.5], [1.0, 0.0]])


@given(st.integers(0, 2**32 - 1), st.floats(0.3, 10))
@settings(max_examples=40, deadline=None)
def test_temper_keeps_distributions_and_their_order(seed, temperature):
    posterior = np.random.default_rng(seed).dirichlet(np.ones(4) * 0.3, 20)
    found = temper(posterior, temperature)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_array_equal(found.argmax(axis=1), posterior.argmax(axis=1))


def test_the_temperature_that_was_taken_away_is_found_again():
    rng = np.random.default_rng(0)
    honest = rng.dirichlet(np.ones(3), 4000)
    truth = (rng.random(4000)[:, None] > honest.cumsum(axis=1)).sum(axis=1)
    boast = temper(honest, 1 / 3)
    assert fit_temperature(boast, truth, usual=1.0) == pytest.approx(3.0, abs=0.25)
    assert calibration_error(boast, truth) > 5 * calibration_error(temper(boast, 3.0), truth)


def test_no_known_task_keeps_the_usual_temperature():
    none = np.zeros(0, dtype=np.int64)
    assert fit_temperature(np.zeros((0, 2)), none, usual=2.0) == pytest.approx(2.0, abs=0.01)
    with pytest.raises(ShapeError, match="2 tasks"):
        fit_temperature(np.zeros((2, 2)), none, usual=2.0)


def test_calibration_error_by_hand():
    """Two at .9 of which one is right, two at .6 both right: (|1.8 - 1| + |1.2 - 2|) / 4."""
    posterior = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    assert calibration_error(posterior, np.array([0, 1, 0, 0])) == pytest.approx(0.4)
    assert surprise(posterior, np.array([0, 1, 0, 0])) == pytest.approx(
        -np.log(0.9 * 0.1 * 0.6 * 0.6)
    )


def test_gold_chooses_the_model_that_fits_the_crowd():
    truth, answers = confusable_crowd()
    found = choose(answers, gold_of(truth, 40))
    assert (found.chosen_on, found.method, found.gold_tasks) == ("gold", "dawid_skene", 40)
    by_name = {c.method: c for c in found.candidates}
    assert set(by_name) == {"majority", "one_coin", "dawid_skene", "mace"}
    assert by_name["dawid_skene"].accuracy > by_name["majority"].accuracy
    assert sum(c.weight for c in found.candidates) == pytest.approx(1.0)


@pytest.mark.parametrize(("ordered", "expected"), [(False, "dawid_skene"), (True, "ordinal")])
def test_little_gold_takes_the_documented_default(ordered, expected):
    truth, rows = skilled_crowd()
    answers = indexed(rows, tasks=400, annotators=12, classes=3)
    found = choose(answers, gold_of(truth, 19), ordered=ordered)
    assert (found.chosen_on, found.method, found.gold_tasks) == ("default", expected, 19)
    assert found.temperature == 2.0
    assert found.candidates == ()


def test_gold_nobody_answered_judges_nobody():
    truth, (task, annotator, label) = skilled_crowd()
    keep = task < 380
    answers = indexed(
        (task[keep], annotator[keep], label[keep]), tasks=400, annotators=12, classes=3
    )
    gold = np.full(400, -1, dtype=np.int32)
    gold[361:] = truth[361:]
    assert choose(answers, gold).gold_tasks == 19


def test_the_judgement_is_honest_about_noise():
    """Annotators who guess know nothing of 60 known tasks, in whichever way they are fitted.

    Without the fold hidden, a fit would repeat the class it was told: accuracy 1. Five standard
    deviations of 15 x 60 guesses at 1/3 are .08.
    """
    hits = []
    for seed in range(15):
        rng = np.random.default_rng(seed)
        truth = rng.integers(0, 3, 200)
        rows = (np.repeat(np.arange(200), 3), rng.integers(0, 60, 600), rng.integers(0, 3, 600))
        answers = indexed(rows, tasks=200, annotators=60, classes=3)
        gold = gold_of(truth, 60, seed)
        known = np.flatnonzero(gold >= 0)
        model = crowd_models(rng=rng, ordered=False)["dawid_skene"]
        told = left_out_posterior(answers, model, gold, known)
        hits.append((told.argmax(axis=1) == truth[known]).mean())
    assert np.mean(hits) == pytest.approx(1 / 3, abs=0.08)


def test_renaming_tasks_and_annotators_chooses_alike():
    """But for tasks that look the same in all that dealing sees: they may swap folds."""
    truth, rows = skilled_crowd(seed=8)
    rng = np.random.default_rng(3)
    task_name, who_name = rng.permutation(400), rng.permutation(12)
    gold = gold_of(truth, 50)
    answers = indexed(rows, tasks=400, annotators=12, classes=3)
    renamed = indexed(
        (task_name[rows[0]], who_name[rows[1]], rows[2]), tasks=400, annotators=12, classes=3
    )
    other_gold = np.empty_like(gold)
    other_gold[task_name] = gold
    plain, other = choose(answers, gold), choose(renamed, other_gold)
    assert plain.method == other.method
    np.testing.assert_allclose(other.posterior[task_name], plain.posterior, atol=1e-4)


def test_gold_of_a_class_that_is_none_is_refused():
    _, answers = confusable_crowd(30)
    with pytest.raises(ContractError, match="task 3"):
        choose(answers, np.where(np.arange(30) == 3, 7, -1).astype(np.int32))


def test_no_answers_at_all_give_the_prior():
    answers = indexed(([], [], []), tasks=4, annotators=0, classes=3)
    found = choose(answers, np.zeros(0, dtype=np.int32))
    np.testing.assert_allclose(found.posterior, 1 / 3, atol=1e-9)
    assert found.chosen_on == "default"
