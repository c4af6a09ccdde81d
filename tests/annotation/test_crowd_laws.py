"""Laws of every crowd model: what must not matter does not."""

import numpy as np
import pytest
from crowds import indexed
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.bradley_terry import fit_bradley_terry, win_matrix
from annotation.comparisons import index_comparisons
from annotation.crowd_bradley_terry import fit_crowd_bradley_terry
from annotation.dawid_skene import fit_dawid_skene
from annotation.label_fit import EmSettings, label_posterior
from annotation.label_kernel import label_e_step
from annotation.mace import fit_mace
from annotation.ordinal import fit_ordinal
from annotation.simple_models import fit_majority, fit_one_coin

TASKS, PEOPLE, CLASSES = 30, 8, 3
# As many steps for both sides: a law is about the fit, not about when it stops.
STEPS = EmSettings(max_iterations=25, tolerance=None)
MODELS = {
    "majority": fit_majority,
    "one_coin": lambda answers: fit_one_coin(answers, settings=STEPS),
    "dawid_skene": lambda answers: fit_dawid_skene(answers, settings=STEPS),
    # From the vote alone: with few answers, several starts may be equally likely.
    "mace": lambda answers: fit_mace(
        answers, rng=np.random.default_rng(0), starts=1, settings=STEPS
    ),
    "ordinal": lambda answers: fit_ordinal(answers, settings=STEPS),
}
every_model = pytest.mark.parametrize("fit", MODELS.values(), ids=MODELS.keys())
crowds_of_any_kind = st.integers(0, 2**32 - 1)
law = settings(max_examples=25, deadline=None)


def rows_of(seed):
    """Answers of people of any skill, better than chance or not; some answer nothing."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 120))
    truth, skill = rng.integers(0, CLASSES, TASKS), rng.random(PEOPLE)
    task, who = rng.integers(0, TASKS, size), rng.integers(0, PEOPLE, size)
    right = rng.random(size) < skill[who]
    return rng, (task, who, np.where(right, truth[task], rng.integers(0, CLASSES, size)))


def index(rows):
    return indexed(rows, tasks=TASKS, annotators=PEOPLE, classes=CLASSES)


@every_model
@law
@given(crowds_of_any_kind)
def test_row_order_and_repeated_batches_change_nothing(fit, seed):
    rng, rows = rows_of(seed)
    size = len(rows[0])
    again = np.r_[rng.permutation(size), rng.integers(0, size, rng.integers(0, size + 1))]
    plain, other = fit(index(rows)), fit(index([column[again] for column in rows]))
    np.testing.assert_array_equal(other.posterior, plain.posterior)
    np.testing.assert_array_equal(other.confusions, plain.confusions)


@every_model
@law
@given(crowds_of_any_kind)
def test_renaming_annotators_and_tasks_renames_the_answer(fit, seed):
    rng, (task, who, label) = rows_of(seed)
    tasks, people = rng.permutation(TASKS), rng.permutation(PEOPLE)
    plain, other = fit(index((task, who, label))), fit(index((tasks[task], people[who], label)))
    np.testing.assert_allclose(other.posterior[tasks], plain.posterior, atol=1e-7)
    np.testing.assert_allclose(other.confusions[people], plain.confusions, atol=1e-7)


@every_model
@law
@given(crowds_of_any_kind)
def test_renaming_labels_renames_the_answer(fit, seed):
    """Levels may only be turned round: their order means something to the ordinal model."""
    rng, (task, who, label) = rows_of(seed)
    ordinal = fit is MODELS["ordinal"]
    names = np.arange(CLASSES)[::-1] if ordinal else rng.permutation(CLASSES)
    plain, other = fit(index((task, who, label))), fit(index((task, who, names[label])))
    np.testing.assert_allclose(other.posterior[:, names], plain.posterior, atol=1e-7)


@law
@given(crowds_of_any_kind)
def test_counts_of_partitions_by_task_add_up(seed):
    rng, rows = rows_of(seed)
    answers = index(rows)
    chances = rng.dirichlet(np.ones(CLASSES), (PEOPLE, CLASSES)).transpose(0, 2, 1) + 1e-3
    chances = np.ascontiguousarray(chances).reshape(-1, CLASSES)
    shares, none = np.full(CLASSES, 1 / CLASSES), np.zeros(0, dtype=np.int32)
    cut = int(rng.integers(0, TASKS + 1))

    def read(start, cell, tasks):
        posterior, counts = np.empty((tasks, CLASSES)), np.zeros((PEOPLE * CLASSES, CLASSES))
        _, likely = label_e_step(start, cell, chances, shares, none, posterior, counts)
        return posterior, counts, likely

    whole = read(answers.start, answers.cell, TASKS)
    at = answers.start[cut]
    first = read(answers.start[: cut + 1], answers.cell[:at], cut)
    last = read(answers.start[cut:] - at, answers.cell[at:], TASKS - cut)
    np.testing.assert_array_equal(np.concatenate([first[0], last[0]]), whole[0])
    np.testing.assert_allclose(first[1] + last[1], whole[1], atol=1e-9)
    assert first[2] + last[2] == pytest.approx(whole[2], abs=1e-9)


@law
@given(crowds_of_any_kind, st.floats(0.34, 0.999))
def test_one_more_agreeing_good_annotator_never_lowers_confidence(seed, skill):
    """With the others' confusions and the shares fixed, and a coin better than chance."""
    rng, (task, who, label) = rows_of(seed)
    confusions = rng.dirichlet(np.ones(CLASSES), (PEOPLE, CLASSES))
    shares = rng.dirichlet(np.ones(CLASSES) * 3)
    before = label_posterior(index((task, who, label)), confusions, shares)
    best = before.argmax(axis=1)
    coin = np.full((CLASSES, CLASSES), (1 - skill) / (CLASSES - 1))
    np.fill_diagonal(coin, skill)
    more = indexed(
        (np.r_[task, np.arange(TASKS)], np.r_[who, np.full(TASKS, PEOPLE)], np.r_[label, best]),
        tasks=TASKS, annotators=PEOPLE + 1, classes=CLASSES,
    )  # fmt: skip
    after = label_posterior(more, np.concatenate([confusions, coin[None]]), shares)
    assert (after.max(axis=1) >= before.max(axis=1) - 1e-12).all()
    assert (after.argmax(axis=1) == best).all()


