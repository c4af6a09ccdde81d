"""What an importer gives: records in the contracts' schemas, and an account of every row."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow as pa

from data_contracts.errors import ContractError
from data_contracts.ids import Digest
from data_contracts.schemas import ANNOTATION, EVENT

TENANT: Final = "public"

IMPORT_QUARANTINE: Final = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),  # in its file, from 0
        pa.field("reason", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),  # digest of the file
    ]
)
STATED_ERROR: Final = pa.schema(
    [
        pa.field("annotation_id", pa.string(), nullable=False),
        pa.field("standard_error", pa.float64(), nullable=False),  # of the value, on its scale
        pa.field("raters", pa.int64(), nullable=False),  # people behind the value
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A public set of human judgements or actions; rows received = accepted + quarantined.

    One row of a file may hold several answers, or only repeat what another says, so that rows
    are counted apart from annotations and events.

    Raises:
        ContractError: a row is neither accepted nor quarantined.
    """

    prompts: pa.Table
    generations: pa.Table
    annotations: pa.Table = field(default_factory=ANNOTATION.empty_table)
    events: pa.Table = field(default_factory=EVENT.empty_table)
    stated_errors: pa.Table = field(default_factory=STATED_ERROR.empty_table)
    blobs: Mapping[Digest, bytes] = field(default_factory=dict)  # content, where there is any
    quarantined: pa.Table  # in the IMPORT_QUARANTINE schema
    received: int
    accepted: int
    notes: Mapping[str, int]  # counts worth telling

    def __post_init__(self) -> None:
        if self.received != self.accepted + self.quarantined.num_rows:
            raise ContractError(
                f"import: {self.received} rows were read but {self.accepted} accepted and "
                f"{self.quarantined.num_rows} quarantined; the importer lost count"
            )


class Importer(Protocol):
    """Reads one public set from its folder or file."""

    def __call__(self, path: Path) -> Imported: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicSet:
    """A public set that can be imported, and what its page says of it."""

    name: str
    read: Importer
    says: str  # what people did, in a sentence or two
    source: str  # whom to cite
    licence: str


def opaque_id(prefix: str, *parts: object) -> str:
    """Name what *parts* describe: the same parts give the same id, and nobody can read it."""
    text = "\x1f".join(str(part) for part in parts)
    return f"{prefix}_{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def rows_table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Make a table of *schema*; a column that a row leaves out is null."""
    return pa.Table.from_pylist(rows, schema=schema)
