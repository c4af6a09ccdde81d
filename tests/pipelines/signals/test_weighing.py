"""Groups, one-sided voters and caps: found, counted under their reason, and undone on request."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.errors import ContractError
from pipelines.signals import EXPOSURE, SIGNAL_NAMES, WeighingSettings, drop_counts, weigh
from pipelines.signals.coordination import find_groups
from pipelines.signals.one_sided import find_one_sided
from pipelines.signals.weighing import remaining_cap

LIKE = 1 << SIGNAL_NAMES.index("like")


def shown(rows):
    """EXPOSURE rows of (user, generation number, liked)."""
    n = len(rows)
    return pa.table(
        {
            "tenant_id": ["t"] * n, "project_id": ["p"] * n,
            "user_id": [user for user, _, _ in rows],
            "session_id": [f"s{k}" for k in range(n)], "turn": pa.array([0] * n, pa.int32()),
            "generation_id": [f"g{item:03d}" for _, item, _ in rows],
            "prompt_id": ["q"] * n, "surface": ["grid"] * n,
            "position": pa.array([0] * n, pa.int32()), "propensity": pa.nulls(n, pa.float64()),
            "shown_at": pa.nulls(n, EXPOSURE.field("shown_at").type),
            "pattern": [LIKE if liked else 0 for _, _, liked in rows],
            "weight": np.ones(n), "heldout": np.zeros(n, bool),
            "event_ids": [[f"e{k}"] for k in range(n)],
        },
        schema=EXPOSURE,
    )  # fmt: skip


def generations(count=200):
    return pa.table(
        {
            "generation_id": [f"g{n:03d}" for n in range(count)],
            "prompt_id": ["q"] * count,
            "model_release": [f"r{n % 2}" for n in range(count)],
        }
    )


def crowd(rng, *, users=60, each=40, chance=0.3, name="u"):
    return [
        (f"{name}{u:02d}", int(item), bool(rng.random() < chance))
        for u in range(users)
        for item in rng.choice(200, each, replace=False)
    ]


def group(rng, *, members=4, told=20):
    """Members praise the same even and odd generations, and click about elsewhere."""
    targets = rng.choice(200, told, replace=False).tolist()
    rest = [n for n in range(200) if n not in targets]
    return [
        row
        for m in range(members)
        for row in [(f"x{m}", n, True) for n in targets]
        + [(f"x{m}", int(n), bool(rng.random() < 0.1)) for n in rng.choice(rest, 20)]
    ]


def test_a_group_told_what_to_praise_is_found_and_counts_as_one():
    rng = np.random.default_rng(1)
    table = shown(crowd(rng) + group(rng))
    assert find_groups(table) == {(f"x{n}", "t"): 0 for n in range(4)}
    weighed = weigh(table, generations())
    weight = weighed.table["weight"].to_numpy()
    inside = np.array([u.startswith("x") for u in table["user_id"].to_pylist()])
    np.testing.assert_allclose(weight[inside], 0.25)
    np.testing.assert_allclose(weight[~inside], 1.0)
    assert drop_counts(weighed.drops) == {"coordinated": round(0.75 * inside.sum())}


def test_a_taste_of_ones_own_is_no_group():
    """Twelve who like the same third of all generations, six times in ten, and little else."""
    rng = np.random.default_rng(2)
    tasteful = [
        (f"m{u:02d}", n, bool(rng.random() < (0.6 if n % 3 == 0 else 0.05)))
        for u in range(12)
        for n in range(0, 200, 2)
    ]
    table = shown(crowd(rng) + tasteful)
    assert find_groups(table) == {}
    assert weigh(table, generations()).reasons.num_rows == 0


def test_two_who_agree_are_no_group():
    rng = np.random.default_rng(3)
    assert find_groups(shown(crowd(rng) + group(rng, members=2))) == {}


def test_who_praises_one_release_alone_counts_for_nothing():
    rng = np.random.default_rng(4)
    sided = [("b0", n, n % 2 == 1) for n in range(40)]
    leaning = [("b1", n, bool(rng.random() < (0.7 if n % 2 else 0.25))) for n in range(40)]
    table = shown(crowd(rng) + sided + leaning)
    assert find_one_sided(table, generations()) == [("b0", "t")]
    weighed = weigh(table, generations())
    assert weighed.reasons.to_pylist() == [
        {"user_id": "b0", "tenant_id": "t", "reason": "one_sided", "group": None}
    ]
    assert drop_counts(weighed.drops) == {"one_sided": 40}
    assert find_one_sided(table, generations().drop_columns(["model_release"])) == []
    names = generations()["model_release"].to_pylist()
    nameless = pa.array([name if name == "r0" else None for name in names], pa.string())
    place = generations().column_names.index("model_release")
    unnamed = generations().set_column(place, "model_release", nameless)
    assert find_one_sided(table, unnamed) == [("b0", "t")], "what has no release is one of its own"


def test_nobody_gives_more_than_the_cap():
    rng = np.random.default_rng(5)
    busy = [("busy", int(n), False) for n in rng.integers(0, 200, 900)]
    table = shown(crowd(rng) + busy)
    settings = WeighingSettings(user_floor=300, keep=("repeated",))
    weighed = weigh(table, generations(), settings=settings)
    mine = np.array([u == "busy" for u in table["user_id"].to_pylist()])
    assert weighed.table["weight"].to_numpy()[mine].sum() == pytest.approx(300)
    assert drop_counts(weighed.drops) == {"user_cap": 600}


def test_the_same_user_before_the_same_generation_soon_adds_nothing():
    """Ten looks of one user at g000 count three, as those of three users at g001 do."""
    table = shown([("a", 0, True)] * 10 + [(name, 1, True) for name in "bcd"] + [("a", 1, False)])
    weighed = weigh(table, generations())
    np.testing.assert_allclose(weighed.table["weight"].to_numpy(), [0.3] * 10 + [1.0] * 4)
    assert drop_counts(weighed.drops) == {"repeated": 7}
    undone = weigh(table, generations(), settings=WeighingSettings(keep=("repeated",)))
    assert undone.table.equals(table)
    with pytest.raises(ContractError, match="repeats is 0"):
        WeighingSettings(repeats=0)


def test_every_reason_can_be_undone():
    rng = np.random.default_rng(6)
    table = shown(crowd(rng) + group(rng) + [("b0", n, n % 2 == 1) for n in range(40)])
    kept = WeighingSettings(keep=("coordinated", "one_sided"))
    weighed = weigh(table, generations(), settings=kept)
    assert weighed.table.equals(table)
    assert weighed.drops.num_rows == 0


def test_one_tenant_does_not_drown_the_others():
    rng = np.random.default_rng(7)
    table = shown(crowd(rng, users=10))
    tenant = ["big" if n >= 40 else "small" for n in range(table.num_rows)]
    at = table.schema.get_field_index("tenant_id")
    table = table.set_column(at, "tenant_id", pa.array(tenant))
    weighed = weigh(table, generations(), settings=WeighingSettings(tenant_share=0.5))
    weight = weighed.table["weight"].to_numpy()
    assert weight[np.array(tenant) == "big"].sum() == pytest.approx(40)
    assert weight[np.array(tenant) == "small"].sum() == pytest.approx(40)
    assert drop_counts(weighed.drops) == {"tenant_cap": 320}


def test_held_out_rows_are_no_evidence_that_a_tenant_gives():
    """All but 40 rows of "big" are held out, so it gives no more than "small" does."""
    rng = np.random.default_rng(7)
    table = shown(crowd(rng, users=10))
    tenant = ["big" if n >= 40 else "small" for n in range(table.num_rows)]
    for name, values in (("tenant_id", tenant), ("heldout", [n >= 80 for n in range(400)])):
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, pa.array(values))
    weighed = weigh(table, generations(), settings=WeighingSettings(tenant_share=0.5))
    np.testing.assert_allclose(weighed.table["weight"].to_numpy(), 1.0)


@pytest.mark.parametrize(
    ("gives", "share", "cap"),
    [
        ([900.0, 100.0], 0.5, 100.0),
        ([600.0, 300.0, 100.0], 0.5, 400.0),  # 400 of 400 + 300 + 100
        ([800.0, 700.0, 100.0, 100.0], 0.4, 400.0),  # 400 of 2 * 400 + 200
        ([50.0, 50.0], 0.5, 50.0),
        ([900.0, 60.0, 40.0], 0.2, 40.0),  # three cannot give a fifth each: all give the same
        ([900.0, 60.0, 0.0], 0.2, 60.0),  # who gives nothing is nobody
        ([900.0, 0.0], 0.5, 900.0),
        ([], 0.5, 0.0),
    ],
)
def test_a_cap_is_a_share_of_what_remains_by_hand(gives, share, cap):
    assert remaining_cap(np.array(gives), share) == pytest.approx(cap)
    assert remaining_cap(np.array(gives[::-1]), share) == pytest.approx(cap)


@given(
    gives=st.lists(st.just(0.0) | st.floats(1e-6, 1e7), min_size=1, max_size=12),
    share=st.floats(0.01, 0.99),
)
def test_no_tenant_gives_more_than_its_share_of_what_remains(gives, share):
    """And the cap is the largest: where it takes anything, somebody stands at the share."""
    total = np.array(gives)
    left = np.minimum(total, remaining_cap(total, share))
    some = int((total > 0).sum())
    reached = left.max() / max(left.sum(), 1e-300)
    possible = max(share, 1 / max(some, 1))
    assert reached <= possible * (1 + 1e-9)
    assert (left == total).all() or reached == pytest.approx(possible)


def test_nothing_in_nothing_out_and_unknown_reasons_are_refused():
    weighed = weigh(EXPOSURE.empty_table(), generations())
    assert weighed.table.num_rows == 0
    with pytest.raises(ContractError, match="no reason"):
        WeighingSettings(keep=("boredom",))
