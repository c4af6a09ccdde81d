"""conform changes the layout of a table, never what it says."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from data_contracts.conform import conform
from data_contracts.errors import ContractError

SCHEMA = pa.schema(
    [
        pa.field("name", pa.string(), nullable=False),
        pa.field("count", pa.int32()),
        pa.field("share", pa.float64()),
        pa.field("at", pa.timestamp("us", tz="UTC")),
        pa.field("parts", pa.list_(pa.string())),
    ]
)
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def _one(column: str, values: pa.Array) -> list[object]:
    table = pa.table({"name": ["a"] * len(values)} | {column: values})
    return conform(table, SCHEMA).column(column).to_pylist()


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("name", pa.array(["x"], pa.large_string()), ["x"]),
        ("name", pa.array(["x", "x"]).dictionary_encode(), ["x", "x"]),
        ("name", pa.array(["x"], pa.string_view()), ["x"]),
        ("count", pa.array([7], pa.int64()), [7]),
        ("count", pa.array([7.0, float("nan"), None]), [7, None, None]),
        ("share", pa.array([0.5, float("nan")], pa.float64()), [0.5, None]),
        ("share", pa.array([2], pa.int64()), [2.0]),
        ("share", pa.nulls(1), [None]),
        ("at", pa.array([NOON.replace(tzinfo=None)], pa.timestamp("s")), [NOON]),
        ("at", pa.array([NOON], pa.timestamp("ns", tz="Asia/Tokyo")), [NOON]),
        ("parts", pa.array([["p"]], pa.large_list(pa.large_string())), [["p"]]),
    ],
)
def test_casts_what_loses_nothing(column: str, values: pa.Array, expected: list[object]) -> None:
    assert _one(column, values) == expected


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("name", pa.array([1])),
        ("count", pa.array([2**40], pa.int64())),
        ("count", pa.array([1.5])),
        ("count", pa.array(["7"])),
        ("count", pa.array([True])),
        ("share", pa.array([2**53 + 1], pa.int64())),
        ("at", pa.array([1], pa.timestamp("ns"))),
        ("at", pa.array([1], pa.int64())),
        ("at", pa.array(["2026-05-01T12:00:00Z"])),
    ],
)
def test_refuses_what_would_lose_something(column: str, values: pa.Array) -> None:
    with pytest.raises(ContractError, match=f"^events: column {column} is "):
        conform(pa.table({"name": ["a"]} | {column: values}), SCHEMA, what="events")


def test_adds_absent_columns_and_leaves_out_unknown_ones() -> None:
    table = pa.table({"extra": [1], "name": ["a"]})
    assert conform(table, SCHEMA).schema == SCHEMA
    assert conform(table, SCHEMA).to_pylist() == [
        {"name": "a", "count": None, "share": None, "at": None, "parts": None}
    ]


def test_names_every_missing_column_in_one_sentence() -> None:
    needed = pa.schema([pa.field(each, pa.string(), nullable=False) for each in ("a", "b", "c")])
    with pytest.raises(ContractError) as refusal:
        conform(pa.table({"b": ["x"]}), needed, what="events")
    assert str(refusal.value).startswith("events: columns a, c missing; ")


def test_a_column_given_twice_is_refused() -> None:
    twice = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["name", "name"])
    with pytest.raises(ContractError, match="column name present more than once"):
        conform(twice, SCHEMA)


def test_conforming_twice_changes_nothing() -> None:
    once = conform(pa.table({"name": ["a"], "count": pa.array([3], pa.int64())}), SCHEMA)
    assert conform(once, SCHEMA).equals(once)


def test_never_quotes_a_value() -> None:
    with pytest.raises(ContractError) as refusal:
        conform(pa.table({"name": ["a"], "count": [4_444_444_444]}), SCHEMA)
    assert "4444" not in str(refusal.value)
