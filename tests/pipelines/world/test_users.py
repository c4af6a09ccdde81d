import numpy as np
import pytest

from data_contracts.errors import ShapeError
from pipelines.world.users import (
    EXAMINED,
    GRID_SIZE,
    Population,
    Shown,
    Visits,
    draw_population,
    simulate_visits,
)


def people(seed: int = 0, users: int = 1500, bots: float = 0.01) -> Population:
    rng = np.random.default_rng(seed)
    return draw_population(users, mocker_share=0.12, bot_share=bots, rng=rng)


def shown(seed: int = 0, mean: float = 68.0, turns: int = 2) -> Shown:
    """Pictures as a base policy draws them: overall from poor to perfect."""
    rng = np.random.default_rng(seed)
    n = 160 * turns * GRID_SIZE
    return Shown(
        overall=rng.normal(mean, 16.0, n).clip(0, 100),
        night=rng.random(n) < 0.5,
        grids=np.arange(n).reshape(160, turns, GRID_SIZE),
    )


def visits(seed: int = 0, *, mockery: float = 0.5, sessions: int = 9000) -> Visits:
    rng = np.random.default_rng(seed)
    return simulate_visits(people(seed), shown(seed), sessions=sessions, mockery=mockery, rng=rng)


@pytest.fixture(scope="module")
def many() -> Visits:
    return visits(sessions=30_000)


def test_the_same_seed_brings_the_same_visits():
    def flat(seed: int) -> np.ndarray:
        seen = visits(seed, sessions=300)
        return np.concatenate([seen.user, seen.generation, *seen.acts.values(), seen.regenerated])

    np.testing.assert_array_equal(flat(4), flat(4))
    assert len(flat(4)) != len(flat(5)) or (flat(4) != flat(5)).any()


@pytest.mark.parametrize("mockery", [0.2, 0.5, 0.7])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_mockery_is_the_asked_share_of_downloads(mockery, seed):
    seen = visits(seed, mockery=mockery)
    downloads = seen.acts["download"]
    assert seen.mocks[downloads].mean() == pytest.approx(mockery, abs=0.05)


@pytest.mark.parametrize("mean", [50.0, 80.0, 90.0])
def test_mockers_find_something_to_mock_however_good_pictures_get(mean):
    rng = np.random.default_rng(0)
    seen = simulate_visits(people(), shown(mean=mean), sessions=9000, mockery=0.5, rng=rng)
    assert seen.mocks[seen.acts["download"]].mean() == pytest.approx(0.5, abs=0.06)


