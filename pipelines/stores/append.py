"""Append tables: Delta tables that grow a batch at a time, exactly once, and forget without trace.

We write the Parquet file (synced, named by its content) and let deltalake commit it. One lock a
table serialises commits: a batch key kept as a Delta transaction would outlive its deletion.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction

from data_contracts.errors import FlywheelError
from data_contracts.ids import Digest
from pipelines.stores.atomic import (
    PARTIAL,
    checked_name,
    locked,
    storage_errors,
    sync_file,
    sync_folder,
    write_file,
)
from pipelines.stores.canonical import canonical, id_column, parquet_bytes
from pipelines.stores.digests import bytes_digest

BATCH: Final = "batch"
_LOG: Final = "_delta_log"
# No statistics and no history: the log must not remember what was deleted.
_PROPERTIES: Final = {
    "delta.dataSkippingNumIndexedCols": "0",
    "delta.logRetentionDuration": "interval 0 days",
    "delta.deletedFileRetentionDuration": "interval 0 days",
    "delta.enableExpiredLogCleanup": "true",
}


class AppendTables:
    """Tables of records as received; rows arrive and are deleted by opaque batch key."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def append(self, name: str, table: pa.Table, *, batch: str) -> bool:
        """Add the rows of *table* under the key *batch*, once; durable when this returns.

        The first append fixes the columns; a later one may leave out nullable ones.

        Args:
            name: the append table; it is made when absent.
            table: the rows.
            batch: an opaque key; a second append under it changes nothing, whatever its rows.

        Returns:
            Whether rows were added; False for a known batch or for no rows.

        Raises:
            FlywheelError: the columns do not fit, a name is unusable, or the disk refuses.
        """
        checked_name(batch, what="a batch key")
        folder = self._folder(name)
        if BATCH in table.column_names:
            raise FlywheelError(f"{name}: the column {BATCH!r} is the store's own; rename yours")
        with self._locked(name, exclusive=True), _delta_errors(f"append table {name}"):
            delta = self._opened_or_made(name, table)
            if table.num_rows == 0 or batch in _batches(delta):
                return False
            rows = _fitted(table, _stored_schema(delta), what=name)
            try:
                _commit(delta, folder, rows, batch=batch, partial=self._root / PARTIAL)
            except BaseException:
                if batch not in _batches(DeltaTable(folder)):
                    shutil.rmtree(folder / f"{BATCH}={batch}", ignore_errors=True)
                raise
        return True

    def read(
        self,
        name: str,
        *,
        columns: Sequence[str] | None = None,
        batches: Sequence[str] | None = None,
        where: pc.Expression | None = None,
    ) -> pa.Table:
        """Return rows in their one order: by the first id column, then by all others.

        Args:
            name: the append table.
            columns: the columns wanted, `batch` only if named; None means all but `batch`.
            batches: batch keys to read; None means all.
            where: which rows, by any column of the table; None means all. Few rows are read
                faster this way, for those alone are put in order.

        Raises:
            FlywheelError: there is no such table or column.
        """
        with self._locked(name, exclusive=False), _delta_errors(f"append table {name}"):
            dataset = self._dataset(name)
            known = [column for column in dataset.schema.names if column != BATCH]
            wanted = known if columns is None else list(columns)
            absent = [column for column in wanted if column not in (*known, BATCH)]
            if absent:
                raise FlywheelError(
                    f"append table {name} has no column {', '.join(absent)}; "
                    f"it has {', '.join(known)}"
                )
            key = id_column(pa.schema([dataset.schema.field(column) for column in known]))
            kept = where
            if batches is not None:
                chosen = pc.field(BATCH).isin(list(batches))
                kept = chosen if where is None else chosen & where
            rows = dataset.to_table(columns=list(dict.fromkeys([*wanted, key])), filter=kept)
        return canonical(rows, sort_by=[key]).select(wanted)

    def dataset(self, name: str) -> ds.Dataset:
        """Return the table as it is now, for engines that scan; it holds no lock.

        A deletion removes files at once, so read a dataset before you let one happen.

        Raises:
            FlywheelError: there is no such table.
        """
        with self._locked(name, exclusive=False), _delta_errors(f"append table {name}"):
            return self._dataset(name)

    def names(self) -> list[str]:
        """Return the names of all append tables, sorted."""
        return sorted(log.parent.name for log in self._root.glob(f"*/{_LOG}"))

    def batches(self, name: str) -> list[str]:
        """Return the batch keys of the table, sorted; none for a table that does not exist."""
        with self._locked(name, exclusive=False), _delta_errors(f"append table {name}"):
            if not self._exists(name):
                return []
            return sorted(_batches(DeltaTable(self._folder(name))))

    def leftovers(self, name: str) -> list[str]:
        """Return the batch keys whose files a killed writer or deletion left behind, sorted.

        The table holds none of their rows; `delete_batch` removes them for good.
        """
        with self._locked(name, exclusive=False), _delta_errors(f"append table {name}"):
            if not self._exists(name):
                return []
            folder = self._folder(name)
            there = {each.name.removeprefix(f"{BATCH}=") for each in folder.glob(f"{BATCH}=*")}
            return sorted(there - _batches(DeltaTable(folder)))

    def logical_digest(self, name: str) -> Digest:
        """Return a digest of the rows that knows neither their order nor their batches."""
        rows = self.read(name)
        return bytes_digest(parquet_bytes(rows.select(sorted(rows.column_names))))

    def delete_batch(self, name: str, batch: str) -> bool:
        """Delete the rows of *batch* and every trace of them from files, log and folder names.

        Safe to repeat after a crash: the cleaning is done even if the rows are already gone.

        Returns:
            Whether the table held rows of *batch*.

        Raises:
            FlywheelError: there is no such table.
        """
        checked_name(batch, what="a batch key")
        folder = self._folder(name)
        with self._locked(name, exclusive=True), _delta_errors(f"deletion from {name}"):
            self._must_exist(name)
            delta = DeltaTable(folder)
            held = batch in _batches(delta)
            if held:
                delta.delete(f"{BATCH} = '{batch}'")
            delta.vacuum(
                retention_hours=0, enforce_retention_duration=False, dry_run=False, full=True
            )
            delta.create_checkpoint()
            delta.cleanup_metadata()
            shutil.rmtree(folder / f"{BATCH}={batch}", ignore_errors=True)
            sync_folder(folder / _LOG)
            sync_folder(folder)
        return held

    def _folder(self, name: str) -> Path:
        return self._root / checked_name(name, what="an append table's name")

    def _locked(self, name: str, *, exclusive: bool) -> AbstractContextManager[None]:
        self._folder(name)
        return locked(self._root / ".locks" / name, exclusive=exclusive)

    def _exists(self, name: str) -> bool:
        return bool(DeltaTable.is_deltatable(str(self._folder(name))))

    def _must_exist(self, name: str) -> None:
        if not self._exists(name):
            raise FlywheelError(
                f"there is no append table {name} in this store; "
                f"it has {', '.join(self.names()) or 'none yet'}"
            )

    def _dataset(self, name: str) -> ds.Dataset:
        self._must_exist(name)
        return DeltaTable(self._folder(name)).to_pyarrow_dataset()

    def _opened_or_made(self, name: str, table: pa.Table) -> DeltaTable:
        folder = self._folder(name)
        if self._exists(name):
            return DeltaTable(folder)
        plain = canonical(table.slice(0, 0), sort_by=[id_column(table.schema)]).schema
        made = DeltaTable.create(
            folder,
            plain.append(pa.field(BATCH, pa.string(), nullable=False)),
            partition_by=[BATCH],
            configuration=_PROPERTIES,
        )
        sync_folder(self._root)
        return made


