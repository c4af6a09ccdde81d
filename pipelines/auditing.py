"""Which models learned from one person: from events and answers over pairs to checkpoints.

Counts what training saw: samples, critiques, and validation pairs that calibrate a reward model.
What a person moved beyond those (parameters of the de-noiser, weights of annotators) is a statistic
and is not counted here.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.errors import FlywheelError
from data_contracts.ids import CheckpointId, SnapshotId
from data_contracts.labels import GENERAL
from pipelines.auditing_rows import rows_of, unexplained
from pipelines.bundle import learned_aspects
from pipelines.stores import Stores, snapshot_manifest

SNAPSHOTS: Final = "snapshot/"  # pointers to manifests
PAIR_COLUMNS: Final = ("pair_id", "chosen_id", "rejected_id", "aspect", "weight", "split")


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotTrace:
    """What of one person is in one snapshot."""

    snapshot_id: str
    pairs: int  # whose evidence names an event or an answer of the person
    of: int  # pairs in all
    training: int  # of the pairs, those in the training split
    gone: int = 0  # ids of evidence whose rows were replaced since: nobody can tell whose


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """What of one snapshot is looked for in the trainings on it."""

    names: frozenset[str] = frozenset()  # of training pairs, or of generations
    # By kind of reward model: the validation pairs, which calibrate it.
    calibrating: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTrace:
    """How one checkpoint learned from one person."""

    checkpoint: str
    kind: str
    snapshot_id: str | None  # None: it was not trained here
    samples: int  # samples seen that rest on the person's evidence
    of: int  # samples seen in all
    first_step: int | None  # the first step that saw one, from 1
    calibrating: int  # validation pairs that rest on it, to which the model was calibrated
    pointed: int  # the person's critiques that the model's heat maps learned from
    inherits: tuple[str, ...]  # checkpoints it was made from that learned from the person
    pointers: tuple[str, ...]  # where it stands, such as release/policy

    @property
    def learned(self) -> bool:
        """Say whether the person is in it, directly or through what it was made from."""
        return bool(self.samples or self.calibrating or self.pointed or self.inherits)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonTrace:
    """Everything that learned from one person."""

    events: int
    answers: int
    tenants: tuple[str, ...]  # whose user that is, sorted; one user_id of two is two users
    snapshots: tuple[SnapshotTrace, ...]
    models: tuple[ModelTrace, ...]  # all of the zone, parents first


def trace_person(stores: Stores, person: str, *, tenant: str | None = None) -> PersonTrace:
    """Follow a user's events and an annotator's answers to every checkpoint of the zone.

    Pairs name events by id, without a tenant: where two tenants use one event id, a pair that
    rests on either counts for both.

    Args:
        stores: of the zone.
        person: a user id or an annotator id; one of both is told apart by *tenant* alone.
        tenant: whose user, and no annotator, who belongs to none; None: every tenant's user and
            the annotator who have that id.

    Raises:
        FlywheelError: the zone knows no event and no answer of *person*.
    """
    rows = rows_of(stores, person, tenant)
    if not len(rows.events) and not len(rows.answers) and not len(rows.replaced):
        raise FlywheelError(
            f"this zone knows no event and no answer of {person[:64]}; check the id and --root"
        )
    evidence = pa.concat_arrays([rows.events, rows.answers, rows.replaced])
    snapshots, sought, rested = [], {}, {}
    for name in sorted(stores.catalogue.pointers(SNAPSHOTS)):
        each = name.removeprefix(SNAPSHOTS)
        trace, sought[each], rested[each] = _snapshot(stores, SnapshotId(each), evidence)
        snapshots.append(trace)
    gone = unexplained(stores, rested)
    return PersonTrace(
        events=len(rows.events),
        answers=len(rows.answers),
        tenants=rows.tenants,
        snapshots=tuple(replace(each, gone=gone[each.snapshot_id]) for each in snapshots),
        models=trace_models(stores, sought, critiques=set(rows.answers.to_pylist())),
    )


def trace_models(
    stores: Stores, sought: Mapping[str, Sought], *, critiques: Collection[str]
) -> tuple[ModelTrace, ...]:
    """Follow samples to every checkpoint of the zone, parents first.

    Args:
        stores: of the zone.
        sought: by snapshot.
        critiques: ids of those that are looked for.
    """
    models: dict[str, ModelTrace] = {}
    stands = _pointers(stores)
    for checkpoint in _parents_first(stores):
        models[checkpoint] = _model(stores, checkpoint, sought, critiques, models, stands)
    return tuple(models.values())


def calibrating(pairs: pa.Table, found: pa.Table) -> dict[str, int]:
    """Count the validation pairs among *found* by the kind of reward model they calibrate.

    Args:
        pairs: all of a snapshot, with PAIR_COLUMNS.
        found: some of them.
    """
    held = found.filter((pc.field("split") == "validation") & (pc.field("weight") > 0))
    there = set(pc.unique(pairs["aspect"]).to_pylist())
    counts = {}
    for kind in ("reward", "aspects"):
        wanted = there & set(learned_aspects(kind) or ()) or there
        counts[kind] = held.filter(pc.field("aspect").isin(sorted(wanted))).num_rows
    return counts


def _snapshot(
    stores: Stores, snapshot_id: SnapshotId, evidence: pa.Array
) -> tuple[SnapshotTrace, Sought, pa.Array]:
    """Return the trace, what of the snapshot rests on the person's evidence, and all evidence."""
    manifest = snapshot_manifest(stores, snapshot_id, GENERAL)
    pairs = stores.derived.read(manifest.digest, columns=[*PAIR_COLUMNS, "evidence"])
    column = pairs["evidence"].combine_chunks()
    ids = pc.list_flatten(column)
    rows = pc.unique(pc.list_parent_indices(column).filter(pc.is_in(ids, evidence)))
    found = pairs.take(rows)
    training = found.filter(pc.equal(found["split"], "train"))
    # DPO and reward models name pairs; imitation names the generations that pairs speak of.
    names = (name for each in PAIR_COLUMNS[:3] for name in training[each].to_pylist())
    trace = SnapshotTrace(
        snapshot_id=snapshot_id,
        pairs=found.num_rows,
        of=pairs.num_rows,
        training=training.num_rows,
    )
    wanted = Sought(names=frozenset(names), calibrating=calibrating(pairs, found))
    return trace, wanted, pc.unique(ids)


