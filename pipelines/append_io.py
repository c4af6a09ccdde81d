"""How assets' append tables are stored: one batch a partition, replaced whole when it changes."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import dagster as dg
import pyarrow as pa

from data_contracts.errors import FlywheelError
from data_contracts.labels import GENERAL
from pipelines.columns import column_schema
from pipelines.io_managers import PARENTS
from pipelines.stores import Stores, open_stores
from pipelines.stores.atomic import checked_name, locked
from pipelines.stores.canonical import canonical, id_column, parquet_bytes
from pipelines.stores.digests import bytes_digest

_POINTER: Final = "append"
_SHOWN: Final = 24  # characters of the digest in a batch key


class AppendIOManager(dg.ConfigurableIOManager):
    """Keeps records as received (events, annotations, quarantine) in Delta tables.

    The batch is named by its content, so that the same rows are appended once; a partition that
    is materialised again with other rows appends those, moves the pointer, and only then deletes
    the batch that stood there.
    """

    root: str

    def handle_output(self, context: dg.OutputContext, obj: pa.Table) -> None:
        """Append *obj* as the partition's batch."""
        name = context.asset_key.path[-1]
        listed = (context.output_metadata or {}).get(PARENTS)
        digest = write_batch(
            self._stores(),
            name,
            obj,
            partition=context.asset_partition_key,
            parents=list(getattr(listed, "value", listed) or []),
            by=f"run {context.run_id}",
            at=datetime.now(UTC),
        )
        context.add_output_metadata(
            {
                "dagster/row_count": obj.num_rows,
                "dagster/column_schema": column_schema(name, obj.schema),
                "digest": digest,
            }
        )

    def load_input(self, context: dg.InputContext) -> pa.Table:
        """Return the rows of the partition's batch in their one order."""
        return read_batch(self._stores(), context.asset_key.path[-1], context.asset_partition_key)[
            1
        ]

    def _stores(self) -> Stores:
        return open_stores(Path(self.root))


def write_batch(
    stores: Stores,
    name: str,
    table: pa.Table,
    *,
    partition: str,
    parents: Sequence[str],
    by: str,
    at: datetime,
) -> str:
    """Let *name* hold *table* for *partition*, in place of what it held; return its digest.

    The new rows are there before the old ones go. The same rows again change nothing. What a killed
    writer of this partition left behind goes as well.

    Args:
        stores: of the zone.
        name: of the append table.
        table: rows that keep their contract.
        partition: a turn of the wheel, or another name of the batch.
        parents: catalogue ids of what the rows rest on.
        by: who writes, for the pointer's history.
        at: now.

    Raises:
        SensitivityError: the table holds rows of another sensitivity label, or a parent has none.
    """
    content = canonical(table, sort_by=[id_column(table.schema)])
    digest = bytes_digest(parquet_bytes(content))
    batch = checked_name(f"{partition}-{digest[:_SHOWN]}", what="a batch key")
    lock = stores.root / ".locks" / f"append-{name}-{partition}"
    with locked(lock, exclusive=True):
        # Whose the rows are, before any is stored: all of a table have one label.
        stores.catalogue.register(digest, name, list(parents))
        stores.catalogue.register(f"{_POINTER}/{name}", name, [digest])
        stores.append.append(name, table, batch=batch)
        pointer = _pointer(name, partition)
        for moved, value in ((pointer, batch), (f"{pointer}/digest", digest)):
            before = stores.catalogue.pointer(moved)
            if before != value:
                stores.catalogue.swap_pointer(
                    moved, expected=before, new=value, reason="materialised", by=by, at=at
                )
        ours = re.compile(rf"{re.escape(partition)}-[0-9a-f]{{{_SHOWN}}}")
        for left in (*stores.append.batches(name), *stores.append.leftovers(name)):
            if left != batch and ours.fullmatch(left):
                stores.append.delete_batch(name, left)
    return digest


def read_batch(stores: Stores, name: str, partition: str) -> tuple[str, pa.Table]:
    """Return the digest and the rows of what *name* holds for *partition*.

    Raises:
        FlywheelError: it was never materialised, or that was interrupted.
    """
    batch = stores.catalogue.pointer(_pointer(name, partition))
    digest = stores.catalogue.pointer(f"{_pointer(name, partition)}/digest")
    if batch is None or digest is None:
        raise FlywheelError(f"{name}, partition {partition}, was never materialised; do so first")
    if batch != f"{partition}-{digest[:_SHOWN]}":
        raise FlywheelError(
            f"{name}, partition {partition}, was interrupted while it was written; "
            "materialise it again"
        )
    stores.catalogue.check_readable(digest, GENERAL)
    return digest, stores.append.read(name, batches=[batch])


def _pointer(name: str, partition: str) -> str:
    return f"{_POINTER}/{name}/{partition}"
