"""Where a generation came from, under which skill, and what learned from it: ids alone."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.errors import FlywheelError
from data_contracts.ids import SnapshotId
from data_contracts.labels import GENERAL
from pipelines.auditing import SNAPSHOTS, ModelTrace, SnapshotTrace, trace_models
from pipelines.stores import Stores, asset_partitions, read_asset_table, snapshot_manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationTrace:
    """What is known of a generation; of its skill the id and the text's digest, not the text."""

    generation_id: str
    turn: str  # of the wheel
    tenant_id: str
    project_id: str
    prompt_id: str
    parent_generation_id: str | None
    model_release: str
    skill_id: str | None  # None: it was made without one
    skill_digest: str | None
    snapshots: tuple[SnapshotTrace, ...]  # pairs that name it
    models: tuple[ModelTrace, ...]  # all of the zone, parents first


def trace_generation(stores: Stores, generation_id: str) -> GenerationTrace:
    """Follow one generation from what it was made under to every checkpoint of the zone.

    Args:
        stores: of the zone.
        generation_id: of a policy's generation, or of an edited version.

    Raises:
        FlywheelError: the zone knows no such generation.
    """
    turn, row = _found(stores, generation_id)
    snapshots, samples = [], {}
    for name in sorted(stores.catalogue.pointers(SNAPSHOTS)):
        snapshot_id = name.removeprefix(SNAPSHOTS)
        trace, samples[snapshot_id] = _snapshot(stores, SnapshotId(snapshot_id), generation_id)
        snapshots.append(trace)
    told = ("tenant_id", "project_id", "prompt_id", "parent_generation_id", "model_release")
    return GenerationTrace(
        generation_id=generation_id,
        turn=turn,
        **{name: row[name] for name in told},
        skill_id=row["skill_id"],
        skill_digest=_digest_of(stores, turn, row["skill_id"]),
        snapshots=tuple(snapshots),
        models=trace_models(stores, samples),
    )


def _found(stores: Stores, generation_id: str) -> tuple[str, dict[str, Any]]:
    for asset in ("annotation/all_generations", "artifacts/generations"):
        for turn in asset_partitions(stores, asset):
            table = read_asset_table(stores, asset, clearance=GENERAL, partition=turn).table
            rows = table.filter(pc.field("generation_id") == generation_id).to_pylist()
            if rows:
                return turn, rows[0]
    raise FlywheelError(
        f"this zone knows no generation {generation_id[:64]}; check the id and --root"
    )


def _digest_of(stores: Stores, turn: str, skill_id: str | None) -> str | None:
    if skill_id is None:
        return None
    skills = read_asset_table(
        stores, "artifacts/skills", clearance=GENERAL, partition=turn,
        columns=["skill_id", "digest"],
    ).table  # fmt: skip
    return dict(zip(*(column.to_pylist() for column in skills.columns), strict=True)).get(skill_id)


def _snapshot(
    stores: Stores, snapshot_id: SnapshotId, generation_id: str
) -> tuple[SnapshotTrace, frozenset[str]]:
    """Return the trace, and the names of training samples that are of this generation."""
    manifest = snapshot_manifest(stores, snapshot_id, GENERAL)
    columns = ["pair_id", "chosen_id", "rejected_id", "split"]
    pairs: pa.Table = stores.derived.read(manifest.digest, columns=columns)
    found = pairs.filter(
        (pc.field("chosen_id") == generation_id) | (pc.field("rejected_id") == generation_id)
    )
    training = found.filter(pc.field("split") == "train")
    trace = SnapshotTrace(
        snapshot_id=snapshot_id,
        pairs=found.num_rows,
        of=pairs.num_rows,
        training=training.num_rows,
    )
    # DPO and reward models name pairs; imitation names the generation itself.
    own = [generation_id] if training.num_rows else []
    return trace, frozenset([*training["pair_id"].to_pylist(), *own])