def _model(
    stores: Stores,
    checkpoint: CheckpointId,
    sought: Mapping[str, Sought],
    critiques: Collection[str],
    before: dict[str, ModelTrace],
    stands: dict[str, list[str]],
) -> ModelTrace:
    manifest = stores.checkpoints.manifest(checkpoint)
    snapshot = next((p for p in manifest.parents if p in sought), None)
    folder = stores.checkpoints.path(checkpoint)
    seen: list[list[str]] = _listed(folder / "samples_seen.json")
    known = sought.get(snapshot or "", Sought())
    hits = [sum(name in known.names for name in step) for step in seen]
    return ModelTrace(
        checkpoint=checkpoint,
        kind=manifest.kind,
        snapshot_id=snapshot,
        samples=sum(hits),
        of=sum(map(len, seen)),
        first_step=next((step for step, n in enumerate(hits, start=1) if n), None),
        calibrating=known.calibrating.get(manifest.kind, 0),
        pointed=sum(name in critiques for name in _listed(folder / "critiques_seen.json")),
        inherits=tuple(p for p in manifest.parents if p in before and before[p].learned),
        pointers=tuple(stands.get(checkpoint, ())),
    )


def _listed(file: Path) -> list[Any]:
    found: list[Any] = json.loads(file.read_text("utf-8")) if file.is_file() else []
    return found


def _parents_first(stores: Stores) -> list[CheckpointId]:
    parents: dict[CheckpointId, Iterable[Any]] = {
        each: stores.checkpoints.manifest(each).parents for each in stores.checkpoints.ids()
    }
    ordered: list[CheckpointId] = []
    while len(ordered) < len(parents):
        done = set(ordered)
        ordered += [
            each
            for each, of in parents.items()
            if each not in done and all(p in done for p in of if p in parents)
        ]
    return ordered


def _pointers(stores: Stores) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in sorted(stores.catalogue.pointers().items()):
        found.setdefault(value, []).append(name)
    return found
