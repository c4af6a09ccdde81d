"""The peak memory of this process and its children, counted once where it is shared (PSS)."""

import threading

import psutil


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
