"""Derived tables: the same rows are the same bytes, and changed bytes are refused."""

import hashlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.errors import FlywheelError
from pipelines.stores import DerivedTables
from pipelines.stores.canonical import canonical, parquet_bytes

SCHEMA = pa.schema(
    [
        ("pair_id", pa.string()),
        ("weight", pa.float64()),
        ("sources", pa.list_(pa.string())),
    ]
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "pair_id": st.sampled_from(["a", "b", None]),
            "weight": st.sampled_from([0.0, -0.0, 1.5, float("nan"), None]),
            "sources": st.sampled_from([None, [], ["x"], ["x", None]]),
        }
    ),
    max_size=8,
)


@settings(deadline=None)
@given(rows=ROWS, data=st.data())
def test_the_same_rows_in_any_order_are_the_same_bytes(rows, data):
    shuffled = data.draw(st.permutations(rows))
    one, other = (pa.Table.from_pylist(each, schema=SCHEMA) for each in (rows, shuffled))
    assert file_bytes(one) == file_bytes(other)


def test_chunks_types_and_metadata_do_not_change_the_bytes():
    plain = pa.table({"pair_id": ["a", "b", "c"]})
    chunked = pa.concat_tables([plain.slice(2), plain.slice(0, 2)])
    dictionary = pa.table({"pair_id": plain["pair_id"].cast(pa.dictionary(pa.int8(), pa.string()))})
    large = pa.table({"pair_id": plain["pair_id"].cast(pa.large_string())})
    from_pandas = pa.Table.from_pandas(plain.to_pandas())
    wanted = file_bytes(plain)
    assert [file_bytes(t) for t in (chunked, dictionary, large, from_pandas)] == [wanted] * 4
    assert b"pandas" not in wanted


def test_a_table_is_named_by_its_bytes(stores):
    ref = stores.derived.write(pa.table({"pair_id": ["b", "a"]}), sort_by=["pair_id"])
    assert hashlib.sha256(ref.path.read_bytes()).hexdigest() == ref.digest
    assert ref.rows == 2
    assert stores.derived.read(ref.digest)["pair_id"].to_pylist() == ["a", "b"]
    assert stores.derived.write(pa.table({"pair_id": ["a", "b"]}), sort_by=["pair_id"]) == ref


def test_columns_come_back_in_the_order_asked_for(stores):
    ref = stores.derived.write(pa.table({"a": [1], "b": [2]}), sort_by=["a"])
    assert stores.derived.read(ref.digest, columns=["b", "a"]).column_names == ["b", "a"]
    with pytest.raises(FlywheelError, match="has no column c; it has a, b"):
        stores.derived.read(ref.digest, columns=["c"])


@pytest.mark.parametrize("where", [0.0, 0.3, 0.6, 0.99])
def test_a_flipped_byte_is_refused(stores, where):
    ref = stores.derived.write(pa.table({"a": np.arange(100)}), sort_by=["a"])
    content = bytearray(ref.path.read_bytes())
    content[int(where * len(content))] ^= 1
    ref.path.write_bytes(content)
    with pytest.raises(FlywheelError, match="is damaged"):
        stores.derived.read(ref.digest)


def test_writing_again_repairs_a_damaged_file(stores):
    table = pa.table({"a": [1]})
    ref = stores.derived.write(table, sort_by=["a"])
    ref.path.write_bytes(b"")
    stores.derived.write(table, sort_by=["a"])
    assert stores.derived.read(ref.digest).equals(table)


@pytest.mark.parametrize("keys", [["b"], []])
def test_a_key_that_is_absent_is_refused(stores, keys):
    with pytest.raises(FlywheelError, match="cannot sort by"):
        stores.derived.write(pa.table({"a": [1]}), sort_by=keys)


@pytest.mark.parametrize("digest", ["../../etc/passwd", "A" * 64, "0" * 64])
def test_a_wrong_digest_is_one_sentence(tmp_path, digest):
    with pytest.raises(FlywheelError):
        DerivedTables(tmp_path).read(digest)


def file_bytes(table):
    return parquet_bytes(canonical(table, sort_by=["pair_id"]))
