"""Where a generation came from, under which skill, and what learned from it: ids alone."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.errors import FlywheelError
from data_contracts.ids import SnapshotId
from data_contracts.labels import GENERAL
from pipelines.auditing import (
    PAIR_COLUMNS,
    SNAPSHOTS,
    ModelTrace,
    SnapshotTrace,
    Sought,
    calibrating,
    trace_models,
)
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
    versions: tuple[str, ...]  # generations made from it, at any remove, sorted
    snapshots: tuple[SnapshotTrace, ...]  # pairs that name it or a version of it
    models: tuple[ModelTrace, ...]  # all of the zone, parents first


def trace_generation(stores: Stores, generation_id: str) -> GenerationTrace:
    """Follow one generation from what it was made under to every checkpoint of the zone.

    What learned from an edited version of it learned from what is left of it there.

    Args:
        stores: of the zone.
        generation_id: of a policy's generation, or of an edited version.

    Raises:
        FlywheelError: the zone knows no such generation.
    """
    turn, row = _found(stores, generation_id)
    versions = _versions(stores, generation_id)
    wanted = pa.array([generation_id, *versions], pa.string())
    snapshots, sought = [], {}
    for name in sorted(stores.catalogue.pointers(SNAPSHOTS)):
        snapshot_id = name.removeprefix(SNAPSHOTS)
        trace, sought[snapshot_id] = _snapshot(stores, SnapshotId(snapshot_id), wanted)
        snapshots.append(trace)
    told = ("tenant_id", "project_id", "prompt_id", "parent_generation_id", "model_release")
    return GenerationTrace(
        generation_id=generation_id,
        turn=turn,
        **{name: row[name] for name in told},
        skill_id=row["skill_id"],
        skill_digest=_digest_of(stores, turn, row["skill_id"]),
        versions=versions,
        snapshots=tuple(snapshots),
        models=trace_models(stores, sought, critiques=_critiques(stores, wanted)),
    )


def _found(stores: Stores, generation_id: str) -> tuple[str, dict[str, Any]]:
    for turn, table in _tables(stores):
        rows = table.filter(pc.field("generation_id") == generation_id).to_pylist()
        if rows:
            return turn, rows[0]
    raise FlywheelError(
        f"this zone knows no generation {generation_id[:64]}; check the id and --root"
    )


def _tables(stores: Stores) -> Iterator[tuple[str, pa.Table]]:
    """Yield each turn with its generations; turns with edited versions come first."""
    for asset in ("annotation/all_generations", "artifacts/generations"):
        for turn in asset_partitions(stores, asset):
            yield turn, read_asset_table(stores, asset, clearance=GENERAL, partition=turn).table


def _versions(stores: Stores, generation_id: str) -> tuple[str, ...]:
    """Return what was made from a generation, from that, and so on."""
    made: dict[str, set[str]] = defaultdict(set)
    for _, table in _tables(stores):
        rows = table.filter(pc.field("parent_generation_id").is_valid())
        names = (rows[name].to_pylist() for name in ("parent_generation_id", "generation_id"))
        for parent, name in zip(*names, strict=True):
            made[parent].add(name)
    found: set[str] = set()
    waiting = [generation_id]
    while waiting:
        fresh = made[waiting.pop()] - found - {generation_id}
        found |= fresh
        waiting += fresh
    return tuple(sorted(found))


def _critiques(stores: Stores, wanted: pa.Array) -> set[str]:
    """Return the ids of answers about these generations, critiques among them."""
    if "annotations" not in stores.append.names():
        return set()
    about = pc.field("generation_id").isin(wanted)
    rows = stores.append.read("annotations", columns=["annotation_id"], where=about)
    return set(rows["annotation_id"].to_pylist())


def _digest_of(stores: Stores, turn: str, skill_id: str | None) -> str | None:
    if skill_id is None:
        return None
    skills = read_asset_table(
        stores, "artifacts/skills", clearance=GENERAL, partition=turn,
        columns=["skill_id", "digest"],
    ).table  # fmt: skip
    return dict(zip(*(column.to_pylist() for column in skills.columns), strict=True)).get(skill_id)


def _snapshot(
    stores: Stores, snapshot_id: SnapshotId, wanted: pa.Array
) -> tuple[SnapshotTrace, Sought]:
    """Return the trace, and what of the snapshot is of these generations."""
    manifest = snapshot_manifest(stores, snapshot_id, GENERAL)
    pairs: pa.Table = stores.derived.read(manifest.digest, columns=list(PAIR_COLUMNS))
    found = pairs.filter(pc.field("chosen_id").isin(wanted) | pc.field("rejected_id").isin(wanted))
    training = found.filter(pc.field("split") == "train")
    trace = SnapshotTrace(
        snapshot_id=snapshot_id,
        pairs=found.num_rows,
        of=pairs.num_rows,
        training=training.num_rows,
    )
    # DPO and reward models name pairs; imitation names the generation itself.
    shown = {g for side in ("chosen_id", "rejected_id") for g in training[side].to_pylist()}
    own = shown.intersection(wanted.to_pylist())
    names = frozenset([*training["pair_id"].to_pylist(), *own])
    return trace, Sought(names=names, calibrating=calibrating(pairs, found))
