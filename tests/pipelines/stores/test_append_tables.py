"""Append tables: once a batch, in one order, and gone without trace."""

import subprocess
import sys

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_contracts.errors import FlywheelError
from data_contracts.schemas import PREFERENCE_PAIR
from pipelines.stores import AppendTables, open_stores


def events(*ids: str) -> pa.Table:
    return pa.table({"event_id": list(ids), "kind": [f"kind of {i}" for i in ids]})


def test_a_batch_is_stored_once(stores):
    assert stores.append.append("events", events("e1", "e2"), batch="b1")
    assert not stores.append.append("events", events("e1", "e2"), batch="b1")
    assert stores.append.read("events")["event_id"].to_pylist() == ["e1", "e2"]
    assert stores.append.batches("events") == ["b1"]


def test_rows_come_back_in_the_order_of_the_first_id_column(stores):
    stores.append.append("events", events("e3", "e1"), batch="b1")
    stores.append.append("events", events("e2"), batch="b2")
    assert stores.append.read("events", columns=["kind"])["kind"].to_pylist() == [
        "kind of e1",
        "kind of e2",
        "kind of e3",
    ]
    assert stores.append.read("events", batches=["b2"]).num_rows == 1
    assert stores.append.read("events", columns=["batch"]).num_rows == 3


def test_rows_are_chosen_by_columns_that_need_not_come_back(stores):
    stores.append.append("events", events("e3", "e1", "e2"), batch="b1")
    stores.append.append("events", events("e4"), batch="b2")
    where = pc.field("kind").isin(["kind of e4", "kind of e3", "kind of e1"])
    found = stores.append.read("events", columns=["event_id"], where=where)
    assert found.to_pydict() == {"event_id": ["e1", "e3", "e4"]}
    first = stores.append.read("events", batches=["b1"], where=where)
    assert first["event_id"].to_pylist() == ["e1", "e3"]


def test_a_value_that_does_not_fit_is_named_by_its_column_and_never_quoted(stores):
    stores.append.append("told", pa.table({"event_id": ["e1"], "value": [1.0]}), batch="b1")
    words = pa.table({"event_id": ["e2"], "value": ["somebody's words"]})
    with pytest.raises(FlywheelError, match=r"value \(string, stored as double\)") as refused:
        stores.append.append("told", words, batch="b2")
    assert "somebody" not in str(refused.value)
    assert stores.append.read("told")["event_id"].to_pylist() == ["e1"]


def test_the_schema_of_a_record_survives(stores):
    stores.append.append("pairs", PREFERENCE_PAIR.empty_table(), batch="b0")
    assert stores.append.read("pairs").schema.equals(PREFERENCE_PAIR)
    assert stores.append.batches("pairs") == []


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.permutations(["e1", "e2", "e3", "e4", "e4"]), cut=st.integers(1, 4))
def test_the_logical_digest_knows_neither_order_nor_batches(rows, cut, tmp_path_factory):
    whole = open_stores(tmp_path_factory.mktemp("whole")).append
    parts = open_stores(tmp_path_factory.mktemp("parts")).append
    whole.append("events", events("e1", "e2", "e3", "e4", "e4"), batch="all")
    parts.append("events", events(*rows[:cut]), batch="b1")
    parts.append("events", events(*rows[cut:]), batch="b2")
    assert parts.logical_digest("events") == whole.logical_digest("events")
    assert parts.read("events").equals(whole.read("events"))


def test_a_missing_row_changes_the_logical_digest(stores):
    stores.append.append("events", events("e1", "e1"), batch="b1")
    twice = stores.append.logical_digest("events")
    stores.append.append("others", events("e1"), batch="b1")
    assert stores.append.logical_digest("others") != twice


def test_a_deleted_batch_leaves_no_trace(stores):
    stores.append.append("events", events("keep_1"), batch="kept")
    stores.append.append("events", events("SECRETID_1", "SECRETID_2"), batch="doomedkey")
    folder = stores.root / "append" / "events"
    needles = (b"SECRETID", b"doomedkey")
    assert traces(folder, needles)  # positive control: the search finds what is there
    assert stores.append.delete_batch("events", "doomedkey")
    assert traces(folder, needles) == []
    assert stores.append.read("events")["event_id"].to_pylist() == ["keep_1"]
    assert not stores.append.delete_batch("events", "doomedkey")


def test_a_deletion_that_was_killed_is_finished_by_the_next(stores):
    stores.append.append("events", events("SECRETID_1"), batch="doomedkey")
    stores.append.append("events", events("keep_1"), batch="kept")
    from deltalake import DeltaTable

    folder = stores.root / "append" / "events"
    DeltaTable(folder).delete("batch = 'doomedkey'")  # killed here, before the vacuum
    assert traces(folder, (b"SECRETID",))
    assert not stores.append.delete_batch("events", "doomedkey")
    assert traces(folder, (b"SECRETID", b"doomedkey")) == []


def test_many_appends_survive_the_checkpoints_of_the_log(stores):
    for number in range(102):
        stores.append.append("events", events(f"e{number:03}"), batch=f"b{number}")
    assert stores.append.read("events").num_rows == 102


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (pa.table({"event_id": ["e2"], "colour": ["red"]}), "unknown columns: colour"),
        (pa.table({"event_id": [{"a": 1}], "kind": ["like"]}), "types do not fit"),
        (pa.table({"event_id": ["e2"], "batch": ["b"]}), "the store's own"),
    ],
)
def test_columns_that_do_not_fit_are_refused(stores, table, said):
    stores.append.append("events", events("e1"), batch="b1")
    with pytest.raises(FlywheelError, match=said):
        stores.append.append("events", table, batch="b2")
    assert stores.append.batches("events") == ["b1"]


def test_a_nullable_column_may_be_left_out(stores):
    stores.append.append("events", events("e1"), batch="b1")
    stores.append.append("events", pa.table({"event_id": ["e2"]}), batch="b2")
    assert stores.append.read("events")["kind"].to_pylist() == ["kind of e1", None]


@pytest.mark.parametrize("name", ["../x", "", "a/b", ".locks", "x" * 200])
def test_a_name_cannot_leave_the_store(stores, name):
    with pytest.raises(FlywheelError, match="usable name"):
        stores.append.append(name, events("e1"), batch="b1")
    with pytest.raises(FlywheelError, match="usable name"):
        stores.append.append("events", events("e1"), batch=name)


def test_an_absent_table_is_one_sentence(stores):
    stores.append.append("events", events("e1"), batch="b1")
    with pytest.raises(FlywheelError, match=r"no append table evnets .* it has events"):
        stores.append.read("evnets")


RACER = """
import sys, pyarrow as pa
from pathlib import Path
from pipelines.stores import AppendTables
tables = AppendTables(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
wins = [
    tables.append("events", pa.table({"event_id": [f"{number}"]}), batch=f"b{number}")
    for number in range(20)
]
print(sum(wins))
"""


def test_racing_writers_store_each_batch_once(stores):
    root = stores.root / "append"
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    assert [racer.stdout.readline() for racer in racers] == ["ready\n"] * 2
    wins = [int(racer.communicate("go\n", timeout=50)[0]) for racer in racers]
    assert sum(wins) == 20
    assert AppendTables(root).read("events").num_rows == 20


def traces(folder, needles):
    found = []
    for path in sorted(folder.rglob("*")):
        text = str(path.relative_to(folder)).encode()
        content = path.read_bytes() if path.is_file() else b""
        found += [path.name for needle in needles if needle in text or needle in content]
    return found
