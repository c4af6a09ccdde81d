"""What an importer gives: records in the contracts' schemas, and an account of every row."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow as pa

from data_contracts.ids import Digest

TENANT: Final = "public"

IMPORT_QUARANTINE: Final = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),  # in its file, from 0
        pa.field("reason", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),  # digest of the file
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A public set of human judgements; rows read = annotations + quarantined."""

    prompts: pa.Table
    generations: pa.Table
    annotations: pa.Table
    blobs: Mapping[Digest, bytes]  # content of the generations that have any
    quarantined: pa.Table  # in the IMPORT_QUARANTINE schema
    notes: Mapping[str, int]  # counts worth telling


class Importer(Protocol):
    """Reads one public set from its folder or file."""

    def __call__(self, path: Path) -> Imported: ...


def opaque_id(prefix: str, *parts: object) -> str:
    """Name what *parts* describe: the same parts give the same id, and nobody can read it."""
    text = "\x1f".join(str(part) for part in parts)
    return f"{prefix}_{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def rows_table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Make a table of *schema*; a column that a row leaves out is null."""
    return pa.Table.from_pylist(rows, schema=schema)
