"""Warnings: what annotators are told before they see what somebody reported or called unsafe."""

from collections.abc import Iterable
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.aspects import ASPECT_TABLE
from pipelines.stores import Stores

# It does not say which, so that a comparison is not decided by it.
WARNING: Final = "May be disturbing: somebody reported this, or called it unsafe."
_UNSAFE: Final = next(a.reason_codes for a in ASPECT_TABLE if a.name == "safety")
_UNSAFE_RATING: Final = 2.0  # of five, and below


def warned_of(stores: Stores, generations: Iterable[str]) -> set[str]:
    """Return which of *generations* a user reported or an annotator called unsafe.

    Args:
        stores: of the zone, with its events and annotations.
        generations: ids.
    """
    wanted = pa.array(sorted(set(generations)), pa.string())
    there, found = stores.append.names(), set[str]()
    if "events" in there:
        events = stores.append.read("events", columns=["generation_id", "kind"])
        reported = pc.equal(events["kind"], "report")
        found |= _named(events, reported, wanted)
    if "annotations" in there:
        said = stores.append.read(
            "annotations", columns=["generation_id", "kind", "aspect", "value", "reason_code"]
        )
        rated = pc.and_(pc.equal(said["kind"], "rating"), pc.equal(said["aspect"], "safety"))
        low = pc.and_(rated, pc.less_equal(said["value"], _UNSAFE_RATING))
        coded = pc.is_in(said["reason_code"], pa.array(_UNSAFE, pa.string()))
        found |= _named(said, pc.or_(pc.fill_null(low, False), coded), wanted)
    return found


def _named(table: pa.Table, holds: pa.ChunkedArray, wanted: pa.Array) -> set[str]:
    rows = table.filter(pc.and_(holds, pc.is_in(table["generation_id"], wanted)))
    return set(rows["generation_id"].to_pylist())
