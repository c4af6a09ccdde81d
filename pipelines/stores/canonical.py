"""One form for one set of rows: whatever order, chunking or engine they came from, the same bytes.

The bytes also depend on pyarrow's Parquet writer, which constraints.txt pins.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_contracts.errors import FlywheelError

WRITER: Final[dict[str, Any]] = {
    "version": "2.6",
    "data_page_version": "1.0",
    "compression": "zstd",
    "compression_level": 3,
    "use_dictionary": True,
    "write_statistics": True,
    "data_page_size": 1 << 20,
    "store_schema": True,
    "use_compliant_nested_type": True,
}

_FLOAT_BITS: Final = {pa.float64(): pa.int64(), pa.float32(): pa.int32()}


def canonical(table: pa.Table, *, sort_by: Sequence[str]) -> pa.Table:
    """Return the rows of *table* in their one order, types plain and schema metadata gone.

    Args:
        table: the rows; a dictionary, large or view type becomes its plain type.
        sort_by: columns to sort by; all other columns break ties, so that rows that share a key
            still have one order. Nulls come last.

    Raises:
        FlywheelError: *sort_by* is empty or names a column that is absent.
    """
    plain = _plain(table)
    absent = [name for name in sort_by if name not in plain.column_names]
    if absent or not sort_by:
        raise FlywheelError(
            f"cannot sort by {', '.join(absent) or 'nothing'}; "
            f"the table has the columns {', '.join(plain.column_names)}"
        )
    ordered = _sorted(plain, [plain[name] for name in sort_by])
    if _has_ties(ordered, sort_by):
        ties = [key for name in ordered.column_names for key in _tie_keys(ordered[name])]
        ordered = _sorted(ordered, [*(ordered[name] for name in sort_by), *ties])
    return ordered.combine_chunks()


def id_column(schema: pa.Schema) -> str:
    """Return the name of the first id column, or of the first column where none ends in `_id`."""
    if not schema.names:
        raise FlywheelError("a table without columns cannot be stored; give it at least an id")
    return next((name for name in schema.names if name.endswith("_id")), schema.names[0])


def parquet_bytes(table: pa.Table) -> bytes:
    """Return *table* as Parquet with every writer option pinned."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=1 << 18, coerce_timestamps=None, **WRITER)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _sorted(table: pa.Table, keys: Sequence[pa.ChunkedArray]) -> pa.Table:
    if table.num_rows < 2:
        return table
    names = [f"k{index}" for index in range(len(keys))]
    order = pc.sort_indices(
        pa.table(list(keys), names=names), sort_keys=[(name, "ascending") for name in names]
    )
    return table.take(order)


def _has_ties(ordered: pa.Table, sort_by: Sequence[str]) -> bool:
    rows = ordered.num_rows
    same = np.ones(max(rows - 1, 0), dtype=bool)
    for name in sort_by:
        column = ordered[name].combine_chunks()
        left, right = column.slice(0, max(rows - 1, 0)), column.slice(1)
        # A null beside anything is taken as a possible tie: that costs time, never correctness.
        same &= pc.fill_null(pc.equal(left, right), True).to_numpy(zero_copy_only=False)
        if pa.types.is_floating(column.type):  # NaN equals nothing, but sorts as one value
            same |= pc.fill_null(pc.is_nan(left), False).to_numpy(zero_copy_only=False)
    return bool(same.any())


def _tie_keys(column: pa.ChunkedArray) -> list[pa.ChunkedArray]:
    """Return sort keys under which only bit-identical values are equal."""
    kind = column.type
    if kind in _FLOAT_BITS:  # 0.0 equals -0.0 as a number, not as bytes
        return [pa.chunked_array([chunk.view(_FLOAT_BITS[kind]) for chunk in column.chunks])]
    if pa.types.is_nested(kind):
        texts = [None if v is None else json.dumps(v, default=repr) for v in column.to_pylist()]
        return [pa.chunked_array([pa.array(texts, pa.string())])]
    if pa.types.is_null(kind):
        return []
    return [column]


def _plain(table: pa.Table) -> pa.Table:
    schema = pa.schema(
        [pa.field(field.name, _plain_type(field.type), field.nullable) for field in table.schema]
    )
    bare = table.replace_schema_metadata(None)
    return bare if bare.schema.equals(schema, check_metadata=True) else bare.cast(schema)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner = kind.value_field
        return pa.list_(pa.field("element", _plain_type(inner.type), inner.nullable))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(f.name, _plain_type(f.type), f.nullable) for f in kind])
    return kind
