"""SQL on Arrow tables: one private DuckDB connection a call, one thread, nothing remembered."""

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from data_contracts.errors import ContractError


def query(sql: str, **tables: pa.Table) -> pa.Table:
    """Run *sql* over *tables* by name; the caller orders the rows."""
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        for name, table in tables.items():
            connection.register(name, table)
        return connection.execute(sql).to_arrow_table()


def conform(table: pa.Table, schema: pa.Schema, *, what: str) -> pa.Table:
    """Return *table* with exactly the columns of *schema*; absent nullable ones become null.

    Raises:
        ContractError: a required column is missing, or a column cannot become its type.
    """
    missing = [f.name for f in schema if not f.nullable and f.name not in table.column_names]
    if missing:
        raise ContractError(
            f"{what}: column {', '.join(missing)} missing; the contract requires it"
        )
    columns = []
    for field in schema:
        if field.name not in table.column_names:
            columns.append(pa.nulls(table.num_rows, field.type))
            continue
        try:
            columns.append(table.column(field.name).cast(field.type))
        except pa.ArrowInvalid as problem:
            raise ContractError(
                f"{what}: column {field.name} is {table.column(field.name).type} and does not fit "
                f"{field.type}; write it as the contract says"
            ) from problem
    # Nullability is checked by the contract at the door; here it would only forbid null filling.
    return pa.table(columns, schema=pa.schema([pa.field(f.name, f.type) for f in schema]))


def subset(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    """Return *schema* with only the columns *names*, in that order."""
    return pa.schema([schema.field(name) for name in names])
