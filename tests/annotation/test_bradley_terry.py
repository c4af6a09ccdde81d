"""Bradley-Terry, plain and with a crowd's habits."""

import evalica
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.bradley_terry import fit_bradley_terry, win_matrix
from annotation.comparison_kernel import comparison_derivatives
from annotation.comparisons import index_comparisons
from annotation.crowd_bradley_terry import fit_crowd_bradley_terry
from data_contracts.errors import ContractError, ShapeError

WINNERS = {1: evalica.Winner.X, -1: evalica.Winner.Y, 0: evalica.Winner.Draw}


def crowd(*, votes=20_000, items=60, annotators=30, bad=0.3, tie=0.4, lean=0.5, seed=0):
    """Comparisons by annotators of whom *bad* guess; the rest differ in slope and lean."""
    rng = np.random.default_rng(seed)
    score = rng.normal(0, 1, items)
    slope = np.where(
        np.arange(annotators) < bad * annotators, 0.0, rng.uniform(0.7, 1.4, annotators)
    )
    leans = rng.normal(0, lean, annotators)
    first = rng.integers(0, items, votes)
    second = (first + rng.integers(1, items, votes)) % items
    who, side = rng.integers(0, annotators, votes), rng.choice([-1, 1], votes)
    d = slope[who] * (score[first] - score[second]) + leans[who] * side
    drawn = rng.random(votes)
    won, lost = 1 / (1 + np.exp(tie - d)), 1 / (1 + np.exp(tie + d))
    outcome = np.where(drawn < won, 1, np.where(drawn > 1 - lost, -1, 0))
    return score, slope, leans, (who, first, second, outcome, side)


def fit(rows, *, items=60, annotators=30, **more):
    comparisons = index_comparisons(*rows, items=items, annotators=annotators)
    return fit_crowd_bradley_terry(comparisons, **more)


def ordered(score, truth):
    """Return the share of pairs in the right order."""
    a, b = np.triu_indices(len(truth), 1)
    return ((score[a] > score[b]) == (truth[a] > truth[b])).mean()


def test_two_items_by_hand():
    """Three wins to one: the chance is 3/4, the gap ln 3, its variance 1 / (4 * 3/4 * 1/4)."""
    found = fit_bradley_terry(np.array([[0.0, 3.0], [1.0, 0.0]]), np.zeros((2, 2)), prior=0.0)
    assert found.converged
    assert found.score[0] - found.score[1] == pytest.approx(np.log(3))
    contrast = np.array([1.0, -1.0])
    assert contrast @ found.covariance @ contrast == pytest.approx(4 / 3)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 12))
def test_strengths_are_those_of_evalica(seed, items):
    rng = np.random.default_rng(seed)
    first = np.r_[np.arange(items), np.arange(items), rng.integers(0, items, 300)]
    second = (first + np.r_[np.ones(2 * items, int), rng.integers(1, items, 300)]) % items
    outcome = np.r_[np.ones(items, int), -np.ones(items, int), rng.integers(-1, 2, 300)]
    oracle = evalica.bradley_terry(
        first.tolist(), second.tolist(), [WINNERS[n] for n in outcome.tolist()],
        tolerance=1e-13, limit=100_000,
    )  # fmt: skip
    wins, ties = win_matrix(first, second, outcome, items=items)
    ours = fit_bradley_terry(wins, ties, prior=0.0)
    assert ours.converged
    expected = oracle.scores.reindex(range(items)).to_numpy()
    np.testing.assert_allclose(np.exp(ours.score), expected, atol=1e-6, rtol=0)


def test_intervals_hold_the_truth_as_often_as_they_say():
    """200 worlds of 12 items: 95 % intervals of the scores hold 93 to 97 % of 2,400 truths."""
    held = []
    for seed in range(200):
        score, _, _, (_, first, second, outcome, _) = crowd(
            votes=600, items=12, bad=0.0, annotators=1, tie=0.0, lean=0.0, seed=seed
        )
        rng = np.random.default_rng(seed + 1000)
        chance = 1 / (1 + np.exp(score[second] - score[first]))
        outcome = np.where(rng.random(600) < chance, 1, -1)
        found = fit_bradley_terry(*win_matrix(first, second, outcome, items=12), prior=0.0)
        low, high = found.interval()
        centred = score - score.mean()
        held.append((low <= centred) & (centred <= high))
    assert 0.93 <= np.mean(held) <= 0.97


def test_an_item_that_never_lost_needs_a_prior():
    wins = np.array([[0.0, 2.0], [0.0, 0.0]])
    with pytest.raises(ContractError, match="2 groups"):
        fit_bradley_terry(wins, np.zeros((2, 2)), prior=0.0)
    found = fit_bradley_terry(wins, np.zeros((2, 2)))
    assert found.converged
    assert np.isfinite(found.score).all()
    assert found.score[0] > 0 > found.score[1]


@pytest.mark.parametrize(("items", "ties"), [(0, 0), (1, 0), (3, 0), (3, 5)])
def test_nothing_all_ties_and_one_item_give_equal_scores(items, ties):
    wins, tied = np.zeros((items, items)), np.full((items, items), float(ties))
    np.fill_diagonal(tied, 0.0)
    found = fit_bradley_terry(wins, tied)
    np.testing.assert_allclose(found.score, np.zeros(items), atol=1e-12)
    assert np.isfinite(found.covariance).all()


