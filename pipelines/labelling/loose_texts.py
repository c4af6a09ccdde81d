"""Loose texts: what an annotator wrote and took back is deleted once nothing names it.

The ledger notes a text as loose before it is stored and again, in the same transaction, when its
edit goes. So a process that dies at any moment leaves a note for every text that nothing names,
and whoever comes next drops it. A note of a text that is named does no harm.
"""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from data_contracts.ids import Digest
from pipelines.labelling.ledger import ASSIGNMENTS, EDITS, LOOSE
from pipelines.stores import Stores, open_stores
from pipelines.stores.catalogue_tables import transaction

# Others may be storing the same bytes, and name them a moment later.
UNUSED_FOR: Final = timedelta(hours=1)
_NAMING: Final = ("blob", "conditioning")  # how columns end that hold digests of blobs


def note_loose(connection: sa.Connection, blobs: Iterable[str]) -> None:
    """Note texts that perhaps no edit names, in the transaction that makes it so."""
    wanted = set(blobs)
    known = sa.select(LOOSE.c.blob).where(LOOSE.c.blob.in_(sorted(wanted)))
    fresh = sorted(wanted - set(connection.execute(known).scalars()))
    if fresh:
        connection.execute(sa.insert(LOOSE), [{"blob": blob} for blob in fresh])


def drop_loose(root: Path, ledger: sa.Engine, *, unused_for: timedelta = UNUSED_FOR) -> int:
    """Delete the loose texts that nothing names; return how many.

    What a current table of the zone still names stays until that asset is materialised again.
    The caller holds the lock of the sync, so that no edit comes to name a text meanwhile.

    Args:
        root: of the zone.
        ledger: the zone's.
        unused_for: what was stored within this time stays.

    Raises:
        FlywheelError: a table is damaged, or the disk refuses.
    """
    with transaction(ledger, writes=False) as connection:
        loose = set(connection.execute(sa.select(LOOSE.c.blob)).scalars())
        named = set(connection.execute(sa.select(EDITS.c.blob)).scalars()) & loose
        for column in (ASSIGNMENTS.c.left_blob, ASSIGNMENTS.c.right_blob):
            query = sa.select(column).where(column.in_(sorted(loose)))
            named |= set(connection.execute(query).scalars())
    if not loose:
        return 0
    settled, dropped = set(named), 0
    if loose - named:
        stores = open_stores(root)
        for blob in sorted(loose - named - _named_by_tables(stores)):
            was_there = stores.blobs.has(Digest(blob))
            if stores.blobs.drop(Digest(blob), unused_for=unused_for):
                settled.add(blob)
                dropped += was_there
    with transaction(ledger) as connection:
        connection.execute(sa.delete(LOOSE).where(LOOSE.c.blob.in_(sorted(settled))))
    return dropped


def _named_by_tables(stores: Stores) -> set[str]:
    """Return every blob that what the catalogue points to names, or is."""
    pointed = set(stores.catalogue.pointers().values())
    named = set(pointed)
    for name in pointed:
        if stores.derived.has(name):
            named |= _named_in(stores.derived.path(Digest(name)))
    return named


def _named_in(file: Path) -> set[str]:
    schema = pq.read_schema(file)
    columns = [name for name in schema.names if name.endswith(_NAMING)]
    if not columns:
        return set()
    table = pq.read_table(file, columns=columns)
    found: set[Any] = set()
    for name in columns:
        column = table[name].combine_chunks()
        found |= set((column.flatten() if pa.types.is_list(column.type) else column).to_pylist())
    return found - {None}
