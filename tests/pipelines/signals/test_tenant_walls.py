"""Walls between tenants: what one tenant sends neither erases nor speaks for another's."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from data_contracts.errors import ContractError
from data_contracts.schemas import EVENT
from pipelines.denoising import DenoiseSettings, denoise
from pipelines.signals import (
    ExposureSettings,
    drop_counts,
    exposures,
    has_signal,
    signal_patterns,
    weigh,
)
from pipelines.signals.coordination import find_groups
from pipelines.signals.tenant_users import User, number_users

START = datetime(2026, 1, 5, tzinfo=UTC)
ALL = ExposureSettings(heldout_users=0.0)
LIMIT = 16_000_000


def event(name, kind, *, tenant, user="u1", generation, at=0.0, position=0):
    return {
        "event_id": name, "tenant_id": tenant, "project_id": "p", "user_id": user,
        "session_id": "s", "turn": 0, "kind": kind, "generation_id": generation,
        "surface": "grid", "position": position, "occurred_at": START + timedelta(seconds=at),
        "received_at": START + timedelta(hours=1),
    }  # fmt: skip


def events(rows):
    return pa.Table.from_pylist(rows, schema=EVENT)


def generations(*owners):
    """One generation of one prompt for each pair of generation and tenant."""
    return pa.table(
        {
            "generation_id": [name for name, _ in owners],
            "prompt_id": [f"q{name[0]}" for name, _ in owners],
            "tenant_id": [tenant for _, tenant in owners],
            "model_release": ["r"] * len(owners),
        }
    )


def test_the_event_ids_of_one_tenant_say_nothing_of_anothers():
    """B's e1 and e2 are older than A's, so they were what stayed of both."""
    rows = events(
        [
            event("e1", "impression", tenant="A", generation="a1", at=100),
            event("e2", "like", tenant="A", generation="a1", at=101),
            event("e1", "impression", tenant="B", generation="b1", at=0),
            event("e2", "like", tenant="B", generation="b1", at=1),
        ]
    )
    table, drops = exposures(rows, generations(("a1", "A"), ("b1", "B")), settings=ALL)
    assert table.select(["tenant_id", "event_ids"]).to_pylist() == [
        {"tenant_id": "A", "event_ids": ["e1", "e2"]},
        {"tenant_id": "B", "event_ids": ["e1", "e2"]},
    ]
    assert drops.num_rows == 0


def test_an_id_that_comes_twice_within_a_tenant_still_counts_once():
    first = event("e1", "impression", tenant="A", generation="a1")
    again = event("e1", "like", tenant="A", generation="a1", at=5)
    other = event("e1", "impression", tenant="B", generation="b1", at=9)
    table, drops = exposures(
        events([first, again, other]), generations(("a1", "A"), ("b1", "B")), settings=ALL
    )
    assert table["pattern"].to_pylist() == [0, 0]
    assert drop_counts(drops) == {"duplicate_event": 1}


def test_an_event_on_another_tenants_generation_is_dropped_under_its_own_reason():
    rows = events(
        [
            event("e1", "impression", tenant="A", generation="a1"),
            event("e1", "impression", tenant="B", user="spy", generation="a1"),
            event("e2", "like", tenant="B", user="spy", generation="a1", at=1),
        ]
    )
    table, drops = exposures(rows, generations(("a1", "A")), settings=ALL)
    assert table["user_id"].to_pylist() == ["u1"]
    assert not has_signal(table, "like").any()
    assert drop_counts(drops) == {"other_tenant": 2}


def test_who_does_not_say_whose_a_generation_is_needs_events_of_one_tenant():
    mine = [event("e1", "impression", tenant="A", generation="a1")]
    theirs = [event("e1", "impression", tenant="B", generation="b1")]
    nameless = generations(("a1", "A"), ("b1", "B")).drop_columns(["tenant_id"])
    assert exposures(events(mine), nameless, settings=ALL).table.num_rows == 1
    with pytest.raises(ContractError, match="2 have no tenant_id, but events are of 2 tenants"):
        exposures(events(mine + theirs), nameless, settings=ALL)
    for limit in (None, LIMIT):
        settings = DenoiseSettings(memory_limit=limit)
        with pytest.raises(ContractError, match="2 have no tenant_id, but events are of 2"):
            denoise(events(mine + theirs), nameless, None, settings=settings)


@pytest.mark.parametrize("limit", [None, LIMIT])
def test_one_row_that_says_whose_a_generation_is_speaks_for_its_other_rows(limit):
    """B's row of b1 comes again without a tenant: it is no more A's than before."""
    told = [event("e1", "impression", tenant="A", generation="b1")]
    known = generations(("b1", "B"), ("b1", None))
    settings = DenoiseSettings(memory_limit=limit)
    assert drop_counts(denoise(events(told), known, None, settings=settings).drops) == {
        "other_tenant": 1
    }
    told.append(event("e2", "impression", tenant="B", generation="b1"))
    assert denoise(events(told), known, None, settings=settings).figures["rows"]["exposures"] == 1


def test_generations_of_which_only_some_say_whose_they_are_are_refused_by_id():
    known = generations(("a1", "A"), ("a2", None), ("a3", None))
    with pytest.raises(ContractError, match=r"2 of 3 ids have no tenant_id \(a2, a3\)"):
        denoise(None, known, None)


def test_a_generation_of_two_tenants_is_refused():
    with pytest.raises(ContractError, match="1 ids have two prompts or tenants"):
        denoise(None, generations(("a1", "A"), ("a1", "B")), None)


def namesakes():
    """A's u1 likes 60 of 60; B's u1 likes one in six, as everybody else does."""
    rows = []
    for tenant, letter in (("A", "a"), ("B", "b")):
        for user in ["u1", *(f"v{n}" for n in range(8))]:
            for n in range(60):
                told = {"tenant": tenant, "user": user, "generation": f"{letter}{n}"}
                rows.append(event(f"{user}-{n}", "impression", **told))
                if (tenant, user) == ("A", "u1") or (n + len(rows)) % 6 == 0:
                    rows.append(event(f"{user}-{n}-like", "like", **told, at=1.0))
    owners = [(f"{letter}{n}", letter.upper()) for letter in "ab" for n in range(60)]
    return events(rows), generations(*owners)


def test_a_bot_of_one_tenant_leaves_its_namesake_in_peace():
    table, drops = exposures(*namesakes(), settings=ALL)
    mine = table.filter(pc.equal(table["user_id"], "u1"))
    told = set(zip(mine["tenant_id"].to_pylist(), mine["weight"].to_pylist(), strict=True))
    assert told == {("A", 0.0), ("B", 1.0)}
    assert drop_counts(drops) == {"bot": 120}
    assert sum(signal_patterns(table)["exposures"].to_pylist()) == 60 * 17


@pytest.mark.parametrize("limit", [None, LIMIT])
def test_namesakes_are_two_users_with_a_row_each(limit):
    rows, known = namesakes()
    made = denoise(rows, known, None, settings=DenoiseSettings(memory_limit=limit))
    users = made.users.select(["user_id", "tenant_id", "exposures", "reason"]).to_pylist()
    assert users[:2] == [
        {"user_id": "u1", "tenant_id": "A", "exposures": 60, "reason": "bot"},
        {"user_id": "u1", "tenant_id": "B", "exposures": 60, "reason": None},
    ]
    assert len(users) == 18
    fitted = list(zip(made.fit.users, made.fit.tenants, strict=True))
    assert fitted[:2] == [("u1", "A"), ("u1", "B")]
    tenants = [row for row in made.figures["cohorts"] if row["of"] == "tenant"]
    assert [(row["cohort"], row["users"]) for row in tenants] == [("A", 9), ("B", 9)]


def test_a_group_of_one_tenant_leaves_its_namesakes_in_peace():
    """Four of A praise the same twenty; B's users of the same names choose for themselves."""
    rng = np.random.default_rng(0)
    rows = []
    for tenant, letter in (("A", "a"), ("B", "b")):
        for user in range(40):
            told = tenant == "A" and user < 4
            seen = rng.permutation(200)[:40]
            if told:
                seen = np.concatenate([np.arange(20), seen[seen >= 20][:20]])
            for n in seen:
                at = {"tenant": tenant, "user": f"u{user:02d}", "generation": f"{letter}{n}"}
                rows.append(event(f"{user}-{n}", "impression", **at))
                if (told and n < 20) or rng.random() < 0.2:
                    rows.append(event(f"{user}-{n}-like", "like", **at | {"at": 1.0}))
    known = generations(*[(f"{letter}{n}", letter.upper()) for letter in "ab" for n in range(200)])
    table = exposures(events(rows), known, settings=ALL).table
    assert find_groups(table) == {(f"u{n:02d}", "A"): 0 for n in range(4)}
    weighed = weigh(table, known)
    assert {row["tenant_id"] for row in weighed.reasons.to_pylist()} == {"A"}
    other = pc.equal(table["tenant_id"], "B").to_numpy()
    np.testing.assert_array_equal(weighed.table["weight"].to_numpy()[other], 1.0)


def test_users_are_numbered_by_name_and_tenant_whatever_the_ids_hold():
    """By hand: (a, t), (a, u), (b, t); no joined name could be told from another's."""
    user, tenant = (pa.chunked_array([column]) for column in (["b", "a", "a", "b"], list("tutt")))
    users, row = number_users(user, tenant)
    assert row.tolist() == [2, 1, 0, 2]
    assert [users[n] for n in range(3)] == [("a", "t"), ("a", "u"), ("b", "t")]
    assert users.table().to_pylist()[1] == {"user_id": "a", "tenant_id": "u"}
    asked = (pa.chunked_array([["b", "b", "c"]]), pa.chunked_array([["t", "u", "t"]]))
    assert users.places(*asked).tolist() == [2, -1, -1]
    assert users.marked([User("a", "u")]).tolist() == [False, True, False]
    nobody, none = number_users(user.slice(0, 0), tenant.slice(0, 0))
    assert (len(nobody), len(none), nobody.table().num_rows) == (0, 0, 0)
    assert nobody.places(*asked).tolist() == [-1, -1, -1]
