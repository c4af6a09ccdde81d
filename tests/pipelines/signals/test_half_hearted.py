"""Adversaries who keep to their plan half of the time are found, and eager people are not."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import expit

from pipelines.signals import EXPOSURE, SIGNAL_NAMES, WeighingSettings, drop_counts, weigh
from pipelines.signals.co_praise import Overlaps
from pipelines.signals.coordination import find_groups
from pipelines.signals.indiscriminate import find_indiscriminate, praise_anything, pulled
from pipelines.signals.one_sided import find_one_sided, one_sidedness, praise_one_side

LIKE = 1 << SIGNAL_NAMES.index("like")
ITEMS = 200


def shown(users, items, liked, positions=None):
    """EXPOSURE rows of arrays: names, generation numbers, whether liked."""
    n = len(users)
    places = np.zeros(n) if positions is None else positions
    return pa.table(
        {
            "tenant_id": ["t"] * n, "project_id": ["p"] * n, "user_id": list(users),
            "session_id": [f"s{k}" for k in range(n)], "turn": pa.array(np.zeros(n), pa.int32()),
            "generation_id": [f"g{item:03d}" for item in items], "prompt_id": ["q"] * n,
            "surface": ["grid"] * n, "position": pa.array(places, pa.int32()),
            "propensity": pa.nulls(n, pa.float64()),
            "shown_at": pa.nulls(n, EXPOSURE.field("shown_at").type),
            "pattern": np.where(liked, LIKE, 0), "weight": np.ones(n),
            "heldout": np.zeros(n, bool), "event_ids": pa.nulls(n, pa.list_(pa.string())),
        },
        schema=EXPOSURE,
    )  # fmt: skip


def generations():
    return pa.table(
        {
            "generation_id": [f"g{n:03d}" for n in range(ITEMS)],
            "prompt_id": ["q"] * ITEMS,
            "model_release": [f"r{n % 2}" for n in range(ITEMS)],
        }
    )


def people(rng, *, users=80, each=60, ready=-1.5, quality=None):
    """Names, generations, likes and places of people who like what is good, if they look."""
    quality = rng.normal(0, 1, ITEMS) if quality is None else quality
    item = np.concatenate([rng.choice(ITEMS, each, replace=False) for _ in range(users)])
    user = np.repeat(np.arange(users), each)
    place = rng.integers(0, 4, len(item))
    looked = rng.random(len(item)) < np.array([0.95, 0.8, 0.6, 0.45])[place]
    own = rng.normal(0, 0.5, users)[user]
    liked = looked & (rng.random(len(item)) < expit(ready + own + 1.2 * quality[item]))
    return np.array([f"u{n:03d}" for n in user]), item, liked, place


def both(*parts):
    return shown(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def told(rng, *, members=8, many=40):
    """A group that likes half of what it is told, and a tenth of the rest."""
    targets = rng.choice(ITEMS, many, replace=False)
    rest = np.setdiff1d(np.arange(ITEMS), targets)
    item = np.concatenate(
        [np.r_[targets, rng.choice(rest, many, replace=False)] for _ in range(members)]
    )
    on_target = np.tile(np.arange(2 * many) < many, members)
    liked = rng.random(len(item)) < np.where(on_target, 0.5, 0.1)
    names = np.repeat([f"x{n}" for n in range(members)], 2 * many)
    return names, item, liked, rng.integers(0, 4, len(item))


def test_a_group_that_follows_half_of_the_time_is_found():
    rng = np.random.default_rng(1)
    table = both(people(rng, users=250), told(rng))
    found = find_groups(table)
    assert set(found) <= {(f"x{n}", "t") for n in range(8)}
    assert len(found) >= 7
    assert len(set(found.values())) == 1
    weighed = weigh(table, generations())
    assert set(weighed.reasons["reason"].to_pylist()) == {"coordinated"}


@pytest.mark.parametrize("cover", [0, 8, 24])
def test_a_group_does_not_hide_by_liking_what_everybody_likes(monkeypatch, cover):
    """Six who like twelve of their own, look at others, and like popular ones for cover."""
    monkeypatch.setattr("pipelines.signals.coordination.CROWDED", 30)
    rng = np.random.default_rng(4)
    quality = np.r_[rng.normal(0, 0.5, ITEMS - 30), np.full(30, 2.0)]
    crowd = people(rng, users=300, quality=quality)
    popular, targets = np.arange(ITEMS - 30, ITEMS - 30 + cover), np.arange(12)
    others = np.arange(12, ITEMS - 30)
    seen = [np.r_[targets, popular, rng.choice(others, 40, replace=False)] for _ in range(6)]
    liked = np.tile(np.arange(len(seen[0])) < 12 + cover, 6)
    names = np.repeat([f"x{n}" for n in range(6)], len(seen[0]))
    found = find_groups(both(crowd, (names, np.concatenate(seen), liked, np.zeros(len(liked)))))
    assert {(f"x{n}", "t") for n in range(6)} <= set(found)
    assert len(found) <= 6 + 1


def test_how_many_pairs_are_compared_at_a_time_does_not_matter(monkeypatch):
    rng = np.random.default_rng(1)
    table = both(people(rng, users=250), told(rng))
    whole = find_groups(table)
    assert whole
    monkeypatch.setattr("pipelines.signals.coordination.PAIRS_AT_ONCE", 7)
    assert find_groups(table) == whole


def test_who_like_nearly_everything_they_see_are_no_group():
    """Six who like nine tenths of the same fifty: nearly identical, and that by chance."""
    rng = np.random.default_rng(2)
    item = np.tile(np.arange(50), 6)
    eager = (
        np.repeat([f"e{n}" for n in range(6)], 50), item, rng.random(300) < 0.9, np.zeros(300),
    )  # fmt: skip
    assert find_groups(both(people(rng), eager)) == {}


def test_an_overlap_that_is_expected_exactly_is_as_likely_as_poisson_says():
    """P(2 or more | 1 expected) = 1 - 2/e; where the expectation is vague, more."""
    one = np.ones(1)
    exact = Overlaps(together=2 * one, either=2 * one, expected=one, spread=1e-9 * one)
    assert exact.chance(np.array([0]))[0] == pytest.approx(1 - 2 / np.e, abs=1e-6)
    vague = Overlaps(together=9 * one, either=9 * one, expected=one, spread=one)
    assert vague.chance(np.array([0]))[0] == pytest.approx(0.5**9), "geometric of mean 1"


def test_who_praises_half_of_one_release_and_nothing_else_is_one_sided():
    rng = np.random.default_rng(3)
    item = np.arange(80)
    sided = (np.full(80, "b0"), item, (item % 2 == 1) & (rng.random(80) < 0.5), np.zeros(80))
    assert find_one_sided(both(people(rng), sided), generations()) == [("b0", "t")]


def test_whoever_prefers_the_release_that_everybody_prefers_is_not_one_sided():
    rng = np.random.default_rng(4)
    better = np.where(np.arange(ITEMS) % 2 == 1, 1.5, -3.0)
    assert find_one_sided(shown(*people(rng, quality=better)), generations()) == []


def test_one_sidedness_knows_no_names_and_needs_praise():
    rng = np.random.default_rng(5)
    praise = rng.integers(1, 30, 60).astype(float)
    given = rng.binomial(praise.astype(int), 0.5).astype(float)
    given[:5] = praise[:5]
    share = rng.uniform(0.4, 0.6, 60)
    order = rng.permutation(60)
    whole = one_sidedness(given, praise, share)
    np.testing.assert_allclose(
        one_sidedness(given[order], praise[order], share[order]), whole[order]
    )
    assert not praise_one_side(np.zeros((3, 2)), np.ones((3, 2))).any()
    assert len(one_sidedness(np.zeros(0), np.zeros(0), np.zeros(0))) == 0


def test_who_likes_half_of_everything_whatever_it_is_counts_for_nothing():
    rng = np.random.default_rng(6)
    item = rng.choice(ITEMS, 100, replace=False)
    bot = (np.full(100, "bot"), item, rng.random(100) < 0.5, np.tile(np.arange(4), 25))
    table = both(people(rng, each=120), bot)
    assert find_indiscriminate(table) == [("bot", "t")]
    weighed = weigh(table, generations())
    assert weighed.reasons.to_pylist() == [
        {"user_id": "bot", "tenant_id": "t", "reason": "indiscriminate", "group": None}
    ]
    assert drop_counts(weighed.drops) == {"indiscriminate": 100}
    kept = weigh(table, generations(), settings=WeighingSettings(keep=("indiscriminate",)))
    assert kept.table.equals(table)


def test_an_enthusiast_who_likes_what_is_good_is_not_indiscriminate():
    rng = np.random.default_rng(7)
    quality = rng.normal(0, 1, ITEMS)
    _, item, liked, place = people(rng, users=1, each=ITEMS, ready=0.8, quality=quality)
    enthusiast = (np.full(ITEMS, "fan"), item, liked, place)
    assert liked.mean() > 0.35
    assert find_indiscriminate(both(people(rng, each=120, quality=quality), enthusiast)) == []


def test_tallies_of_parts_add_up_and_nothing_is_said_of_few():
    rng = np.random.default_rng(8)
    user, item, place = (rng.integers(0, n, 300) for n in (9, 20, 4))
    gave = rng.random(300) < 0.3
    slots = np.stack([np.bincount(place, minlength=9), np.bincount(place, gave, minlength=9)])
    whole = pulled(user, item, place, gave, slots=slots, users=9)
    halves = [
        pulled(user[half], item[half], place[half], gave[half], slots=slots, users=9)
        for half in (item < 10, item >= 10)
    ]
    np.testing.assert_array_equal(whole, np.sum(halves, axis=0))
    assert whole[0].sum() == 300
    assert not praise_anything(np.zeros((3, 13)), np.zeros((3, 13))).any()
