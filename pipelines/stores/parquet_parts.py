"""Parquet in parts: a file written table after table, whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.stores.atomic import partial_file, sync_file, sync_folder
from pipelines.stores.canonical import WRITER


class ParquetParts:
    """Appends tables of one schema; every part is a row group of its own."""

    def __init__(self, path: Path) -> None:
        """Write to *path*, which must not be read before the writing is over."""
        self._path = path
        self._writer: pq.ParquetWriter | None = None

    def add(self, table: pa.Table) -> None:
        """Append *table*; the first one gives the schema, and is written even if it is empty."""
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema, **WRITER)
        if table.num_rows:
            self._writer.write_table(table, row_group_size=table.num_rows)

    def close(self) -> None:
        """End the file."""
        if self._writer is not None:
            self._writer.close()


@contextmanager
def parquet_parts(final: Path, *, partial: Path) -> Iterator[ParquetParts]:
    """Write the file *final* part by part; it appears when the block ends without an error.

    Args:
        final: the name; a file there is replaced.
        partial: the folder for unfinished work, on the same file system.
    """
    with partial_file(partial) as (_, name):
        parts = ParquetParts(name)
        yield parts
        parts.close()
        sync_file(name)
        name.chmod(0o644)
        name.rename(final)
    sync_folder(final.parent)
