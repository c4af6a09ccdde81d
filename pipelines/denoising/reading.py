"""Reading: contract-shaped tables out of Parquet or Delta, only the columns that are used."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from data_contracts.conform import conform_unvalidated
from data_contracts.errors import ContractError, FlywheelError
from data_contracts.schemas import ANNOTATION, EVENT, GENERATION, PROMPT

GOLD: Final = pa.schema(
    [
        pa.field("generation_id", pa.string(), nullable=False),
        pa.field("aspect", pa.string(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
    ]
)
_NAMED: Final = 5  # offending rows that a message names


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What one input holds: the columns read, and the one that names a row in messages."""

    what: str
    schema: pa.Schema
    name: str
    numbers: tuple[str, ...] = ()  # here NaN stays NaN, to be refused by id: it is not empty


def _only(schema: pa.Schema, *names: str) -> pa.Schema:
    return pa.schema([schema.field(name) for name in names])


EVENTS: Final = Source(
    what="events",
    schema=_only(
        EVENT, "event_id", "tenant_id", "project_id", "user_id", "session_id", "turn", "kind",
        "generation_id", "surface", "position", "propensity", "value", "occurred_at",
    ),
    name="event_id",
)  # fmt: skip
GENERATIONS: Final = Source(
    what="generations",
    # Where all events are of one tenant, generations need not say whose they are.
    schema=_only(GENERATION, "generation_id", "prompt_id", "model_release", "skill_id").append(
        pa.field("tenant_id", pa.string())
    ),
    name="generation_id",
)
ANNOTATIONS: Final = Source(
    what="annotations",
    schema=_only(
        ANNOTATION, "annotation_id", "annotator_id", "kind", "generation_id",
        "other_generation_id", "aspect", "value", "scale", "shown_left",
    ),
    name="annotation_id",
    numbers=("value",),
)  # fmt: skip
GOLD_LABELS: Final = Source(what="gold", schema=GOLD, name="generation_id")
PROMPTS: Final = Source(
    what="prompts", schema=_only(PROMPT, "prompt_id", "text", "previous_turns"), name="prompt_id"
)


def read_table(path: Path, source: Source) -> pa.Table:
    """Read the columns of *source* from a Parquet file, a folder of them, or a Delta table.

    Each file of a folder has a schema of its own: a nullable column is null where it is absent.

    Raises:
        FlywheelError: there is nothing at *path*, or it is neither Parquet nor Delta.
        ContractError: a needed column is missing, of another type, or empty in some row.
    """
    tables, seen = [checked(source.schema.empty_table(), source)], 0
    with _reading(path, source):
        for fragment in _dataset(path, source.what).get_fragments():
            found = fragment.physical_schema
            known = [name for name in source.schema.names if name in found.names]
            table = fragment.to_table(schema=found, columns=known)
            table.validate(full=True)  # finds text that is not UTF-8
            table = _with_constants(table, fragment, source)
            tables.append(checked(table, source, first_row=seen))
            seen += table.num_rows
    return pa.concat_tables(tables)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batches:
    """Rows that come some at a time, conformed to their source; they can be asked for again."""

    rows: int
    of: Callable[[int], Iterator[pa.Table]]  # at most so many rows each, in order

    def whole(self) -> pa.Table:
        """Return all rows at once."""
        return pa.concat_tables(self.of(max(self.rows, 1)))


def table_batches(table: pa.Table, source: Source) -> Batches:
    """Return the rows of *table* some at a time.

    Raises:
        ContractError: as `read_table`, when the rows are asked for.
    """

    def rows_of(rows: int) -> Iterator[pa.Table]:
        for start in range(0, max(table.num_rows, 1), rows):
            yield checked(table.slice(start, rows), source, first_row=start)

    return Batches(rows=table.num_rows, of=rows_of)