def test_visits_come_in_order_and_whole_grids(many):
    keys = np.stack([many.session, many.turn, many.position], axis=1)
    assert (np.lexsort(keys.T[::-1]) == np.arange(len(keys))).all()
    np.testing.assert_array_equal(many.position.reshape(-1, 4), [range(4)] * (len(keys) // 4))
    grids = many.generation.reshape(-1, 4)
    # A grid is one row of generations, in some order.
    np.testing.assert_array_equal(
        np.sort(grids, axis=1) - grids.min(1, keepdims=True), [range(4)] * len(grids)
    )
    assert (grids.min(1) % 4 == 0).all()


def test_the_second_grid_is_for_those_who_asked_again(many):
    again = np.unique(many.session[(many.turn == 0) & many.regenerated])
    np.testing.assert_array_equal(np.unique(many.session[many.turn == 1]), again)
    prompts = many.generation // 8
    first = dict(zip(many.session[many.turn == 0], prompts[many.turn == 0], strict=True))
    second = zip(many.session[many.turn == 1], prompts[many.turn == 1], strict=True)
    assert all(first[session] == prompt for session, prompt in second)


def test_a_session_is_one_users(many):
    pairs = np.unique(np.stack([many.session, many.user]), axis=1)
    assert len(pairs[0]) == len(np.unique(many.session)) == 30_000


def test_lower_places_are_looked_at_less(many):
    rates = [many.examined[many.position == p].mean() for p in range(4)]
    np.testing.assert_allclose(rates, EXAMINED, atol=0.02)


def test_nobody_acts_on_what_was_not_looked_at_except_the_ring(many):
    ring = people().ring[many.user]
    for kind, acted in many.acts.items():
        outside = acted & ~many.examined
        assert not outside[~ring].any(), kind
        assert kind == "like" or not outside.any(), kind


def test_the_ring_votes_together(many):
    ring = people().ring[many.user]
    blind = many.acts["like"] & ~many.examined & ring
    agreed = np.unique(many.generation[blind])
    assert 0 < len(agreed) <= 1280 // 50
    of_ring = ring & np.isin(many.generation, agreed)
    assert many.acts["like"][of_ring].all()
    assert many.acts["like"][~ring & np.isin(many.generation, agreed)].mean() < 0.5


def test_bots_like_nearly_all_they_look_at(many):
    p = people()
    bot = p.bot[many.user] & many.examined
    assert bot.sum() > 300
    assert many.acts["like"][bot].mean() == pytest.approx(0.9, abs=0.05)
    assert many.acts["download"][bot].mean() < 0.03
    assert not many.mocks[p.bot[many.user]].any()
    assert not many.regenerated[p.bot[many.user]].any()


def rate(many: Visits, kind: str, among: np.ndarray) -> float:
    return float(many.acts[kind][among & many.examined].mean())


def test_praise_follows_quality_and_mockery_its_lack(many):
    overall = shown().overall[many.generation]
    honest = ~many.mocks & ~people().bot[many.user] & ~people().ring[many.user]
    good, bad = overall > 80, overall < 55
    for kind in ("like", "download", "upscale"):
        assert rate(many, kind, honest & good) > 1.5 * rate(many, kind, honest & bad)
    for kind in ("hide", "report"):
        assert rate(many, kind, honest & good) < 0.7 * rate(many, kind, honest & bad)
    for kind in ("download", "share"):
        assert rate(many, kind, many.mocks & bad) > 1.5 * rate(many, kind, many.mocks & good)


def test_mockers_keep_their_likes_to_themselves(many):
    """What makes the two separable: both download, few mockers also like."""
    overall = shown().overall[many.generation]
    honest = ~many.mocks & ~people().bot[many.user]
    together = many.acts["like"] & many.examined
    downloads = many.acts["download"]
    assert together[downloads & honest].mean() > 2 * together[downloads & many.mocks].mean()
    assert overall[downloads & honest].mean() > 10 + overall[downloads & many.mocks].mean()


def test_users_ask_again_when_they_are_not_content(many):
    overall = shown().overall[many.generation].reshape(-1, 4).max(1)
    asked = many.regenerated.reshape(-1, 4)
    assert asked.sum(1).max() == 1
    honest = ~many.mocks.reshape(-1, 4)[:, 0] & ~people().bot[many.user[::4]]
    assert asked.any(1)[honest & (overall < 70)].mean() > (
        1.5 * asked.any(1)[honest & (overall > 90)].mean()
    )


def test_taste_for_a_sky_shows_in_likes(many):
    night = shown().night[many.generation]
    taste = people().sky_taste[many.user]
    honest = ~many.mocks & ~people().bot[many.user]
    for love, other in ((taste > 0.8, night), (taste < -0.8, ~night)):
        assert rate(many, "like", honest & love & other) > (
            1.5 * rate(many, "like", honest & love & ~other)
        )


def test_the_population_is_as_described():
    p = people(users=40_000, bots=0.05)
    assert p.mocker.mean() == pytest.approx(0.12, abs=0.01)
    assert p.bot[~p.mocker].mean() == pytest.approx(0.05, abs=0.005)
    assert p.mock_share[p.mocker].mean() == pytest.approx(0.7, abs=0.01)  # 7 / (7 + 3)
    assert p.mock_share[~p.mocker].mean() == pytest.approx(0.03, abs=0.005)  # 0.6 / (0.6 + 19.4)
    assert not (p.bot & p.mocker).any()
    assert not (p.ring & (p.bot | p.mocker)).any()
    assert 0.009 < p.ring.mean() <= 0.01


@pytest.mark.parametrize("mockery", [-0.1, 0.95, float("nan")])
def test_refuses_a_share_that_cannot_be(mockery):
    with pytest.raises(ShapeError, match="share of downloads"):
        visits(mockery=mockery, sessions=10)


def test_refuses_grids_that_are_not_of_four():
    three = Shown(overall=np.zeros(6), night=np.zeros(6, bool), grids=np.arange(6).reshape(1, 2, 3))
    with pytest.raises(ShapeError, match="they hold 4"):
        simulate_visits(people(), three, sessions=10, mockery=0.5, rng=np.random.default_rng(0))
