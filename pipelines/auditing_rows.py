"""Whose rows are whose: the ids of one person's events and answers, and ids that nobody has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.ids import Digest
from pipelines.stores import Stores

_RAW: Final = "traces/raw_events/"  # pointers to deliveries' events as they came
_NO_IDS: Final = pa.array([], pa.string())


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRows:
    """What one person did, by id."""

    events: pa.Array  # event ids
    answers: pa.Array  # annotation ids
    # Ids of events in deliveries that others took the place of: earlier pairs rest on them.
    replaced: pa.Array
    tenants: tuple[str, ...]  # whose user that is, sorted


def rows_of(stores: Stores, person: str, tenant: str | None) -> PersonRows:
    """Return the rows of a user or an annotator.

    Args:
        stores: of the zone.
        person: a user id or an annotator id.
        tenant: whose user, and no annotator; None: all who have that id.
    """
    mine = pc.field("user_id") == person
    if tenant is not None:
        mine &= pc.field("tenant_id") == tenant
    events = _rows(stores, "events", ["event_id", "tenant_id"], mine)
    replaced = [table.filter(mine) for table in _replaced(stores)]
    answers = None
    if tenant is None:
        answered = pc.field("annotator_id") == person
        answers = _rows(stores, "annotations", ["annotation_id"], answered)
    found = [*([] if events is None else [events]), *replaced]
    # A delivery as it came may leave out whose a row is; that row was never admitted.
    names = {name for each in found for name in each["tenant_id"].to_pylist()}
    return PersonRows(
        events=_column(events, "event_id"),
        answers=_column(answers, "annotation_id"),
        replaced=pa.concat_arrays([_NO_IDS, *(_column(each, "event_id") for each in replaced)]),
        tenants=tuple(sorted(names - {None})),
    )


def unexplained(stores: Stores, evidence: Mapping[str, pa.Array]) -> dict[str, int]:
    """Count ids that no event and no answer of the zone has, now or before.

    Answers that took the place of others leave such ids: whose they were is not kept.

    Args:
        stores: of the zone.
        evidence: ids by snapshot, each once.
    """
    lost = pc.unique(pa.concat_arrays([_NO_IDS, *evidence.values()]))
    for table, column in (("events", "event_id"), ("annotations", "annotation_id")):
        lost = _besides(lost, _column(_rows(stores, table, [column]), column))
    if len(lost):
        for each in _replaced(stores):
            lost = _besides(lost, _column(each, "event_id"))
    return {name: pc.sum(pc.is_in(ids, lost)).as_py() or 0 for name, ids in evidence.items()}


def _rows(
    stores: Stores, table: str, columns: list[str], where: pc.Expression | None = None
) -> pa.Table | None:
    if table not in stores.append.names():
        return None
    return stores.append.read(table, columns=columns, where=where)


def _replaced(stores: Stores) -> list[pa.Table]:
    """Return the events of every delivery that is not what its turn stands at now."""
    names = ["event_id", "user_id", "tenant_id"]
    earlier = {
        move.value
        for pointer, now in stores.catalogue.pointers(_RAW).items()
        for move in stores.catalogue.pointer_history(pointer)
        if move.value != now
    }
    return [stores.derived.read(Digest(d), columns=names)
            for d in sorted(earlier) if stores.derived.has(d)]  # fmt: skip


def _besides(ids: pa.Array, known: pa.Array) -> pa.Array:
    return ids.filter(pc.invert(pc.is_in(ids, known)))


def _column(rows: pa.Table | None, name: str) -> pa.Array:
    if rows is None:
        return _NO_IDS
    return pa.concat_arrays([_NO_IDS, *(chunk.cast(pa.string()) for chunk in rows[name].chunks)])
