"""Events out of files: JSON lines, CSV and Parquet, one file or a folder of them."""

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.errors import ContractError, FlywheelError
from data_contracts.schemas import EVENT
from pipelines.intake.limits import DEFAULT_LIMITS, IntakeLimits
from pipelines.intake.parquet_rows import rows_up_to
from pipelines.intake.raw_events import (
    NEEDED,
    RAW_EVENT,
    REFUSAL,
    ROW,
    SOURCE,
    UNPARSABLE,
    bad_type,
)
from pipelines.intake.typed_columns import retyped_column, typed_column

_CHUNK: Final = 100_000  # rows held as Python values at a time


def read_events(path: Path, *, limits: IntakeLimits = DEFAULT_LIMITS) -> pa.Table:
    """Read events from *path*: a .jsonl, .csv or .parquet file, or a folder of such files.

    A row that cannot be read stays in the table with its refusal, so that none is lost; a file
    that cannot be read as a whole refuses the delivery.

    Returns:
        A table of RAW_EVENT, in the order of the files' names and of the rows in them.

    Raises:
        FlywheelError: nothing there, a folder without event files, a file of another kind, one
            that is cut off, or one above the limits.
        ContractError: a needed column is in no row of a file.
    """
    tables: list[pa.Table] = []
    room = limits.rows
    for file in _event_files(path):
        try:
            table = _read_file(file, room, limits)
        except OSError as error:
            raise FlywheelError(f"{file}: cannot be read: {error.strerror or error}") from error
        room -= table.num_rows
        tables.append(table)
    return pa.concat_tables(tables).combine_chunks()


def _event_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.exists():
        raise FlywheelError(f"{path}: no such file or folder")
    # Names that start with . or _ are markers that writers such as Spark leave beside the rows.
    files = sorted(
        each
        for each in path.rglob("*")
        if each.is_file() and not any(p[0] in "._" for p in each.relative_to(path).parts)
    )
    if not files:
        raise FlywheelError(f"{path}: the folder holds no events; expected {_KINDS}")
    return files


def _read_file(file: Path, room: int, limits: IntakeLimits) -> pa.Table:
    read = _READERS.get(file.suffix.lower())
    if read is None:
        raise FlywheelError(f"{file}: not a kind of event file; expected {_KINDS}")
    size = file.stat().st_size
    if size == 0:
        raise FlywheelError(f"{file}: the file is empty")
    if size > limits.file_bytes:
        raise FlywheelError(
            f"{file}: {size:,} bytes are more than the {limits.file_bytes:,} allowed; split it"
        )
    table = read(file, room, limits)
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    extra = {
        ROW: pa.array(np.arange(table.num_rows, dtype=np.int64)),
        SOURCE: pa.array([digest], pa.string()).take(np.zeros(table.num_rows, dtype=np.int64)),
    }
    columns = [extra.get(field.name) for field in RAW_EVENT]
    return pa.table(
        [
            table.column(field.name) if column is None else column
            for field, column in zip(RAW_EVENT, columns, strict=True)
        ],
        schema=RAW_EVENT,
    )


