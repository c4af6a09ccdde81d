"""Engines: who runs a linear pass. DuckDB in this process, or Spark; one expression for both.

A linear pass is a function from Ibis tables to an Ibis table: a filter, a join, a GROUP BY, a
window. It is compiled once for each dialect and shape of its tables.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple, Protocol

import pyarrow as pa

from pipelines.signals.query import query

# From Ibis tables by name to an Ibis table; hashable, for it names what was compiled.
Pass = Callable[..., Any]
Shapes = tuple[tuple[str, pa.Schema], ...]
Dialect = Literal["duckdb", "pyspark"]


class Rows(Protocol):
    """Rows that some engine holds; of an Arrow table every engine can take any."""

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""


class Engine(Protocol):
    """Runs linear passes; the caller orders the rows."""

    def run(self, linear: Pass, **tables: Rows) -> pa.Table:
        """Return the rows of *linear* over *tables*, which are Arrow tables or held ones."""

    def hold(self, linear: Pass, **tables: Rows) -> AbstractContextManager[Rows]:
        """As `run`, but the rows stay with the engine, for the passes in the block."""


class DuckDb:
    """DuckDB in this process; see `query`."""

    def run(self, linear: Pass, **tables: Rows) -> pa.Table:
        """Return the rows of *linear* over Arrow *tables*."""
        asked = compiled(linear, "duckdb", shapes(tables))
        return query(asked.sql, **tables).cast(asked.schema)

    def hold(self, linear: Pass, **tables: Rows) -> AbstractContextManager[Rows]:
        """As `run`: the engine is here."""
        return nullcontext(self.run(linear, **tables))


DUCKDB: Final = DuckDb()


class Compiled(NamedTuple):
    """A pass in one dialect of SQL, and what its rows look like."""

    sql: str
    schema: pa.Schema


def shapes(tables: dict[str, Rows]) -> Shapes:
    """Return what `compiled` must know of *tables*: names and types, for any column may be null."""
    return tuple(
        (name, pa.schema([pa.field(field.name, field.type) for field in table.schema]))
        for name, table in tables.items()
    )


@lru_cache(maxsize=256)
def compiled(linear: Pass, dialect: Dialect, shapes: Shapes) -> Compiled:
    """Compile *linear* over tables of the given names and schemas."""
    import ibis
    from ibis.backends.sql.compilers import DuckDBCompiler, PySparkCompiler

    if dialect == "pyspark":
        _ = ibis.pyspark  # its compiler reads options that only its backend sets
    tables = {
        name: ibis.table(ibis.Schema.from_pyarrow(schema), name=name) for name, schema in shapes
    }
    made = linear(**tables)
    compiler = DuckDBCompiler() if dialect == "duckdb" else PySparkCompiler()
    sql = compiler.to_sqlglot(made).sql(dialect=compiler.dialect)
    return Compiled(sql, made.schema().to_pyarrow())
