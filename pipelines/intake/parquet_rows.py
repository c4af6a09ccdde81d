"""Rows of a Parquet file, unpacked some at a time: what it says of its own size is not believed."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq


def rows_up_to(
    parquet: pq.ParquetFile, columns: Sequence[str], *, most_bytes: int, at_once: int
) -> pa.Table | None:
    """Return *columns* of all rows, or None as soon as they take more than *most_bytes* in memory.

    A file stores equal values once, so some kilobytes may unpack to gigabytes; its own figure,
    `total_byte_size`, counts them before that.

    Args:
        parquet: an open file.
        columns: which are read.
        most_bytes: cap on what the rows take as Arrow.
        at_once: rows that are unpacked before the cap is looked at again.

    Raises:
        pa.ArrowException, OSError: the file is damaged, or text in it is not UTF-8.
    """
    batches, taken = [], 0
    for batch in parquet.iter_batches(at_once, columns=list(columns), use_threads=False):
        taken += batch.nbytes
        if taken > most_bytes:
            return None
        batch.validate(full=True)  # finds text that is not UTF-8
        batches.append(batch)
    schema = pa.schema([parquet.schema_arrow.field(name) for name in columns])
    return pa.Table.from_batches(batches, batches[0].schema if batches else schema)
