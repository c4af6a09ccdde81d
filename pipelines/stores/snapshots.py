"""Preference snapshots: pairs, manifest and dataset card; they stay shut until validated."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final

import pyarrow as pa

from data_contracts.errors import ContractError, FlywheelError
from data_contracts.ids import Digest, SnapshotId
from data_contracts.labels import Label
from pipelines.stores.catalogue import Parent
from pipelines.stores.digests import canonical_json, json_digest
from pipelines.stores.stores import Stores

CONTRACT: Final = "preference_pair"


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotManifest:
    """What one snapshot is; the fields of data_contracts.schemas.SNAPSHOT and its card."""

    snapshot_id: SnapshotId
    digest: Digest  # of the pairs' file
    parents: tuple[str, ...]
    label: tuple[str, ...]  # owners, sorted; empty is GENERAL
    label_epoch: int
    code_version: str
    configuration_digest: str
    pairs: int
    card: Mapping[str, Any] = field(default_factory=dict)  # the dataset card, JSON values


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """An opened snapshot: training's only source of pairs."""

    manifest: SnapshotManifest
    pairs: pa.Table


def write_snapshot(
    stores: Stores,
    pairs: pa.Table,
    *,
    parents: Iterable[Parent | str],
    card: Mapping[str, Any],
    configuration_digest: str,
    code_version: str,
    at: datetime,
) -> SnapshotManifest:
    """Store *pairs* as a snapshot; the same pairs, configuration and code are the same snapshot.

    It stays shut until a passing validation of its pairs (`manifest.digest`) is recorded.

    Args:
        stores: where it goes.
        pairs: rows of the schema PREFERENCE_PAIR, in any order.
        parents: what the pairs were made from; they give the label.
        card: the dataset card, JSON values only and no clocks.
        configuration_digest: of the resolved configuration.
        code_version: of the code that made the pairs.
        at: now; kept in the catalogue's history only.

    Raises:
        SensitivityError: a parent has no label.
    """
    sources = [Parent(p) if isinstance(p, str) else p for p in parents]
    table = stores.derived.write(pairs, sort_by=["pair_id"])
    if not stores.catalogue.has(table.digest):
        stores.catalogue.register(table.digest, "preference_pairs", sources)
    snapshot_id = SnapshotId(json_digest([table.digest, configuration_digest, code_version]))
    stores.catalogue.register(snapshot_id, "snapshot", [Parent(table.digest), *sources])
    known = stores.catalogue.object(snapshot_id)
    manifest = SnapshotManifest(
        snapshot_id=snapshot_id,
        digest=table.digest,
        parents=tuple(sorted({parent.object_id for parent in known.parents})),
        label=tuple(sorted(known.label.owners)),
        label_epoch=known.label_epoch,
        code_version=code_version,
        configuration_digest=configuration_digest,
        pairs=table.rows,
        card=dict(card),
    )
    blob = stores.blobs.put(canonical_json(asdict(manifest)))
    pointer = _pointer(manifest.snapshot_id)
    current = stores.catalogue.pointer(pointer)
    if current != blob:
        stores.catalogue.swap_pointer(
            pointer, expected=current, new=blob, reason="written", by="write_snapshot", at=at
        )
    return manifest


def open_snapshot(stores: Stores, snapshot_id: SnapshotId, clearance: Label) -> Snapshot:
    """Return a snapshot whose pairs passed their contract, to a reader that may see it.

    Raises:
        ContractError: its pairs have no passing validation record.
        SensitivityError: the reader lacks an owner.
        FlywheelError: there is no such snapshot, or it is damaged.
    """
    manifest = snapshot_manifest(stores, snapshot_id, clearance)
    validation = stores.catalogue.validation(manifest.digest, CONTRACT)
    if validation is None or not validation.passed:
        raise ContractError(
            f"snapshot {snapshot_id[:12]} stays shut: its pairs "
            + ("were never validated" if validation is None else "failed their contract")
            + f" ({CONTRACT}); run the checks of preference_pairs first"
        )
    return Snapshot(manifest=manifest, pairs=stores.derived.read(manifest.digest))


def snapshot_manifest(
    stores: Stores, snapshot_id: SnapshotId, clearance: Label
) -> SnapshotManifest:
    """Return what a snapshot is, without its pairs; it needs no validation record.

    Raises:
        SensitivityError: the reader lacks an owner.
        FlywheelError: there is no such snapshot.
    """
    blob = stores.catalogue.pointer(_pointer(snapshot_id))
    if blob is None:
        raise FlywheelError(
            f"there is no snapshot {snapshot_id[:12]} in this store; "
            "materialise preference_snapshot first"
        )
    stores.catalogue.check_readable(snapshot_id, clearance)
    stored: dict[str, Any] = json.loads(stores.blobs.get(Digest(blob)))
    stored["parents"], stored["label"] = tuple(stored["parents"]), tuple(stored["label"])
    return SnapshotManifest(**stored)


def _pointer(snapshot_id: SnapshotId) -> str:
    return f"snapshot/{snapshot_id}"
