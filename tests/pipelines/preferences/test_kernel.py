"""The E-step over exposures."""

import numpy as np
import pytest

from pipelines.preferences.kernel import Beliefs, Shown, add_by_row, e_step, normalise

ENDORSE = np.array([[1.0, 0.0, 0.0]])


def test_e_step_by_hand():
    """One item shown once, one user who only endorses, no signal: unseen .2 + seen .8 * quiet.

    Chances .2 + .8 * .5 = .6 and .2 + .8 * .25 = .4; even prior: q = .6, .4. Looked at:
    q * .8 * quiet / chance = .6 * .4 / .6 and .4 * .2 / .4.
    """
    shown = Shown(
        *(np.array(x) for x in ([0, 1], [0], [0], [1.0], [0, 0])), np.zeros(0, dtype=np.int64)
    )
    beliefs = Beliefs(
        shares=ENDORSE, emission=np.zeros((1, 3, 2)), looked=np.array([0.8]),
        odds=np.ones((1, 2)), boost=np.ones((1, 1)), quiet=np.array([[0.5, 0.25]]),
    )  # fmt: skip
    counts = e_step(shown, beliefs, np.log(np.full((1, 2), 0.5)))
    np.testing.assert_allclose(counts.posterior, [[0.6, 0.4]])
    np.testing.assert_allclose(counts.by_key, [[[0.6, 0.4], [0, 0], [0, 0]]])
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
        weight=np.ones(exposures),
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
    head = rows(shown, slice(None, at))._replace(start=shown.start[: cut + 1])
    tail = rows(shown, slice(at, None))._replace(start=shown.start[cut:] - at)
    first, second = e_step(head, beliefs, prior[:cut]), e_step(tail, beliefs, prior[cut:])
    both = np.concatenate([first.posterior, second.posterior])
    np.testing.assert_allclose(both, whole.posterior, rtol=1e-12)
    for one, other, total in zip(first[1:], second[1:], whole[1:], strict=True):
        np.testing.assert_allclose(one + other, total, rtol=1e-11)


def rows(shown, chosen):
    return shown._replace(
        user=shown.user[chosen], key=shown.key[chosen], weight=shown.weight[chosen]
    )


def test_an_exposure_without_weight_tells_of_its_user_alone():
    """Leaving it out gives the same classes and counts, but not what its user meant."""
    shown, beliefs, prior = sample()
    silent = shown.user == 3
    muted = e_step(shown._replace(weight=np.where(silent, 0.0, 1.0)), beliefs, prior)
    item = np.repeat(np.arange(len(prior)), np.diff(shown.start))
    fewer = rows(shown, ~silent)._replace(
        start=np.searchsorted(item[~silent], np.arange(len(prior) + 1))
    )
    left = e_step(fewer, beliefs, prior)
    for one, other in zip(muted, left, strict=True):
        if one is not muted.by_user:
            np.testing.assert_allclose(one, other, rtol=1e-11)
    assert muted.by_user[3].sum() == pytest.approx(silent.sum())
    assert left.by_user[3].sum() == 0


def test_two_half_weights_count_as_one_exposure():
    shown, beliefs, prior = sample()
    twice = rows(shown, np.repeat(np.arange(len(shown.user)), 2))._replace(start=2 * shown.start)
    halved = e_step(twice._replace(weight=0.5 * twice.weight), beliefs, prior)
    whole = e_step(shown, beliefs, prior)
    np.testing.assert_allclose(halved.posterior, whole.posterior, rtol=1e-11)
    np.testing.assert_allclose(halved.by_key, whole.by_key, rtol=1e-11)


def test_ten_thousand_exposures_of_one_item_do_not_underflow():
    n = 10_000
    zeros = np.zeros(n, dtype=np.int64)
    shown = Shown(np.array([0, n]), zeros, zeros, np.ones(n), np.array([0, 1]), np.array([0]))
    beliefs = Beliefs(
        shares=ENDORSE, emission=np.zeros((1, 3, 2)), looked=np.ones(1),
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