def read_batches(path: Path, source: Source) -> Batches:
    """Return the rows of what `read_table` reads some at a time: never a whole row group.

    Raises:
        FlywheelError, ContractError: as `read_table`, some only when the rows are asked for.
    """
    with _reading(path, source):
        found = _dataset(path, source.what)
        fragments = list(found.get_fragments())
        rows = sum(fragment.metadata.num_rows for fragment in fragments)
    return Batches(rows=rows, of=partial(_batches, path, source, fragments))


def _batches(
    path: Path, source: Source, fragments: Sequence[ds.Fragment], rows: int
) -> Iterator[pa.Table]:
    seen = 0
    for fragment in fragments:
        with _reading(path, source), fragment.filesystem.open_input_file(fragment.path) as stream:
            # A dataset's own scanner decodes whole row groups, which may be most of a file.
            file = pq.ParquetFile(stream, buffer_size=1 << 16, pre_buffer=False)
            known = [name for name in source.schema.names if name in file.schema_arrow.names]
            for batch in file.iter_batches(rows, columns=known, use_threads=False):
                batch.validate(full=True)
                table = _with_constants(pa.table(batch), fragment, source)
                yield checked(table, source, first_row=seen)
                seen += table.num_rows


def _with_constants(table: pa.Table, fragment: ds.Fragment, source: Source) -> pa.Table:
    """Add the columns that are the same for a whole file of a partitioned table."""
    constant = ds.get_partition_keys(fragment.partition_expression)
    for name in set(constant) & set(source.schema.names) - set(table.column_names):
        value = pa.repeat(pa.scalar(constant[name]), table.num_rows)
        table = table.append_column(name, value)
    return table


@contextmanager
def _reading(path: Path, source: Source) -> Iterator[None]:
    if not path.exists():
        raise FlywheelError(f"{source.what}: {path} does not exist; give a Parquet file or folder")
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, PermissionError):
            raise
        raise FlywheelError(
            f"{source.what}: {path} is no whole Parquet file or Delta table; write it again"
        ) from error


def checked(table: pa.Table, source: Source, *, first_row: int = 0) -> pa.Table:
    """Return *table* with exactly the columns of *source*; *first_row* is where it begins.

    Raises:
        ContractError: as `read_table`; rows are named by id.
    """
    rows = conform_unvalidated(table, source.schema, what=source.what)
    for name in source.numbers:
        if name in table.column_names and pa.types.is_floating(table[name].type):
            place, field = rows.schema.get_field_index(name), rows.schema.field(name)
            rows = rows.set_column(place, field, table[name].cast(field.type))
    for field in source.schema:
        if field.nullable or rows.column(field.name).null_count == 0:
            continue
        empty = np.flatnonzero(pc.is_null(rows.column(field.name)).to_numpy())
        names = rows.column(source.name).take(empty[:_NAMED]).to_pylist()
        raise ContractError(
            f"{source.what}: {len(empty):,} of {rows.num_rows:,} rows have no {field.name} "
            f"({_listed((first_row + empty).tolist(), names)}); fill it or leave those rows out"
        )
    return rows


def _dataset(path: Path, what: str) -> ds.Dataset:
    if (path / "_delta_log").is_dir():
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError

        try:
            return DeltaTable(path).to_pyarrow_dataset()
        except DeltaError as error:
            raise FlywheelError(f"{what}: {path} is no readable Delta table; check it") from error
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    # Names that start with . or _ are markers that writers such as Spark leave beside the rows.
    files = [f for f in files if f == path or f.relative_to(path).parts[0][0] not in "._"]
    if not files:
        raise FlywheelError(f"{what}: {path} holds no .parquet file; give a Parquet file or folder")
    return ds.dataset([str(file) for file in files], format="parquet")


def _listed(rows: Sequence[int], names: Sequence[str | None]) -> str:
    said = [
        f"row {row}" if name is None else f"row {row}: {name}"
        for row, name in zip(rows, names, strict=False)
    ]
    return ", ".join(said) + (" ..." if len(rows) > len(said) else "")