def _batches(delta: DeltaTable) -> set[str]:
    return {str(partition[BATCH]) for partition in delta.partitions()}


def _stored_schema(delta: DeltaTable) -> pa.Schema:
    schema = delta.to_pyarrow_dataset().schema
    return schema.remove(schema.get_field_index(BATCH))


def _fitted(table: pa.Table, schema: pa.Schema, *, what: str) -> pa.Table:
    unknown = [name for name in table.column_names if name not in schema.names]
    absent = [f.name for f in schema if not f.nullable and f.name not in table.column_names]
    if unknown or absent:
        raise FlywheelError(
            f"append table {what}: unknown columns: {', '.join(unknown) or 'none'}; "
            f"required and missing: {', '.join(absent) or 'none'}"
        )
    for field in schema:
        if field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    columns, unfit = [], []
    for field in schema:
        try:
            columns.append(table.select([field.name]).cast(pa.schema([field])).column(0))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError):
            unfit.append(f"{field.name} ({table[field.name].type}, stored as {field.type})")
    if unfit:  # Arrow's own message may quote the value, which may be content
        raise FlywheelError(
            f"append table {what}: the column types do not fit the stored ones, or a null is where "
            f"none may be: {', '.join(unfit)}"
        )
    return pa.table(columns, schema=schema)


def _commit(delta: DeltaTable, folder: Path, rows: pa.Table, *, batch: str, partial: Path) -> None:
    content = parquet_bytes(canonical(rows, sort_by=[id_column(rows.schema)]))
    place = f"{BATCH}={batch}/{bytes_digest(content)}.parquet"
    # What a killed writer left of this batch was never committed.
    shutil.rmtree(folder / f"{BATCH}={batch}", ignore_errors=True)
    write_file(folder / place, content, partial=partial)
    added = AddAction(
        place,
        len(content),
        {BATCH: batch},
        (folder / place).stat().st_mtime_ns // 1_000_000,
        True,  # these rows are new
        f'{{"numRecords":{rows.num_rows}}}',
    )
    delta.create_write_transaction([added], "append", delta.schema(), [BATCH])
    delta.update_incremental()
    sync_file(folder / _LOG / f"{delta.version():020d}.json")
    sync_folder(folder / _LOG)


@contextmanager
def _delta_errors(what: str) -> Iterator[None]:
    """Turn what deltalake says about the disk or a type into one sentence."""
    try:
        with storage_errors(what):
            yield
    except DeltaError as error:
        raise FlywheelError(f"{what}: {str(error).splitlines()[0]}") from error
