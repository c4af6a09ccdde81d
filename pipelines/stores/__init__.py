"""Where everything is kept: tables, blobs, checkpoints, and the catalogue that labels them."""

from pipelines.stores.append import AppendTables
from pipelines.stores.asset_tables import (
    AssetTable,
    asset_partitions,
    read_asset_table,
    write_asset_table,
)
from pipelines.stores.blobs import Blobs
from pipelines.stores.catalogue import (
    Catalogue,
    CatalogueObject,
    Parent,
    RoleDenied,
    ValidationRecord,
)
from pipelines.stores.checkpoints import CheckpointFields, CheckpointManifest, Checkpoints
from pipelines.stores.derived import DerivedTables, TableRef
from pipelines.stores.pointers import PointerMove, PointerMoved, RolledBack
from pipelines.stores.snapshots import (
    Snapshot,
    SnapshotManifest,
    open_snapshot,
    snapshot_manifest,
    write_snapshot,
)
from pipelines.stores.stores import Stores, open_stores

__all__ = [
    "AppendTables",
    "AssetTable",
    "Blobs",
    "Catalogue",
    "CatalogueObject",
    "CheckpointFields",
    "CheckpointManifest",
    "Checkpoints",
    "DerivedTables",
    "Parent",
    "PointerMove",
    "PointerMoved",
    "RoleDenied",
    "RolledBack",
    "Snapshot",
    "SnapshotManifest",
    "Stores",
    "TableRef",
    "ValidationRecord",
    "asset_partitions",
    "open_snapshot",
    "open_stores",
    "read_asset_table",
    "snapshot_manifest",
    "write_asset_table",
    "write_snapshot",
]
