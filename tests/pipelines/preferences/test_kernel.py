"""The E-step over exposures."""

import numpy as np

from pipelines.preferences.kernel import add_by_row, e_step, normalise


def test_e_step_by_hand():
    """One item, one exposure, one intent: q(c) = prior(c) * chance(c) / total."""
    emission = np.array([[[0.2, 0.6]]])
    posterior, by_key, by_user, log_likelihood = e_step(
        np.array([0, 1]), np.array([0]), np.array([0]), np.ones((1, 1)), emission,
        np.log(np.array([[0.5, 0.5]])),
    )  # fmt: skip
    np.testing.assert_allclose(posterior, [[0.25, 0.75]])
    np.testing.assert_allclose(by_key, [[[0.25, 0.75]]])
    np.testing.assert_allclose(by_user, [[1.0]])
    np.testing.assert_allclose(log_likelihood, np.log(0.4))


def sample(seed=0, items=30, exposures=400, users=7, keys=5, intents=3, classes=4):
    rng = np.random.default_rng(seed)
    item = np.sort(rng.integers(0, items, exposures))
    shares = rng.dirichlet(np.ones(intents), users)
    return (
        np.searchsorted(item, np.arange(items + 1)),
        rng.integers(0, users, exposures),
        rng.integers(0, keys, exposures),
        shares,
        rng.uniform(0.01, 0.9, (keys, intents, classes)),
        np.log(rng.dirichlet(np.ones(classes), items)),
    )


def test_every_exposure_is_one_intent_and_every_item_one_class():
    start, user, key, shares, emission, prior = sample()
    posterior, by_key, by_user, _ = e_step(start, user, key, shares, emission, prior)
    np.testing.assert_allclose(posterior.sum(axis=1), 1.0)
    np.testing.assert_allclose(by_key.sum(axis=(1, 2)), np.bincount(key))
    np.testing.assert_allclose(by_user.sum(axis=1), np.bincount(user))


def test_partial_sums_of_two_partitions_add_up():
    """What several processes count apart is what one counts alone."""
    start, user, key, shares, emission, prior = sample()
    whole = e_step(start, user, key, shares, emission, prior)
    cut, at = 11, start[11]
    first = e_step(start[: cut + 1], user[:at], key[:at], shares, emission, prior[:cut])
    second = e_step(start[cut:] - at, user[at:], key[at:], shares, emission, prior[cut:])
    np.testing.assert_allclose(np.concatenate([first[0], second[0]]), whole[0], rtol=1e-12)
    for part in (1, 2, 3):
        np.testing.assert_allclose(first[part] + second[part], whole[part], rtol=1e-12)


def test_ten_thousand_exposures_of_one_item_do_not_underflow():
    n = 10_000
    zeros = np.zeros(n, dtype=np.int64)
    posterior, *_ = e_step(
        np.array([0, n]), zeros, zeros, np.ones((1, 1)), np.array([[[1e-9, 2e-9]]]),
        np.zeros((1, 2)),
    )  # fmt: skip
    np.testing.assert_allclose(posterior, [[0.0, 1.0]])


def test_normalise_keeps_forbidden_classes_at_nought():
    rows, _ = normalise(np.array([[-np.inf, 0.0], [-1000.0, -1000.0]]))
    np.testing.assert_allclose(rows, [[0.0, 1.0], [0.5, 0.5]])


def test_add_by_row_by_hand():
    sums = add_by_row(np.array([1, 1, 0]), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), size=3)
    np.testing.assert_allclose(sums, [[5, 6], [4, 6], [0, 0]])
