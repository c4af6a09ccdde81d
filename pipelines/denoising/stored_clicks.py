"""Stored clicks: a click table whose exposures lie on disk and are counted run by run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.preferences.click_table import ClickTable, Keys, Part
from pipelines.preferences.kernel import FloatArray, IntArray, Shown
from pipelines.preferences.partitions import Shard


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

    def shards(self, count: int) -> tuple[Shard, ...]:
        """Deal the runs to at most *count* shards, neighbours together, by the size of files."""
        size = np.cumsum([path.stat().st_size for path in self.runs])
        inner = np.searchsorted(size, size[-1] * np.arange(1, count) / count, side="right")
        edges = np.unique(np.concatenate([[0], inner, [len(self.runs)]]))
        return tuple(_shard(self.runs[first:last], self.keys) for first, last in pairwise(edges))

    def in_memory(self) -> ClickTable:
        """Read the one run there is."""
        (part,) = self.parts()
        return self.holding(part.shown, self.trusted)

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
            return Part(run["items"], _shown(run, self.keys))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRuns:
    """Some runs of exposures, read again whenever they are gone through."""

    runs: tuple[Path, ...]
    keys: Keys

    def __iter__(self) -> Iterator[Shown]:
        """Read one run after the other; one is in memory at a time."""
        for path in self.runs:
            with np.load(path) as run:
                shown = _shown(run, self.keys)
            yield shown


def _shard(runs: tuple[Path, ...], keys: Keys) -> Shard:
    items: list[IntArray] = []
    for path in runs:
        with np.load(path) as run:
            items.append(run["items"])
    return Shard(np.concatenate(items), StoredRuns(runs=runs, keys=keys))


def _shown(run: Mapping[str, Any], keys: Keys) -> Shown:
    return keys.shown(run["start"], run["user"].astype(np.int64), run["key"], run["weight"])


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
