"""Tables go through the catalogue: labels joined, lineage kept, pointers moved, nothing pickled."""

import dagster as dg
import pyarrow as pa
import pytest

from data_contracts.contract import load_contract
from data_contracts.errors import FlywheelError, SensitivityError
from data_contracts.labels import GENERAL, Label
from data_contracts.schemas import SCHEMAS
from pipelines.columns import column_schema
from pipelines.io_managers import EDGE, PARENTS, RefusingIOManager, TableIOManager
from pipelines.stores import Parent, open_stores, read_asset_table

DAYS = dg.StaticPartitionsDefinition(["d1", "d2", "d3"])
ACME = Label(frozenset({"acme"}))


@dg.asset(io_manager_key="tables", key_prefix="traces")
def events() -> dg.Output[pa.Table]:
    table = pa.table({"event_id": ["e2", "e1"]})
    return dg.Output(table, metadata={PARENTS: ["append/events"]})


@dg.asset(io_manager_key="tables", key_prefix="traces")
def sessions(events: pa.Table) -> pa.Table:
    return pa.table({"session_id": ["s1"], "events": [events.num_rows]})


@dg.asset(
    io_manager_key="tables",
    key_prefix="signals",
    ins={
        "events": dg.AssetIn(["traces", "events"], metadata={EDGE: "evidence"}),
        "sessions": dg.AssetIn(["traces", "sessions"]),
    },
)
def exposures(events: pa.Table, sessions: pa.Table) -> pa.Table:
    return pa.table({"exposure_id": sessions["session_id"]})


GRAPH = [events, sessions, exposures]


@pytest.fixture
def root(tmp_path):
    return tmp_path / "zone"


@pytest.fixture
def stores(root):
    stores = open_stores(root)
    stores.catalogue.register("append/events", "events", label=GENERAL)
    return stores


def run(assets, root, *, selection=None, raises=True, **options):
    return dg.materialize(
        assets,
        selection=selection,
        resources={
            "tables": TableIOManager(root=str(root), clearance=options.pop("clearance", [])),
            "io_manager": RefusingIOManager(),
        },
        raise_on_error=raises,
        **options,
    )


def cause(call):
    """Return the FlywheelError below what Dagster raised."""
    with pytest.raises(Exception) as caught:
        call()
    error = caught.value
    while error is not None and not isinstance(error, FlywheelError):
        error = error.__cause__ or error.__context__
    assert error is not None, caught.value
    return error


def standing(stores, asset, partition="all"):
    return read_asset_table(stores, asset, clearance=GENERAL, partition=partition)


def test_a_table_is_stored_sorted_and_reached_by_its_pointer(stores, root):
    run(GRAPH, root)
    assert standing(stores, "traces/events").table["event_id"].to_pylist() == ["e1", "e2"]
    assert standing(stores, "traces/sessions").table["events"].to_pylist() == [2]


def test_lineage_is_what_the_step_loaded(stores, root):
    run(GRAPH, root)
    digests = {
        name: standing(stores, name).digest
        for name in ("traces/events", "traces/sessions", "signals/exposures")
    }
    known = {name: stores.catalogue.object(digest) for name, digest in digests.items()}
    assert known["traces/events"].parents == (Parent("append/events"),)
    assert known["traces/sessions"].parents == (Parent(digests["traces/events"]),)
    assert set(known["signals/exposures"].parents) == {
        Parent(digests["traces/events"], "evidence"),
        Parent(digests["traces/sessions"], "lineage"),
    }
    assert known["signals/exposures"].kind == "exposures"


def test_a_later_run_loads_what_an_earlier_one_left(stores, root):
    run(GRAPH, root)
    before = standing(stores, "signals/exposures").digest
    run(GRAPH, root, selection=[exposures])
    assert standing(stores, "signals/exposures").digest == before
    assert len(stores.catalogue.pointer_history("signals/exposures/all")) == 1


