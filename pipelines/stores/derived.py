"""Derived tables: immutable Parquet named by the SHA-256 of its bytes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.errors import FlywheelError
from data_contracts.ids import Digest
from pipelines.stores.atomic import PARTIAL, storage_errors, write_file
from pipelines.stores.canonical import canonical, parquet_bytes
from pipelines.stores.digests import checked_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRef:
    """Where one derived table lies."""

    digest: Digest
    rows: int
    path: Path


class DerivedTables:
    """Tables that never change; the same rows are the same file, whoever computed them."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, table: pa.Table, *, sort_by: Sequence[str]) -> TableRef:
        """Store *table* in its canonical form; writing the same rows again changes nothing.

        Args:
            table: the rows, in any order.
            sort_by: the columns that order them; other columns break ties.

        Raises:
            FlywheelError: a sort column is absent, or the disk refuses.
        """
        ordered = canonical(table, sort_by=sort_by)
        content = parquet_bytes(ordered)
        digest = Digest(hashlib.sha256(content).hexdigest())
        with storage_errors(f"derived table {digest[:12]}"):
            write_file(self._file(digest), content, partial=self._root / PARTIAL)
        return TableRef(digest=digest, rows=ordered.num_rows, path=self._file(digest))

    def read(self, digest: Digest, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the table named *digest* after checking its bytes against its name.

        Args:
            digest: its name.
            columns: the columns wanted, in that order; None means all.

        Raises:
            FlywheelError: it is absent, its bytes changed on disk, or a column is absent.
        """
        content = self.path(digest).read_bytes()
        if hashlib.sha256(content).hexdigest() != digest:
            raise FlywheelError(
                f"derived table {digest[:12]} is damaged: its bytes no longer match its name; "
                "delete the file and materialise the table again"
            )
        names = pq.read_schema(pa.BufferReader(content)).names
        absent = [name for name in columns or () if name not in names]
        if absent:
            raise FlywheelError(
                f"derived table {digest[:12]} has no column {', '.join(absent)}; "
                f"it has {', '.join(names)}"
            )
        wanted = None if columns is None else list(columns)
        return pq.read_table(pa.BufferReader(content), columns=wanted)

    def has(self, name: str) -> bool:
        """Say whether a table of this name is stored; what is no digest names none."""
        try:
            return self._file(checked_digest(name)).is_file()
        except FlywheelError:
            return False

    def path(self, digest: Digest) -> Path:
        """Return the Parquet file named *digest*, for engines that read files; not verified.

        Raises:
            FlywheelError: there is no such table.
        """
        file = self._file(checked_digest(digest))
        if not file.is_file():
            raise FlywheelError(
                f"there is no derived table {digest[:12]} in this store; "
                "materialise the asset that makes it"
            )
        return file

    def _file(self, digest: Digest) -> Path:
        return self._root / digest[:2] / f"{digest}.parquet"
