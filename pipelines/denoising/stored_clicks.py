"""Stored clicks: a click table whose exposures lie on disk and are counted run by run."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.preferences.click_table import ClickTable, Keys, Part
from pipelines.preferences.kernel import FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredClicks(ClickTable):
    """Exposures in files; *shown* holds none of them."""

    runs: tuple[Path, ...]
    keys: Keys
    exposures: int
    counted_keys: IntArray
    believed: FloatArray  # (i,) exposures by item, as far as they are evidence

    def parts(self) -> Iterator[Part]:
        """Read one run after the other; one is in memory at a time."""
        for path in self.runs:
            yield self._read(path)

    def in_memory(self) -> ClickTable:
        """Read the one run there is."""
        (part,) = self.parts()
        return ClickTable(
            shown=part.shown, bits=self.bits, slot=self.slot, slot_names=self.slot_names,
            slot_prior=self.slot_prior, slot_fixed=self.slot_fixed, users=self.users,
            trusted=self.trusted,
        )  # fmt: skip

    @property
    def size(self) -> int:
        """How many exposures there are."""
        return self.exposures

    @property
    def key_counts(self) -> IntArray:
        """(k,) exposures by key, whatever their weight."""
        return self.counted_keys

    @property
    def exposed(self) -> FloatArray:
        """(i,) exposures by item, as far as they are evidence."""
        return self.believed

    def _read(self, path: Path) -> Part:
        with np.load(path) as run:
            shown = self.keys.shown(
                run["start"], run["user"].astype(np.int64), run["key"], run["weight"]
            )
            return Part(run["items"], shown)


def write_run(
    path: Path, items: IntArray, item: IntArray, user: IntArray, key: IntArray, weight: FloatArray
) -> None:
    """Write the exposures of *items* (ascending) in the kernel's order; *item* is one of them."""
    order = np.lexsort((key, user, item))
    np.savez(
        path,
        items=items,
        start=np.searchsorted(item[order], np.append(items, items[-1] + 1)).astype(np.int64),
        user=user[order].astype(np.int32),
        key=key[order].astype(np.int32),
        weight=weight[order],
    )
