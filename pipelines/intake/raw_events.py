"""Raw events: what a file said, row by row, before any of it is believed."""

from typing import Final

import pyarrow as pa

from data_contracts.schemas import EVENT

ROW: Final = "_row"  # place in its file, from 0; a header and blank lines are not counted
SOURCE: Final = "_source"  # digest of the file's bytes
REFUSAL: Final = "_refusal"  # why the row could not be read; null where it could

RAW_EVENT: Final = pa.schema(
    [
        *(field.with_nullable(True) for field in EVENT),
        pa.field(ROW, pa.int64(), nullable=False),
        pa.field(SOURCE, pa.string(), nullable=False),
        pa.field(REFUSAL, pa.string()),
    ]
)

UNPARSABLE: Final = "unparsable"
NEEDED: Final = tuple(field.name for field in EVENT if not field.nullable)


def bad_type(column: str) -> str:
    """Return the refusal of a row whose *column* holds another type than it should."""
    return f"bad_type({column})"
