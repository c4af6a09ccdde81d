"""Bring a table to a schema without changing what it says."""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.errors import ContractError


def conform(table: pa.Table, schema: pa.Schema, *, what: str = "table") -> pa.Table:
    """Return *table* with exactly the columns of *schema*, in its order and types.

    Absent nullable columns become null, columns that *schema* does not know are left out, and
    casts are done only where nothing is lost: integers that fit, whole floats to integers,
    a timestamp's unit or zone (one without a zone is read as UTC), other layouts of text.
    NaN becomes null. Nulls in a column that must be filled are left for the contract to refuse.

    Args:
        table: any table.
        schema: the columns wanted.
        what: the table's name in messages.

    Raises:
        ContractError: a needed column is missing, or a column cannot be cast without loss.
    """
    missing = [
        field.name
        for field in schema
        if not field.nullable and field.name not in table.schema.names
    ]
    if missing:
        raise ContractError(
            f"{what}: {_name_all(missing)} missing; add what was left out (only nullable columns "
            "may be absent)"
        )
    repeated = {each for each in table.schema.names if table.schema.names.count(each) > 1}
    if repeated & set(schema.names):
        raise ContractError(f"{what}: {_name_all(sorted(repeated))} present more than once")
    columns = [
        cast_column(table.column(field.name), field, what=what)
        if field.name in table.schema.names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def conform_unvalidated(table: pa.Table, schema: pa.Schema, *, what: str = "table") -> pa.Table:
    """Conform *table*, with every column marked nullable: the shape of rows not yet validated.

    Raises:
        ContractError: as `conform`; a needed column may hold nulls but may not be absent.
    """
    nullable = pa.schema([field.with_nullable(True) for field in schema])
    return pa.table(conform(table, schema, what=what).columns, schema=nullable)


def cast_column(column: pa.ChunkedArray, field: pa.Field, *, what: str) -> pa.ChunkedArray:
    """Cast *column* to the type of *field* without loss.

    Raises:
        ContractError: the types do not convert, or a value does not fit.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not _converts(column.type, field.type):
        raise ContractError(
            f"{what}: column {field.name} is {column.type} and must be {field.type}; "
            "convert it before it comes in"
        )
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    if column.type == field.type:
        return column
    try:
        return column.cast(field.type, safe=True)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        # Arrow's own message may quote the value, which may be content.
        raise ContractError(
            f"{what}: column {field.name} is {column.type} and holds values that do not fit "
            f"{field.type}"
        ) from error


def _converts(source: pa.DataType, target: pa.DataType) -> bool:
    """Say whether the types mean the same kind of value."""
    kinds = pa.types
    if source == target or kinds.is_null(source):
        return True
    if kinds.is_list(target):
        inner = kinds.is_list(source) or kinds.is_large_list(source)
        return inner and _converts(source.value_type, target.value_type)
    if kinds.is_string(target):
        return kinds.is_large_string(source) or kinds.is_string_view(source)
    if kinds.is_timestamp(target):
        return kinds.is_timestamp(source)
    if kinds.is_integer(target) or kinds.is_floating(target):
        return kinds.is_integer(source) or kinds.is_floating(source)
    return False


def _name_all(columns: Iterable[str]) -> str:
    names = list(columns)
    return f"column {names[0]}" if len(names) == 1 else f"columns {', '.join(names)}"