def test_votes_that_cannot_be_are_refused():
    one = np.array([0])
    with pytest.raises(ContractError, match=r"0 \.\. 1"):
        win_matrix(one, one + 2, one, items=2)
    with pytest.raises(ContractError, match="outcome"):
        win_matrix(one, one + 1, one + 2, items=2)
    with pytest.raises(ShapeError, match="1, 2 and 1 rows"):
        win_matrix(one, np.array([1, 1]), one, items=2)
    with pytest.raises(ShapeError, match="square"):
        fit_bradley_terry(np.zeros((2, 3)), np.zeros((2, 3)))


def test_the_kernel_adds_up_the_derivatives_of_its_log_likelihood():
    """Central differences of every parameter, with ties and sides."""
    _, _, _, rows = crowd(votes=300, items=5, annotators=3)
    given_ = index_comparisons(*rows, items=5, annotators=3)
    rng = np.random.default_rng(1)
    point = np.r_[rng.normal(0, 1, 5), rng.uniform(0.3, 1.2, 9)]

    def read(x):
        item, person = np.zeros((5, 2)), np.zeros((3, 9))
        value = comparison_derivatives(
            given_.start, given_.low, given_.high, given_.said, x[:5], x[5:].reshape(3, 3),
            item, person,
        )  # fmt: skip
        return value, np.r_[item[:, 0], person[:, :3].ravel()], item, person

    _, gradient, item, person = read(point)
    step = 1e-5
    moved = [(read(point + step * e), read(point - step * e)) for e in np.eye(14)]
    slopes = np.array([(up[0] - down[0]) / (2 * step) for up, down in moved])
    bends = np.array([(up[1] - down[1]) / (2 * step) for up, down in moved])
    np.testing.assert_allclose(gradient, slopes, atol=1e-5)
    np.testing.assert_allclose(item[:, 1], -np.diag(bends)[:5], atol=1e-4)
    for r in range(3):
        block = -bends[5 + 3 * r : 8 + 3 * r, 5 + 3 * r : 8 + 3 * r]
        upper = block[[0, 0, 1, 0, 1, 2], [0, 1, 1, 2, 2, 2]]
        np.testing.assert_allclose(person[r, 3:], upper, atol=1e-4)


def test_items_and_habits_are_recovered():
    score, slope, leans, rows = crowd()
    found = fit(rows)
    assert found.converged
    assert ordered(found.score, score) > 0.95
    assert np.corrcoef(found.slope, slope)[0, 1] > 0.95
    assert np.corrcoef(found.lean, leans)[0, 1] > 0.95
    assert found.tie.mean() == pytest.approx(0.4, abs=0.05)


def test_it_orders_better_than_a_blind_count_where_many_guess():
    gains = []
    for seed in range(5):
        score, _, _, rows = crowd(votes=3000, bad=0.5, lean=1.0, seed=seed)
        plain = fit_bradley_terry(*win_matrix(*rows[1:4], items=60))
        gains.append(ordered(fit(rows).score, score) - ordered(plain.score, score))
    assert min(gains) > 0


def test_one_who_reverses_every_answer_is_read_in_reverse():
    score, _, _, (who, first, second, outcome, side) = crowd(bad=0.0, annotators=10, lean=0.0)
    outcome = np.where(who < 3, -outcome, outcome)
    found = fit((who, first, second, outcome, side), annotators=10)
    assert (found.slope[:3] < -0.5).all()
    assert (found.slope[3:] > 0.5).all()
    assert ordered(found.score, score) > 0.95


def test_a_newcomer_begins_at_the_average():
    _, _, _, rows = crowd()
    found = fit(rows, annotators=31)
    assert found.slope[30] == pytest.approx(1.0, abs=1e-3)
    assert found.tie[30] == pytest.approx(found.tie[:30].mean(), abs=0.05)


@pytest.mark.parametrize(
    "rows",
    [
        ([], [], [], [], []),
        ([0], [0], [1], [1], [0]),
        ([0] * 50, [0] * 50, [1] * 50, [0] * 50, [1] * 50),
        ([0] * 10_000, [0] * 10_000, [1] * 10_000, [1] * 10_000, [0] * 10_000),
        ([0, 1] * 500, [0] * 1000, [1] * 1000, [1, -1] * 500, [1, 1] * 500),
    ],
    ids=["empty", "one", "all ties", "1e4 alike", "perfect opposition"],
)
def test_strange_comparisons_give_finite_scores(rows):
    found = fit([np.array(c, dtype=np.int64) for c in rows], items=3, annotators=2)
    for array in (found.score, found.score_sd, found.slope, found.lean, found.tie):
        assert np.isfinite(array).all()
    assert found.converged
    chance = found.better_chance(np.array([0, 2]), np.array([1, 2]))
    assert chance[1] == pytest.approx(0.5)
    assert 0 < chance[0] < 1


def test_comparisons_that_cannot_be_are_refused_by_row():
    one = np.array([0])
    with pytest.raises(ContractError, match="row 0 compares an item with itself"):
        index_comparisons(one, one, one, one, items=2, annotators=1)
    with pytest.raises(ContractError, match="sides must be -1"):
        index_comparisons(one, one, one + 1, one, one + 2, items=2, annotators=1)
    with pytest.raises(ContractError, match="float64"):
        index_comparisons(one, one, one + 1, np.array([np.nan]), items=2, annotators=1)
    with pytest.raises(ShapeError, match="equally"):
        index_comparisons(one, one, np.array([1, 1]), one, items=2, annotators=1)
