"""The table an asset stands at: derived tables reached through a pointer a partition."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pyarrow as pa

from data_contracts.errors import FlywheelError
from data_contracts.ids import Digest
from data_contracts.labels import Label
from pipelines.stores.canonical import id_column
from pipelines.stores.catalogue import Parent
from pipelines.stores.derived import TableRef
from pipelines.stores.stores import Stores

WHOLE: Final = "all"  # the partition of an asset that has none


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetTable:
    """A table as read: its name goes into the lineage of what is made from it."""

    digest: Digest
    table: pa.Table


def asset_pointer(asset: str, partition: str = WHOLE) -> str:
    """Return the pointer's name: *asset* is its Dagster key, as in `preferences/intent`."""
    return f"{asset}/{partition}"


def write_asset_table(
    stores: Stores,
    asset: str,
    table: pa.Table,
    *,
    parents: Iterable[Parent | str],
    by: str,
    at: datetime,
    partition: str = WHOLE,
) -> TableRef:
    """Store *table* as what *asset* stands at now; its label is joined from *parents*.

    Rows are sorted by the first id column. Writing what is there already changes nothing.

    Args:
        stores: where it goes.
        asset: the asset's key, parts joined by `/`.
        table: the rows, in any order.
        parents: catalogue ids of everything it was made from.
        by: who writes, for the pointer's history.
        at: now, for the pointer's history.
        partition: the partition's key.

    Raises:
        SensitivityError: there are no parents, or one has no label.
        PointerMoved: another run wrote this partition at the same moment (Postgres; SQLite waits).
    """
    pointer = asset_pointer(asset, partition)
    ref = stores.derived.write(table, sort_by=[id_column(table.schema)])
    stores.catalogue.register_at(
        pointer, ref.digest, asset.rsplit("/", 1)[-1], parents,
        reason="materialised", by=by, at=at,
    )  # fmt: skip
    return ref


def read_asset_table(
    stores: Stores,
    asset: str,
    *,
    clearance: Label,
    partition: str = WHOLE,
    columns: Sequence[str] | None = None,
) -> AssetTable:
    """Return what *asset* stands at, to a reader that may see it.

    Raises:
        FlywheelError: this partition was never materialised, or its file is damaged.
        SensitivityError: the reader lacks an owner.
    """
    found = stores.catalogue.pointer(asset_pointer(asset, partition))
    if found is None:
        where = "" if partition == WHOLE else f", partition {partition},"
        raise FlywheelError(f"asset {asset}{where} was never materialised; materialise it first")
    stores.catalogue.check_readable(found, clearance)
    return AssetTable(
        digest=Digest(found), table=stores.derived.read(Digest(found), columns=columns)
    )


def asset_partitions(stores: Stores, asset: str) -> list[str]:
    """Return the partitions of *asset* that were materialised, sorted."""
    prefix = asset_pointer(asset, "")
    return [name.removeprefix(prefix) for name in stores.catalogue.pointers(prefix)]
