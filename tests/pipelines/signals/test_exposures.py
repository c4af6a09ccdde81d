"""Exposures: every event is evidence, or counted under one reason."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from data_contracts.errors import ContractError
from data_contracts.schemas import EVENT, SCHEMAS
from pipelines.signals import (
    EXPOSURE,
    ExposureSettings,
    drop_counts,
    exposures,
    has_signal,
    is_heldout,
    sessions,
    signal_patterns,
    training_exposures,
)

START = datetime(2026, 1, 5, tzinfo=UTC)
ALL = ExposureSettings(heldout_users=0.0)


def event(n, kind, *, user="u1", generation="g1", at=0.0, value=None, position=0, **other):
    return {
        "event_id": f"e{n:04d}", "tenant_id": "t", "project_id": "p", "user_id": user,
        "session_id": f"s-{user}", "turn": 0, "kind": kind, "generation_id": generation,
        "surface": "grid", "position": position, "propensity": None, "value": value,
        "occurred_at": START + timedelta(seconds=at),
        "received_at": START + timedelta(seconds=at + 1),
    } | other  # fmt: skip


def events(*rows):
    return pa.Table.from_pylist(list(rows), schema=EVENT)


def generations(*names):
    return pa.table(
        {
            "generation_id": pa.array(names, pa.string()),
            "prompt_id": pa.array(["q1"] * len(names), pa.string()),
        }
    )


def one(*rows):
    """The only exposure made of the rows of one user and generation."""
    table = exposures(events(*rows), generations("g1"), settings=ALL).table
    assert table.num_rows == 1
    return table


def test_a_like_taken_back_is_no_like():
    liked = one(event(1, "impression"), event(2, "like", at=1))
    undone = one(event(1, "impression"), event(2, "like", at=1), event(3, "unlike", at=2))
    again = one(
        event(1, "impression"), event(2, "like", at=1), event(3, "unlike", at=2),
        event(4, "like", at=3),
    )  # fmt: skip
    assert [has_signal(t, "like")[0] for t in (liked, undone, again)] == [True, False, True]


@pytest.mark.parametrize(
    ("seconds", "long"), [((10.0,), False), ((10.1,), True), ((6.0, 5.0), True)]
)
def test_dwell_counts_beyond_ten_seconds_in_all(seconds, long):
    rows = [event(n + 2, "dwell", value=s, at=n + 1) for n, s in enumerate(seconds)]
    assert has_signal(one(event(1, "impression"), *rows), "dwell")[0] == long


@pytest.mark.parametrize(("kept", "signal"), [(0.9, "edit_kept"), (0.2, "edit_lost")])
def test_an_edit_speaks_by_what_it_keeps(kept, signal):
    table = one(event(1, "impression"), event(2, "edit", value=kept, at=1))
    assert [n for n in ("edit_kept", "edit_lost") if has_signal(table, n)[0]] == [signal]


def test_every_event_is_evidence_or_counted_once():
    rows = events(
        event(1, "impression"),
        event(2, "like", at=1),
        event(2, "like", at=1),  # sent twice
        event(3, "like", at=1),  # sent twice under a new id
        event(4, "impression", generation="nowhere"),
        event(5, "delete", at=2),
        event(6, "edit", value=float("nan"), at=3),
        event(7, "share", user="u2"),  # never shown
    )
    table, drops = exposures(rows, generations("g1"), settings=ALL)
    assert drop_counts(drops) == {
        "duplicate_event": 2,
        "edit_without_value": 1,
        "no_impression": 1,
        "not_a_signal": 1,
        "unknown_generation": 1,
    }
    assert table["event_ids"].to_pylist() == [["e0001", "e0002"]]
    assert table.schema == EXPOSURE


def crowd(users=40, seen=30, seed=0):
    """Most like one in ten; u000 likes everything."""
    rng = np.random.default_rng(seed)
    rows, n = [], 0
    for u in range(users):
        for g in range(seen):
            who = {"user": f"u{u:03d}", "generation": f"g{g}", "at": 10.0 * g}
            rows.append(event(n, "impression", position=g % 4, **who))
            n += 1
            if u == 0 or rng.random() < 0.1:
                rows.append(event(n, "like", **who | {"at": 10.0 * g + 1}))
                n += 1
    return events(*rows), generations(*[f"g{g}" for g in range(seen)])


def test_who_likes_everything_is_a_bot_and_left_out_reversibly():
    rows, known = crowd()
    table, drops = exposures(rows, known, settings=ALL)
    assert drop_counts(drops) == {"bot": 60}
    weight = dict(zip(table["user_id"].to_pylist(), table["weight"].to_pylist(), strict=True))
    assert [user for user, w in weight.items() if w == 0] == ["u000"]
    assert training_exposures(table).num_rows == 39 * 30


def test_held_out_users_are_no_training_evidence():
    rows, known = crowd()
    table, drops = exposures(rows, known, settings=ExposureSettings(heldout_users=0.3))
    held = {u for u in set(table["user_id"].to_pylist()) if is_heldout(u, share=0.3)} - {"u000"}
    assert 0 < len(held) < 40
    trained = training_exposures(table)
    assert not held & set(trained["user_id"].to_pylist())
    used = pc.sum(pc.list_value_length(trained["event_ids"])).as_py()
    assert used + sum(drop_counts(drops).values()) == rows.num_rows


def test_the_same_users_are_held_out_for_ever():
    """A golden test: another hash would let users slip from one side to the other."""
    assert [u for u in range(60) if is_heldout(f"u{u}", share=0.1)] == [
        5, 8, 21, 22, 41, 48,
    ]  # fmt: skip


def test_row_order_does_not_matter():
    rows, known = crowd()
    turned = rows.take(np.random.default_rng(1).permutation(rows.num_rows))
    first, second = exposures(rows, known), exposures(turned, known)
    assert first.table.equals(second.table)
    assert first.drops.equals(second.drops)
    assert sessions(rows).equals(sessions(turned))
    assert signal_patterns(first.table).equals(signal_patterns(second.table))


def test_a_batch_that_comes_twice_changes_nothing_but_the_drops():
    rows, known = crowd()
    twice = pa.concat_tables([rows, rows])
    first, second = exposures(rows, known), exposures(twice, known)
    assert first.table.equals(second.table)
    assert drop_counts(second.drops)["duplicate_event"] == rows.num_rows


def test_patterns_count_every_training_exposure():
    rows, known = crowd()
    table = exposures(rows, known, settings=ALL).table
    counted = signal_patterns(table)
    assert pc.sum(counted["exposures"]).as_py() == training_exposures(table).num_rows
    assert {tuple(names) for names in counted["signals"].to_pylist()} == {(), ("like",)}


def test_no_events_give_no_exposures():
    table, drops = exposures(events(), SCHEMAS["generation"].empty_table())
    assert table.num_rows == drops.num_rows == 0
    assert signal_patterns(table).num_rows == sessions(events()).num_rows == 0


def test_columns_that_may_be_null_may_be_absent():
    rows = events(event(1, "impression")).drop_columns(["value", "propensity"])
    assert exposures(rows, generations("g1"), settings=ALL).table.num_rows == 1


def test_a_missing_column_is_named():
    with pytest.raises(ContractError, match="events: column user_id missing"):
        exposures(events().drop_columns(["user_id"]), generations("g1"))


def test_sessions_by_hand():
    rows = events(
        event(1, "impression"), event(2, "regenerate", at=4), event(2, "regenerate", at=4),
        event(3, "impression", generation="g2", at=9, turn=1),
    )  # fmt: skip
    (row,) = sessions(rows).to_pylist()
    assert (row["turns"], row["events"], row["impressions"], row["regenerations"]) == (2, 3, 2, 1)
    assert row["ended_at"] - row["started_at"] == timedelta(seconds=9)
