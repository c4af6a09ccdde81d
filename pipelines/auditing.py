"""Which models learned from one person: from events and answers over pairs to checkpoints.

Counts what training saw. What a person moved without being in a pair (the parameters of the
de-noiser, the weights of annotators) is a statistic and is not counted here.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.errors import FlywheelError
from data_contracts.ids import CheckpointId, SnapshotId
from data_contracts.labels import GENERAL
from pipelines.stores import Stores, snapshot_manifest

SNAPSHOTS: Final = "snapshot/"  # pointers to manifests
_COLUMNS: Final = ("pair_id", "chosen_id", "rejected_id", "split", "evidence")


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotTrace:
    """What of one person is in one snapshot."""

    snapshot_id: str
    pairs: int  # whose evidence names an event or an answer of the person
    of: int  # pairs in all
    training: int  # of the pairs, those in the training split


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTrace:
    """How one checkpoint learned from one person."""

    checkpoint: str
    kind: str
    snapshot_id: str | None  # None: it was not trained here
    samples: int  # samples seen that rest on the person's evidence
    of: int  # samples seen in all
    first_step: int | None  # the first step that saw one, from 1
    inherits: tuple[str, ...]  # checkpoints it was made from that learned from the person
    pointers: tuple[str, ...]  # where it stands, such as release/policy

    @property
    def learned(self) -> bool:
        """Say whether the person is in it, directly or through what it was made from."""
        return bool(self.samples or self.inherits)


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
        person: a user id or an annotator id.
        tenant: whose user; None: every tenant's who has that id. Annotators belong to none.

    Raises:
        FlywheelError: the zone knows no event and no answer of *person*.
    """
    events, tenants = _events(stores, person, tenant)
    answers = _ids(stores, "annotations", "annotation_id", "annotator_id", person)
    if not len(events) and not len(answers):
        raise FlywheelError(
            f"this zone knows no event and no answer of {person[:64]}; check the id and --root"
        )
    evidence = pa.concat_arrays([events, answers])
    snapshots, samples = [], {}
    for name in sorted(stores.catalogue.pointers(SNAPSHOTS)):
        snapshot_id = name.removeprefix(SNAPSHOTS)
        trace, samples[snapshot_id] = _snapshot(stores, SnapshotId(snapshot_id), evidence)
        snapshots.append(trace)
    return PersonTrace(
        events=len(events),
        answers=len(answers),
        tenants=tenants,
        snapshots=tuple(snapshots),
        models=trace_models(stores, samples),
    )


def trace_models(stores: Stores, samples: Mapping[str, frozenset[str]]) -> tuple[ModelTrace, ...]:
    """Follow samples to every checkpoint of the zone, parents first.

    Args:
        stores: of the zone.
        samples: by snapshot, the names of pairs and generations that are looked for.
    """
    models: dict[str, ModelTrace] = {}
    stands = _pointers(stores)
    for checkpoint in _parents_first(stores):
        models[checkpoint] = _model(stores, checkpoint, samples, models, stands)
    return tuple(models.values())


def _events(stores: Stores, person: str, tenant: str | None) -> tuple[pa.Array, tuple[str, ...]]:
    """Return the ids of a user's events, and the tenants whose user that is."""
    if "events" not in stores.append.names():
        return pa.array([], pa.string()), ()
    rows = stores.append.read("events", columns=["event_id", "user_id", "tenant_id"])
    mine = rows.filter(pc.equal(rows["user_id"], person))
    if tenant is not None:
        mine = mine.filter(pc.equal(mine["tenant_id"], tenant))
    tenants = tuple(sorted(set(mine["tenant_id"].to_pylist())))
    return pa.array(mine["event_id"].to_pylist(), pa.string()), tenants


def _ids(stores: Stores, table: str, column: str, owner: str, person: str) -> pa.Array:
    if table not in stores.append.names():
        return pa.array([], pa.string())
    rows = stores.append.read(table, columns=[column, owner])
    kept = rows.filter(pc.fill_null(pc.equal(rows[owner], person), False))
    return pa.array(kept[column].to_pylist(), pa.string())


def _snapshot(
    stores: Stores, snapshot_id: SnapshotId, evidence: pa.Array
) -> tuple[SnapshotTrace, frozenset[str]]:
    """Return the trace, and the names of samples that rest on the person's evidence."""
    manifest = snapshot_manifest(stores, snapshot_id, GENERAL)
    pairs = stores.derived.read(manifest.digest, columns=list(_COLUMNS))
    column = pairs["evidence"].combine_chunks()
    touched = pc.is_in(pc.list_flatten(column), evidence)
    rows = pc.unique(pc.list_parent_indices(column).filter(touched))
    found = pairs.take(rows)
    training = found.filter(pc.equal(found["split"], "train"))
    # DPO and reward models name pairs; imitation names the generations that pairs speak of.
    names = (name for each in _COLUMNS[:3] for name in training[each].to_pylist())
    trace = SnapshotTrace(
        snapshot_id=snapshot_id,
        pairs=found.num_rows,
        of=pairs.num_rows,
        training=training.num_rows,
    )
    return trace, frozenset(names)


def _model(
    stores: Stores,
    checkpoint: CheckpointId,
    samples: Mapping[str, frozenset[str]],
    before: dict[str, ModelTrace],
    stands: dict[str, list[str]],
) -> ModelTrace:
    manifest = stores.checkpoints.manifest(checkpoint)
    snapshot = next((p for p in manifest.parents if p in samples), None)
    file = stores.checkpoints.path(checkpoint) / "samples_seen.json"
    seen: list[list[str]] = json.loads(file.read_text("utf-8")) if file.is_file() else []
    known = samples.get(snapshot or "", frozenset())
    hits = [sum(name in known for name in step) for step in seen]
    return ModelTrace(
        checkpoint=checkpoint,
        kind=manifest.kind,
        snapshot_id=snapshot,
        samples=sum(hits),
        of=sum(map(len, seen)),
        first_step=next((step for step, n in enumerate(hits, start=1) if n), None),
        inherits=tuple(p for p in manifest.parents if p in before and before[p].learned),
        pointers=tuple(stands.get(checkpoint, ())),
    )


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