def _read_parquet(file: Path, room: int, limits: IntakeLimits) -> pa.Table:
    try:
        with pq.ParquetFile(file) as parquet:
            _require_columns(file, parquet.schema_arrow.names)
            _require_room(file, parquet.metadata.num_rows, room, limits)
            known = [name for name in EVENT.names if name in parquet.schema_arrow.names]
            # Rows of the largest size allowed fill the cap, no more, before it is looked at.
            at_once = max(limits.file_bytes // limits.row_bytes, 1)
            table = rows_up_to(parquet, known, most_bytes=limits.file_bytes, at_once=at_once)
            if table is None:
                raise FlywheelError(
                    f"{file}: unpacks to more than the {limits.file_bytes:,} bytes allowed; "
                    "split it"
                )
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        raise FlywheelError(
            f"{file}: not a whole Parquet file (cut off or damaged); send it again"
        ) from error
    columns: dict[str, pa.Array] = {}
    misfits: dict[str, list[int]] = {}
    for field in EVENT:
        if field.name in table.schema.names:
            column, misfits[field.name] = retyped_column(table.column(field.name), field)
        else:
            column = pa.nulls(table.num_rows, field.type)
        columns[field.name] = column
    return pa.table(columns | {REFUSAL: _refusals(table.num_rows, misfits, unparsable=[])})


def _read_jsonl(file: Path, room: int, limits: IntakeLimits) -> pa.Table:
    found: set[str] = set()
    chunks = []
    rows = 0
    for lines in _batches(_json_lines(file, limits)):
        rows += len(lines)
        _require_room(file, rows, room, limits)
        found.update(name for name in EVENT.names if any(name in each for each in lines if each))
        values = {
            name: [each.get(name) if each is not None else None for each in lines]
            for name in EVENT.names
        }
        unparsable = [place for place, each in enumerate(lines) if each is None]
        chunks.append(_typed_table(values, unparsable, from_text=False))
    if not found:
        raise FlywheelError(f"{file}: no line is an event written as a JSON object")
    _require_columns(file, found)
    return pa.concat_tables(chunks)


def _json_lines(file: Path, limits: IntakeLimits) -> Iterator[Mapping[str, Any] | None]:
    """Yield each line's object; None where the line holds none. Blank lines are passed over."""
    with file.open("rb") as stream:
        if stream.read(3) != b"\xef\xbb\xbf":
            stream.seek(0)
        while line := stream.readline(limits.row_bytes):
            if not line.endswith(b"\n") and len(line) == limits.row_bytes:
                while (rest := stream.readline(limits.row_bytes)) and not rest.endswith(b"\n"):
                    pass
                yield None
            elif not line.isspace():
                yield _json_object(line)


def _json_object(line: bytes) -> Mapping[str, Any] | None:
    try:
        value = _DECODER.decode(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _refuse_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are not JSON


# Made once: json.loads would make a decoder for every line.
_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)


def _read_csv(file: Path, room: int, limits: IntakeLimits) -> pa.Table:
    # Bytes that are not UTF-8 become lone surrogates, which Arrow refuses cell by cell.
    with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        records = _csv_records(file, stream)
        header = next(records, None) or []
        _refuse_repeats(file, header)
        _require_columns(file, header)
        places = {name: header.index(name) for name in EVENT.names if name in header}
        chunks = []
        rows = 0
        for lines in _batches(records):
            rows += len(lines)
            _require_room(file, rows, room, limits)
            whole = [each if each and len(each) == len(header) else None for each in lines]
            values: dict[str, list[Any]] = {name: [None] * len(lines) for name in EVENT.names}
            for name, at in places.items():
                values[name] = [each[at] if each is not None else None for each in whole]
            unparsable = [place for place, each in enumerate(whole) if each is None]
            chunks.append(_typed_table(values, unparsable, from_text=True))
    return pa.concat_tables(
        chunks or [_typed_table({n: [] for n in EVENT.names}, [], from_text=True)]
    )


def _csv_records(file: Path, stream: Any) -> Iterator[list[str] | None]:
    """Yield each record's fields; None where the record cannot be read."""
    reader = csv.reader(stream, strict=True)
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end" in str(error):
                raise FlywheelError(
                    f"{file}: ends inside a quoted field (cut off?); send it again"
                ) from error
            yield None
        else:
            if record:
                yield record


def _typed_table(
    values: Mapping[str, Sequence[Any]], unparsable: list[int], *, from_text: bool
) -> pa.Table:
    columns: dict[str, pa.Array] = {}
    misfits: dict[str, list[int]] = {}
    for field in EVENT:
        columns[field.name], misfits[field.name] = typed_column(
            values[field.name], field, from_text=from_text
        )
    rows = len(values[EVENT.names[0]])
    return pa.table(columns | {REFUSAL: _refusals(rows, misfits, unparsable=unparsable)})


def _refusals(rows: int, misfits: Mapping[str, list[int]], *, unparsable: list[int]) -> pa.Array:
    """Name the first misfit of each row, in the order of the schema."""
    refusals: list[str | None] = [None] * rows
    for name in reversed(EVENT.names):
        for place in misfits.get(name, ()):
            refusals[place] = bad_type(name)
    for place in unparsable:
        refusals[place] = UNPARSABLE
    return pa.array(refusals, pa.string())


def _require_columns(file: Path, names: Sequence[str] | set[str]) -> None:
    if missing := [name for name in NEEDED if name not in names]:
        word = "column" if len(missing) == 1 else "columns"
        raise ContractError(f"{file}: {word} {', '.join(missing)} missing from every row")


def _refuse_repeats(file: Path, header: Sequence[str]) -> None:
    """Refuse a header that repeats a name; if it is a row of values, they stay unsaid."""
    repeated = {name for name, times in Counter(header).items() if times > 1}
    if not repeated:
        return
    said = [name for name in EVENT.names if name in repeated]
    if strange := len(repeated.difference(said)):
        said.append(f"{strange} name{'s that are' if strange > 1 else ' that is'} no event's")
    raise ContractError(
        f"{file}: the header repeats {', '.join(said)}; name each column once, in the first line"
    )


def _require_room(file: Path, rows: int, room: int, limits: IntakeLimits) -> None:
    if rows > room:
        raise FlywheelError(
            f"{file}: brings the delivery above {limits.rows:,} rows; send it in parts"
        )


def _batches(rows: Iterator[Any]) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _CHUNK:
            yield batch
            batch = []
    if batch:
        yield batch


_READERS: Final[Mapping[str, Callable[[Path, int, IntakeLimits], pa.Table]]] = {
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
_KINDS: Final = "files named .jsonl, .ndjson, .csv or .parquet"