def votes_of(seed):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 200))
    first = rng.integers(0, 10, size)
    second = (first + rng.integers(1, 10, size)) % 10
    who, outcome = rng.integers(0, 5, size), rng.integers(-1, 2, size)
    return rng, (who, first, second, outcome, rng.integers(-1, 2, size))


def strengths(rows, **more):
    return fit_crowd_bradley_terry(index_comparisons(*rows, items=10, annotators=5), **more)


@law
@given(crowds_of_any_kind)
def test_swapping_a_and_b_changes_nothing(seed):
    rng, (who, first, second, outcome, side) = votes_of(seed)
    swap = rng.random(len(who)) < 0.5
    other = (
        who,
        np.where(swap, second, first),
        np.where(swap, first, second),
        np.where(swap, -outcome, outcome),
        np.where(swap, -side, side),
    )
    plain, turned = strengths((who, first, second, outcome, side)), strengths(other)
    np.testing.assert_array_equal(turned.score, plain.score)
    np.testing.assert_array_equal(turned.slope, plain.slope)
    votes = [win_matrix(*rows[1:4], items=10) for rows in ((who, first, second, outcome), other)]
    np.testing.assert_array_equal(votes[0], votes[1])


@law
@given(crowds_of_any_kind)
def test_order_and_names_of_comparisons_change_nothing(seed):
    rng, (who, first, second, outcome, side) = votes_of(seed)
    order, items, people = rng.permutation(len(who)), rng.permutation(10), rng.permutation(5)
    plain = strengths((who, first, second, outcome, side), tolerance=1e-9)
    other = strengths(
        (people[who][order], items[first][order], items[second][order], outcome[order],
         side[order]), tolerance=1e-9,
    )  # fmt: skip
    assert plain.converged
    assert other.converged
    np.testing.assert_allclose(other.score[items], plain.score, atol=1e-5)
    np.testing.assert_allclose(other.slope[people], plain.slope, atol=1e-5)
    wins, ties = win_matrix(first, second, outcome, items=10)
    again = win_matrix(items[first][order], items[second][order], outcome[order], items=10)
    before, after = fit_bradley_terry(wins, ties), fit_bradley_terry(*again)
    np.testing.assert_allclose(after.score[items], before.score, atol=1e-8)
