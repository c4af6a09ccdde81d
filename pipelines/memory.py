"""Memory: how training processes keep it, and the peak of a process tree (PSS)."""

import threading
from typing import Final

import psutil

# glibc gives every large tensor back to the kernel and asks for it anew, which costs a quarter of
# the time of small models; a training process ends soon and may keep what it has.
KEEP_MEMORY: Final = {
    "MALLOC_MMAP_THRESHOLD_": "2000000000",
    "MALLOC_TRIM_THRESHOLD_": "8000000000",
}


class PeakMemory:
    """Samples the process tree every second while the block runs."""

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        me = psutil.Process()
        while not self._done.wait(1.0):
            total = 0
            for process in [me, *me.children(recursive=True)]:
                try:
                    total += process.memory_full_info().pss
                except (psutil.Error, AttributeError):  # it ended, or there is no PSS here
                    continue
            self.peak_mb = max(self.peak_mb, total / 1e6)
