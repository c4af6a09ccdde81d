"""What an importer read, kept: validated first, then stored with its source and its label."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from annotation import annotator_reliability, aspect_labels
from data_contracts.contract import load_contract
from data_contracts.errors import FlywheelError
from data_contracts.ids import Digest
from data_contracts.labels import GENERAL
from pipelines.intake.importers import Imported
from pipelines.stores import Stores, write_asset_table
from pipelines.stores.digests import file_digest, json_digest
from pipelines.stores.enforcer import refuse

_BY = "import"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSet:
    """Where an imported set lies, and its tables."""

    source: str  # digest of the set's files
    prompts: Digest
    generations: Digest
    annotations: str  # catalogue id of the answers' batch
    reliability: pa.Table
    labels: pa.Table


def validate_set(imported: Imported, *, now: datetime) -> None:
    """Refuse a set that breaks a contract, before anything of it is stored.

    Raises:
        ContractError: names the rows by id.
    """
    refuse(imported.prompts, load_contract("prompt"), now=now)
    refuse(imported.generations, load_contract("generation"), now=now)
    refuse(imported.annotations, load_contract("annotation"), now=now)
    refuse(imported.events, load_contract("event"), now=now)


def source_digest(path: Path) -> str:
    """Return the digest of a file, or of all files of a folder with their names.

    Raises:
        FlywheelError: there is nothing.
    """
    if path.is_file():
        return file_digest(path)
    files = sorted(each for each in path.rglob("*") if each.is_file())
    if not files:
        raise FlywheelError(f"{path}: no such file or folder, or an empty one; check the path")
    return json_digest([[each.relative_to(path).as_posix(), file_digest(each)] for each in files])


def store_set(imported: Imported, stores: Stores, *, source: str, now: datetime) -> StoredSet:
    """Store a validated set; storing it again changes nothing."""
    origin = f"source/{source}"
    stores.catalogue.register(origin, "source", label=GENERAL)
    stores.blobs.put_many(list(imported.blobs.values()))
    batch = f"annotations/{source}"
    if imported.annotations.num_rows or not imported.events.num_rows:
        stores.catalogue.register(batch, "annotations", [origin])
        stores.append.append("annotations", imported.annotations, batch=source)
    if imported.events.num_rows:
        stores.catalogue.register(f"events/{source}", "events", [origin])
        stores.append.append("events", imported.events, batch=source)
    if imported.quarantined.num_rows:
        stores.append.append("quarantined_annotations", imported.quarantined, batch=source)
    reliability = annotator_reliability(imported.annotations)
    labels = aspect_labels(imported.annotations)
    made = {
        "artifacts/prompts": (imported.prompts, origin),
        "artifacts/generations": (imported.generations, origin),
    }
    if imported.annotations.num_rows:
        made["annotation/annotator_reliability"] = (reliability, batch)
        made["annotation/aspect_labels"] = (labels, batch)
    if imported.stated_errors.num_rows:
        made["annotation/stated_errors"] = (imported.stated_errors, batch)
    digests = {
        asset: write_asset_table(stores, asset, table, parents=[parent], by=_BY, at=now).digest
        for asset, (table, parent) in made.items()
    }
    return StoredSet(
        source=source,
        prompts=digests["artifacts/prompts"],
        generations=digests["artifacts/generations"],
        annotations=batch,
        reliability=reliability,
        labels=labels,
    )
