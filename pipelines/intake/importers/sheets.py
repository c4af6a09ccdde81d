"""Sheets: the rows of one file on their way in, each accepted or refused under one reason."""

import csv
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypedDict

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from data_contracts.errors import ContractError, FlywheelError
from data_contracts.ids import Digest
from pipelines.intake.importers.imported import IMPORT_QUARANTINE
from pipelines.intake.limits import DEFAULT_LIMITS
from pipelines.stores.digests import file_digest

UNPARSABLE: Final = "unparsable"
NOT_TEXT: Final = "not_text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Rows of one file; *reason* is empty where a row is accepted."""

    rows: pd.DataFrame  # the columns asked for; those of an unparsable row are empty
    reason: NDArray[np.object_]
    source: Digest

    def refuse(self, faults: Mapping[str, Any]) -> "Sheet":
        """Refuse the rows that a fault's mask names; a row keeps its first reason."""
        reason = self.reason.copy()
        for name, bad in faults.items():
            reason[(reason == "") & np.asarray(bad, dtype=bool)] = name
        return replace(self, reason=reason)

    @property
    def accepted(self) -> pd.DataFrame:
        """The rows without fault; their index is the place in the file, from 0."""
        return self.rows[self.reason == ""]


class Account(TypedDict):
    """Every row that was read, in the fields of `Imported`."""

    received: int
    accepted: int
    quarantined: pa.Table


def account(*sheets: Sheet) -> Account:
    """Account for every row of *sheets*."""
    refused = [np.flatnonzero(sheet.reason != "") for sheet in sheets]
    parts = [
        pa.table(
            {
                "row": at.astype(np.int64),
                "reason": sheet.reason[at].tolist(),
                "source": [sheet.source] * len(at),
            },
            schema=IMPORT_QUARANTINE,
        )
        for sheet, at in zip(sheets, refused, strict=True)
    ]
    return Account(
        received=sum(len(sheet.rows) for sheet in sheets),
        accepted=sum(int((sheet.reason == "").sum()) for sheet in sheets),
        quarantined=pa.concat_tables([IMPORT_QUARANTINE.empty_table(), *parts]),
    )


def read_csv(file: Path, columns: Sequence[str]) -> Sheet:
    """Read *columns* of a CSV file, plain or .gz, as text; an absent cell is empty.

    A row with more or fewer fields than the header is unparsable.

    Raises:
        FlywheelError: the file is missing, cut off or no UTF-8 text.
        ContractError: a column is missing.
    """
    try:
        reader = csv.reader(io.StringIO(_text(file), newline=""))
        header = next(reader, [])
        cells = [row for row in reader if row]
    except csv.Error as error:
        raise FlywheelError(f"{file}: cannot be read: not a CSV file") from error
    if missing := [each for each in columns if each not in header]:
        raise ContractError(f"{file}: column {', '.join(missing)} missing")
    whole = np.array([len(row) == len(header) for row in cells], dtype=bool)
    empty = [""] * len(header)
    places = [header.index(each) for each in columns]
    kept = [row if ok else empty for row, ok in zip(cells, whole.tolist(), strict=True)]
    rows = pd.DataFrame(
        {name: [row[at] for row in kept] for name, at in zip(columns, places, strict=True)},
        dtype=object,
    )
    return Sheet(rows=rows, reason=_reasons(whole), source=file_digest(file))


def read_json_lines(
    file: Path, columns: Sequence[str], *, texts: Sequence[str] = (), optional: Sequence[str] = ()
) -> Sheet:
    """Read a file with a JSON object a line, plain or .gz; as `read_json_list`."""
    lines = [line for line in _text(file).split("\n") if line and not line.isspace()]
    return _objects(file, [_loaded(line) for line in lines], columns, texts, optional)


def read_json_list(
    file: Path, columns: Sequence[str], *, texts: Sequence[str] = (), optional: Sequence[str] = ()
) -> Sheet:
    """Read *columns*, *texts* and *optional* columns of a JSON list of objects.

    An object without one of *columns* or *texts* is unparsable; one with a text that is none, or
    cannot be stored, is not_text. What is *optional* is None where absent.

    Raises:
        FlywheelError: the file is missing or cut off.
        ContractError: no object has the column.
    """
    try:
        found = json.loads(_text(file))
    except (ValueError, RecursionError) as error:
        raise FlywheelError(f"{file}: cannot be read to its end; send it again") from error
    if not isinstance(found, list):
        raise FlywheelError(f"{file}: holds no list; it must be a list of objects")
    return _objects(file, found, columns, texts, optional)


def whole_numbers(cells: pd.Series) -> pd.Series:
    """Return text cells as whole numbers; -1 where a cell is none."""
    good = cells.astype(str).str.fullmatch(r"[0-9]{1,9}")
    return cells.where(good, "-1").astype(np.int64)


def numbers(cells: pd.Series) -> pd.Series:
    """Return cells as numbers; NaN where a cell is none or is not finite."""
    values = pd.to_numeric(cells, errors="coerce").astype(np.float64)
    return values.where(np.isfinite(values))


def _objects(
    file: Path,
    found: list[Any],
    columns: Sequence[str],
    texts: Sequence[str],
    optional: Sequence[str],
) -> Sheet:
    needed = (*columns, *texts)
    for name in needed if found else ():
        if not any(isinstance(each, dict) and name in each for each in found):
            raise ContractError(f"{file}: column {name} missing")
    whole = [isinstance(each, dict) and all(n in each for n in needed) for each in found]
    told = [
        not ok or all(_storable(each[name]) for name in texts)
        for each, ok in zip(found, whole, strict=True)
    ]
    good = [ok and said for ok, said in zip(whole, told, strict=True)]
    rows = pd.DataFrame(
        {
            name: pd.Series(
                [
                    each.get(name) if ok else ("" if name in texts else None)
                    for each, ok in zip(found, good, strict=True)
                ],
                dtype=object,
            )
            for name in (*needed, *optional)
        }
    )
    sheet = Sheet(rows=rows, reason=_reasons(np.array(whole, dtype=bool)), source=file_digest(file))
    return sheet.refuse({NOT_TEXT: np.logical_not(np.array(told, dtype=bool))})


def _reasons(whole: NDArray[np.bool_]) -> NDArray[np.object_]:
    reasons = np.full(len(whole), "", dtype=object)
    reasons[~whole] = UNPARSABLE
    return reasons


def _storable(text: object) -> bool:
    if not isinstance(text, str):
        return False
    try:
        text.encode()  # lone surrogates cannot be stored
    except UnicodeEncodeError:
        return False
    return True


def _loaded(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _text(file: Path) -> str:
    """Read a file whole, unpacking at most as much as one delivery may hold."""
    limit = DEFAULT_LIMITS.file_bytes
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            content = stream.read(limit + 1)
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise FlywheelError(f"{file}: cannot be read: {error.strerror}") from error
    except (OSError, EOFError) as error:
        raise FlywheelError(f"{file}: cannot be read to its end; send it again") from error
    if len(content) > limit:
        raise FlywheelError(f"{file}: unpacks to more than is allowed at once")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FlywheelError(f"{file}: cannot be read: not text in UTF-8") from error
