"""The enforcer names every refused row by id, never shows content, and loses no row."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from data_contracts.contract import load_contract
from data_contracts.errors import ContractError
from pipelines.stores.enforcer import VIOLATIONS, find_violations, refuse, split_rows

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
EVENTS = load_contract("event")


def event(**changes: Any) -> dict[str, Any]:
    return {
        "event_id": "ev_1",
        "tenant_id": "t_1",
        "project_id": "p_1",
        "user_id": "u_1",
        "session_id": "s_1",
        "turn": 0,
        "kind": "impression",
        "generation_id": "g_1",
        "surface": "grid",
        "position": 0,
        "occurred_at": NOW - timedelta(hours=1),
        "received_at": NOW - timedelta(hours=1),
    } | changes


def events(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows))


def test_the_message_is_the_one_in_the_conventions() -> None:
    table = events(
        event(event_id="ev_9f2c", received_at=NOW - timedelta(days=3)),
        event(event_id="ev_good"),
        event(event_id="ev_a013", position=None),
    )
    with pytest.raises(ContractError) as refusal:
        refuse(table, EVENTS, now=NOW)
    assert str(refusal.value) == (
        "events: 2 of 3 rows refused\n"
        "  row 0 (event ev_9f2c): occurred_at is 2 d after received_at\n"
        '  row 2 (event ev_a013): position missing; required for kind "impression"'
    )


def test_shows_twenty_rows_then_counts_the_rest() -> None:
    table = events(*(event(event_id=f"ev_{n}", surface="moon") for n in range(1025)))
    with pytest.raises(ContractError) as refusal:
        refuse(table, EVENTS, now=NOW)
    lines = str(refusal.value).splitlines()
    assert lines[0] == "events: 1 025 of 1 025 rows refused"
    assert lines[20] == "  row 19 (event ev_19): surface is not a known surface"
    assert lines[21:] == ["  and 1 005 more"]


def test_valid_rows_pass_in_silence() -> None:
    refuse(events(event(), event(event_id="ev_2")), EVENTS, now=NOW)
    assert find_violations(events(event()), EVENTS, now=NOW).equals(VIOLATIONS.empty_table())


def test_never_shows_content_even_where_it_sits_in_an_id() -> None:
    secret = "a portrait of our unannounced car"
    table = events(event(event_id=secret, kind=secret, generation_id=secret, surface=secret))
    found = find_violations(table, EVENTS, now=NOW)
    assert "portrait" not in str(found.to_pylist())
    assert set(found.column("row_id").to_pylist()) == {None}


@pytest.mark.parametrize(
    ("changes", "rule", "column"),
    [
        ({"kind": "vibe"}, "in_set", "kind"),
        ({"received_at": NOW + timedelta(minutes=6)}, "not_after", "received_at"),
        ({"occurred_at": NOW - timedelta(minutes=54)}, "not_after", "occurred_at"),
        ({"turn": -1}, "in_range", "turn"),
        ({"propensity": 0.0}, "in_range", "propensity"),
        ({"kind": "edit", "value": 1.5}, "in_range", "value"),
        ({"user_id": None}, "not_null", "user_id"),
        ({"user_id": ""}, "matches", "user_id"),
        ({"session_id": "s" * 129}, "max_length", "session_id"),
        ({"position": None}, "required_when", "position"),
    ],
)
def test_each_fault_is_found_once_under_its_rule(
    changes: dict[str, Any], rule: str, column: str
) -> None:
    found = find_violations(events(event(**changes), event(event_id="ev_2")), EVENTS, now=NOW)
    assert found.select(["rule", "column", "row"]).to_pylist() == [
        {"rule": rule, "column": column, "row": 0}
    ]


def test_a_small_clock_error_is_tolerated() -> None:
    ahead = event(occurred_at=NOW + timedelta(minutes=4), received_at=NOW + timedelta(minutes=5))
    refuse(events(ahead), EVENTS, now=NOW)


def test_the_same_id_in_two_tenants_is_no_repeat() -> None:
    table = events(event(tenant_id="t_1"), event(tenant_id="t_2"), event(tenant_id="t_2"))
    found = find_violations(table, EVENTS, now=NOW)
    assert found.column("row").to_pylist() == [1, 2]
    assert set(found.column("reason").to_pylist()) == {"tenant_id, event_id repeated"}


def test_splitting_loses_no_row_and_says_all_that_is_wrong() -> None:
    table = events(
        event(event_id="ev_1", note="kept with the row"),
        event(event_id="ev_2", kind="vibe", surface="moon", note="kept with the row"),
    )
    accepted, quarantined = split_rows(table, EVENTS, now=NOW)
    assert accepted.schema == EVENTS.schema
    assert accepted.column("event_id").to_pylist() == ["ev_1"]
    assert quarantined.column_names == [*table.column_names, "reason"]
    assert quarantined.column("reason").to_pylist() == [
        "kind is not a known kind; surface is not a known surface"
    ]


@pytest.mark.parametrize("seed", range(3))
def test_accepted_and_quarantined_add_up_for_any_faults(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [
        event(
            event_id=f"ev_{rng.integers(150)}",
            kind=str(rng.choice(["like", "vibe", "impression"])),
            position=int(rng.integers(-1, 2)),
        )
        for _ in range(200)
    ]
    accepted, quarantined = split_rows(events(*rows), EVENTS, now=NOW)
    assert len(accepted) + len(quarantined) == 200
    assert len(accepted) > 0
    refuse(accepted, EVENTS, now=NOW)


def test_finds_the_same_twice_and_the_same_rows_in_reverse() -> None:
    table = events(*(event(event_id=f"ev_{n % 70}", turn=n % 5 - 1) for n in range(100)))
    found = find_violations(table, EVENTS, now=NOW)
    assert found.equals(find_violations(table, EVENTS, now=NOW))
    mirrored = find_violations(table.take(list(range(99, -1, -1))), EVENTS, now=NOW)
    assert sorted(99 - row for row in mirrored.column("row").to_pylist()) == (
        found.column("row").to_pylist()
    )


def test_no_rows_is_a_valid_table() -> None:
    accepted, quarantined = split_rows(EVENTS.schema.empty_table(), EVENTS, now=NOW)
    assert (len(accepted), len(quarantined)) == (0, 0)


def test_a_missing_column_refuses_the_table() -> None:
    with pytest.raises(ContractError, match=r"^events: column received_at missing;"):
        find_violations(events(event()).drop_columns(["received_at"]), EVENTS, now=NOW)
