"""Append tables of a turn: the same rows once, other rows in their place."""

import dagster as dg
import pyarrow as pa
import pytest

from data_contracts.errors import FlywheelError
from data_contracts.labels import GENERAL
from pipelines.append_io import AppendIOManager, read_batch
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
