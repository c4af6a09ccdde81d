"""Reads single generations of a turn, for pages that show them."""

from collections.abc import Callable

from data_contracts.errors import FlywheelError
from data_contracts.ids import Digest
from data_contracts.labels import Label
from pipelines.stores import Stores


def generation_reader(stores: Stores, generations: str, clearance: Label) -> Callable[[str], bytes]:
    """Return what reads the media of one of the *generations* (a table's digest) by its id.

    Raises:
        SensitivityError: the reader may not see the table. What is returned raises FlywheelError
            for a generation that is not in it, or has no stored content.
    """
    stores.catalogue.check_readable(generations, clearance)
    table = stores.derived.read(Digest(generations), columns=["generation_id", "blob"])
    blobs = dict(zip(*(column.to_pylist() for column in table.columns), strict=True))

    def read(generation_id: str) -> bytes:
        blob = blobs.get(generation_id)
        if blob is None:
            raise FlywheelError(
                f"generation {generation_id} has no content in this turn; materialise the turn anew"
            )
        return stores.blobs.get(Digest(blob))

    return read
