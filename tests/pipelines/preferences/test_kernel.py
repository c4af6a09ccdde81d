"""The E-step over exposures."""

import numpy as np

from pipelines.preferences.kernel import Beliefs, Shown, add_by_row, e_step, normalise


def test_e_step_by_hand():
    """One item shown once, one user who only endorses, no signal: unseen .2 + seen .8 * quiet.

    Chances .2 + .8 * .5 = .6 and .2 + .8 * .25 = .4; even prior: q = .6, .4. Looked at:
    q * .8 * quiet / chance = .6 * .4 / .6 and .4 * .2 / .4.
    """
    shown = Shown(*(np.array(x) for x in ([0, 1], [0], [0], [0, 0])), np.zeros(0, dtype=np.int64))
    beliefs = Beliefs(
        shares=np.ones((1, 1)), emission=np.zeros((1, 1, 2)), looked=np.array([0.8]),
        odds=np.ones((1, 2)), boost=np.ones((1, 1)), quiet=np.array([[0.5, 0.25]]),
    )  # fmt: skip
    counts = e_step(shown, beliefs, np.log(np.full((1, 2), 0.5)))
    np.testing.assert_allclose(counts.posterior, [[0.6, 0.4]])
    np.testing.assert_allclose(counts.by_key, [[[0.6, 0.4]]])
    np.testing.assert_allclose(counts.user_looked, [[0.4, 0.2]])
    np.testing.assert_allclose(counts.log_likelihood, np.log(0.5))


def sample(seed=0, items=30, exposures=400, users=7, keys=5, intents=3, classes=4, signals=3):
    """Key k gives the signals k mod 3 .. (none for key 0)."""
    rng = np.random.default_rng(seed)
    item = np.sort(rng.integers(0, items, exposures))
    given = [list(range(k % 3)) for k in range(keys)]
    shown = Shown(
        start=np.searchsorted(item, np.arange(items + 1)),
        user=rng.integers(0, users, exposures),
        key=rng.integers(0, keys, exposures),
        signal_start=np.cumsum([0, *map(len, given)]),
        signal=np.array(sum(given, [])),  # noqa: RUF017 - five short lists
    )
    beliefs = Beliefs(
        shares=rng.dirichlet(np.ones(intents), users),
        emission=rng.uniform(0.01, 0.9, (keys, intents, classes)),
        looked=rng.uniform(0.3, 0.9, keys),
        odds=rng.uniform(0.1, 2.0, (keys, classes)),
        boost=rng.uniform(0.5, 2.0, (users, signals)),
        quiet=rng.uniform(0.1, 0.9, (users, classes)),
    )
    return shown, beliefs, np.log(rng.dirichlet(np.ones(classes), items))


def test_every_exposure_is_one_intent_and_every_item_one_class():
    shown, beliefs, prior = sample()
    counts = e_step(shown, beliefs, prior)
    np.testing.assert_allclose(counts.posterior.sum(axis=1), 1.0)
    np.testing.assert_allclose(counts.by_key.sum(axis=(1, 2)), np.bincount(shown.key))
    np.testing.assert_allclose(counts.by_user.sum(axis=1), np.bincount(shown.user))
    np.testing.assert_allclose(counts.key_looked.sum(axis=0), counts.user_looked.sum(axis=0))
    assert (counts.key_looked <= counts.by_key[:, 0] + 1e-12).all()


def test_partial_counts_of_two_partitions_add_up():
    """What several processes count apart is what one counts alone."""
    shown, beliefs, prior = sample()
    whole = e_step(shown, beliefs, prior)
    cut, at = 11, shown.start[11]
    head = shown._replace(start=shown.start[: cut + 1], user=shown.user[:at], key=shown.key[:at])
    tail = shown._replace(start=shown.start[cut:] - at, user=shown.user[at:], key=shown.key[at:])
    first, second = e_step(head, beliefs, prior[:cut]), e_step(tail, beliefs, prior[cut:])
    both = np.concatenate([first.posterior, second.posterior])
    np.testing.assert_allclose(both, whole.posterior, rtol=1e-12)
    for one, other, total in zip(first[1:], second[1:], whole[1:], strict=True):
        np.testing.assert_allclose(one + other, total, rtol=1e-11)


def test_ten_thousand_exposures_of_one_item_do_not_underflow():
    n = 10_000
    zeros = np.zeros(n, dtype=np.int64)
    shown = Shown(np.array([0, n]), zeros, zeros, np.array([0, 1]), np.array([0]))
    beliefs = Beliefs(
        shares=np.ones((1, 1)), emission=np.zeros((1, 1, 2)), looked=np.ones(1),
        odds=np.array([[1e-9, 2e-9]]), boost=np.ones((1, 1)), quiet=np.ones((1, 2)),
    )  # fmt: skip
    posterior = e_step(shown, beliefs, np.zeros((1, 2))).posterior
    np.testing.assert_allclose(posterior, [[0.0, 1.0]])


def test_normalise_keeps_forbidden_classes_at_nought():
    rows, _ = normalise(np.array([[-np.inf, 0.0], [-1000.0, -1000.0]]))
    np.testing.assert_allclose(rows, [[0.0, 1.0], [0.5, 0.5]])


def test_add_by_row_by_hand():
    sums = add_by_row(np.array([1, 1, 0]), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), size=3)
    np.testing.assert_allclose(sums, [[5, 6], [4, 6], [0, 0]])
