"""Append tables of a turn: the same rows once, other rows in their place."""

from datetime import UTC, datetime

import dagster as dg
import pyarrow as pa
import pytest

from data_contracts.errors import FlywheelError, SensitivityError
from data_contracts.labels import GENERAL, Label
from pipelines.append_io import AppendIOManager, read_batch, write_batch
from pipelines.assets.turns import TURNS
from pipelines.io_managers import PARENTS
from pipelines.stores import open_stores


def materialise(root, ids: list[str]) -> None:
    @dg.asset(partitions_def=TURNS, io_manager_key="append")
    def events() -> dg.Output[pa.Table]:
        return dg.Output(pa.table({"event_id": ids}), metadata={PARENTS: ["source"]})

    stores = open_stores(root)
    stores.catalogue.register("source", "delivery", label=GENERAL)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("turn", ["turn-001"])
        result = dg.materialize(
            [events],
            partition_key="turn-001",
            instance=instance,
            resources={"append": AppendIOManager(root=str(root))},
        )
    assert result.success


def test_the_same_rows_are_appended_once(tmp_path):
    materialise(tmp_path, ["e1", "e2"])
    materialise(tmp_path, ["e2", "e1"])
    assert open_stores(tmp_path).append.read("events")["event_id"].to_pylist() == ["e1", "e2"]


def test_other_rows_take_the_place_of_the_turns_old_ones(tmp_path):
    materialise(tmp_path, ["e1", "e2"])
    materialise(tmp_path, ["e3"])
    stores = open_stores(tmp_path)
    assert stores.append.read("events")["event_id"].to_pylist() == ["e3"]
    assert read_batch(stores, "events", "turn-001")[1]["event_id"].to_pylist() == ["e3"]


def test_a_turn_that_was_never_materialised_is_one_sentence(tmp_path):
    with pytest.raises(FlywheelError, match="never materialised"):
        read_batch(open_stores(tmp_path), "events", "turn-004")


def write(stores, ids: list[str], *, source: str = "source", partition: str = "turn-001") -> str:
    return write_batch(
        stores, "events", pa.table({"event_id": ids}), partition=partition, parents=[source],
        by="test", at=datetime(2026, 1, 2, tzinfo=UTC),
    )  # fmt: skip


@pytest.fixture
def stores(tmp_path):
    stores = open_stores(tmp_path)
    stores.catalogue.register("source", "delivery", label=GENERAL)
    return stores


KILLED_AFTER = [
    ("catalogue", "register", 1), ("catalogue", "register", 2), ("append", "append", 1),
    ("catalogue", "swap_pointer", 1), ("catalogue", "swap_pointer", 2),
    ("append", "delete_batch", 1),
]  # fmt: skip


@pytest.mark.parametrize("place", KILLED_AFTER, ids=lambda place: f"{place[1]}-{place[2]}")
def test_what_a_killed_writer_left_is_in_no_table_once_it_is_written_again(
    stores, monkeypatch, place
):
    """The rows differ each time, as those of a delivery do that is admitted at another moment."""
    store, method, count = place
    write(stores, ["e1", "e2"])
    write(stores, ["e1"], partition="turn-002")
    kind, calls = type(getattr(stores, store)), []
    real = getattr(kind, method)

    def killed(*given, **told):
        found = real(*given, **told)
        calls.append(found)
        if len(calls) == count:
            raise KeyboardInterrupt
        return found

    with monkeypatch.context() as patched:
        patched.setattr(kind, method, killed)
        with pytest.raises(KeyboardInterrupt):
            write(stores, ["e3"])
    digest = write(stores, ["e4"])
    assert stores.append.read("events")["event_id"].to_pylist() == ["e1", "e4"]
    found, rows = read_batch(stores, "events", "turn-001")
    assert (found, rows["event_id"].to_pylist()) == (digest, ["e4"])


def test_a_deletion_that_was_killed_midway_leaves_no_file_once_it_is_written_again(
    stores, monkeypatch
):
    """The table has forgotten the rows already; their file lies there still."""
    write(stores, ["e1"])
    with monkeypatch.context() as patched:
        patched.setattr("deltalake.DeltaTable.vacuum", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            write(stores, ["e2"])
    assert len(stores.append.leftovers("events")) == 1
    digest = write(stores, ["e2"])
    assert stores.append.leftovers("events") == []
    folders = {each.name for each in (stores.root / "append" / "events").glob("batch=*")}
    assert folders == {f"batch=turn-001-{digest[:24]}"}


def test_rows_are_never_told_under_the_digest_of_others(stores, monkeypatch):
    write(stores, ["e1"])
    kind = type(stores.catalogue)
    real = kind.swap_pointer

    def killed(*given, **told):
        real(*given, **told)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(kind, "swap_pointer", killed)
        with pytest.raises(KeyboardInterrupt):
            write(stores, ["e2"])
    with pytest.raises(FlywheelError, match="was interrupted"):
        read_batch(stores, "events", "turn-001")


def test_rows_of_another_label_do_not_lie_in_one_table(stores):
    stores.catalogue.register("theirs", "delivery", label=Label(frozenset({"studio"})))
    write(stores, ["e1"])
    with pytest.raises(SensitivityError, match="another sensitivity label"):
        write(stores, ["e2"], source="theirs", partition="turn-002")
    assert stores.append.read("events")["event_id"].to_pylist() == ["e1"]