def test_dagsters_page_shows_rows_columns_and_digest(stores, root):
    result = run(GRAPH, root)
    shown = result.asset_materializations_for_node("traces__sessions")[0].metadata
    assert shown["dagster/row_count"].value == 1
    assert shown["digest"].value == standing(stores, "traces/sessions").digest
    columns = shown["dagster/column_schema"].schema.columns
    assert [(column.name, column.type) for column in columns] == [
        ("session_id", "string"),
        ("events", "int64"),
    ]


def test_a_label_is_joined_and_checked(root):
    stores = open_stores(root)
    stores.catalogue.register("append/events", "events", label=ACME)
    refused = cause(lambda: run(GRAPH, root))
    assert isinstance(refused, SensitivityError)
    assert "may not be read" in str(refused)
    run(GRAPH, root, clearance=["acme"])
    found = read_asset_table(stores, "signals/exposures", clearance=ACME)
    assert stores.catalogue.label(found.digest) == ACME


def test_a_source_without_a_label_is_denied(root):
    assert "no sensitivity label" in str(cause(lambda: run(GRAPH, root)))

    @dg.asset(io_manager_key="tables")
    def orphan() -> pa.Table:
        return pa.table({"event_id": ["e1"]})

    assert "states no label" in str(cause(lambda: run([orphan], root)))


def test_only_tables_are_stored(stores, root):
    @dg.asset(io_manager_key="tables")
    def number() -> dg.Output:
        return dg.Output(7, metadata={PARENTS: ["append/events"]})

    assert "number returned a int" in str(cause(lambda: run([number], root)))


def test_the_default_refuses(root):
    @dg.asset
    def number() -> int:
        return 7

    @dg.asset
    def nothing() -> None:
        return None

    @dg.asset
    def reader(nothing) -> None:
        return None

    assert "number returned a int without saying" in str(cause(lambda: run([number], root)))
    assert run([nothing], root).success
    assert "keeps nothing that can be loaded" in str(
        cause(lambda: run([nothing, reader], root, selection=[reader]))
    )


def test_an_input_that_was_never_materialised_is_one_sentence(stores, root):
    refused = cause(lambda: run(GRAPH, root, selection=[sessions]))
    assert str(refused).startswith("asset traces/events was never materialised")


def test_partitions_have_pointers_of_their_own_and_are_read_together(stores, root):
    @dg.asset(io_manager_key="tables", key_prefix="traces", partitions_def=DAYS)
    def daily(context: dg.AssetExecutionContext) -> dg.Output[pa.Table]:
        table = pa.table({"event_id": [f"e_{context.partition_key}"]})
        return dg.Output(table, metadata={PARENTS: ["append/events"]})

    @dg.asset(io_manager_key="tables", key_prefix="traces", partitions_def=DAYS)
    def cleaned(daily: pa.Table) -> pa.Table:
        return daily

    @dg.asset(io_manager_key="tables", key_prefix="traces")
    def total(daily: pa.Table) -> pa.Table:
        return pa.table({"total_id": ["t"], "seen": [daily["event_id"].to_pylist()]})

    for day in ("d2", "d1"):
        run([daily, cleaned], root, partition_key=day)
    run([daily, total], root, selection=[total])
    table = standing(stores, "traces/total")
    assert table.table["seen"].to_pylist() == [["e_d1", "e_d2"]]
    assert standing(stores, "traces/cleaned", "d1").table["event_id"].to_pylist() == ["e_d1"]
    assert [parent.object_id for parent in stores.catalogue.object(table.digest).parents] == sorted(
        standing(stores, "traces/daily", day).digest for day in ("d1", "d2")
    )
    refused = cause(lambda: run([daily, cleaned], root, partition_key="d3", selection=[cleaned]))
    assert "partition d3, was never materialised" in str(refused)


def test_columns_of_a_contract_are_described_in_its_words():
    shown = {column.name: column for column in column_schema("events", SCHEMAS["event"]).columns}
    assert shown["position"].description == load_contract("event").descriptions["position"]
    assert "required for an impression" in shown["position"].description
    other = column_schema("signal_drops", SCHEMAS["event"]).columns
    assert [column.description for column in other] == [None] * len(other)
