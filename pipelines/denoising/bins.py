"""Bins: rows on disk, parted so that each part can be worked on alone in little memory."""

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from pyarrow import ipc

from pipelines.preferences.kernel import IntArray

MOST: Final = 512  # files open at once


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """How much is held at once under a limit; rows are taken to cost what events cost.

    An event of the contract is about 200 bytes in memory, and about 1,600 while it is joined.
    """

    limit: int  # bytes
    processes: int = 1  # that hold exposures for the kernel, each some

    @property
    def batch_rows(self) -> int:
        """Rows read at a time."""
        return int(np.clip(self.limit // 4000, 2000, 1 << 17))

    @property
    def bin_rows(self) -> int:
        """Events joined at a time."""
        return max(self.limit // 3000, 2000)

    @property
    def kernel_rows(self) -> int:
        """Exposures that the kernel of each process counts at a time, at 100 bytes as they come."""
        return max(self.limit // (320 * self.processes), 20_000)

    def bins(self, rows: int) -> int:
        """Return into how many bins *rows* events are parted."""
        return int(np.clip(-(-rows // self.bin_rows), 1, MOST))


def give_back() -> None:
    """Give memory that is held for later use back to the system: a limit is about all of it.

    Arrow keeps some 200 MB of what joins needed, the C library some 50 more where it is glibc.
    """
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class Bins:
    """Appends rows to bins, then gives each bin back once."""

    def __init__(self, folder: Path, count: int) -> None:
        """Begin *count* empty bins in *folder*."""
        folder.mkdir(parents=True)
        self._files = [folder / f"{n:04d}.arrow" for n in range(count)]
        self._writers: list[ipc.RecordBatchStreamWriter | None] = [None] * count

    @property
    def count(self) -> int:
        """How many bins there are."""
        return len(self._files)

    def add(self, table: pa.Table, place: IntArray) -> None:
        """Append each row of *table* to the bin that *place* (n,) names."""
        order = np.argsort(place, kind="stable")
        edges = np.searchsorted(place[order], np.arange(len(self._files) + 1))
        rows = table.take(pa.array(order)).combine_chunks()
        for n in np.flatnonzero(np.diff(edges)):
            writer = self._writers[n]
            if writer is None:
                options = ipc.IpcWriteOptions(compression="lz4")
                writer = ipc.new_stream(str(self._files[n]), table.schema, options=options)
                self._writers[n] = writer
            writer.write_table(rows.slice(edges[n], edges[n + 1] - edges[n]))

    def close(self) -> None:
        """End writing; every bin can be taken from here on."""
        for writer in self._writers:
            if writer is not None:
                writer.close()

    def take(self, number: int) -> pa.Table | None:
        """Return the rows of a bin and remove it; None where nothing was ever added to it."""
        if self._writers[number] is None:
            return None
        with pa.OSFile(str(self._files[number])) as source:
            rows = ipc.open_stream(source).read_all()
        self._files[number].unlink()
        return rows
