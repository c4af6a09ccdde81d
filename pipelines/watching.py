"""Follows a training process from outside: its progress file, and whether it waits for its turn."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pipelines.metrics import Say, progress_file
from pipelines.orchestrator import holder

_LOOK_EVERY: Final = 0.3  # seconds
_ASK_EVERY: Final = 2.0  # seconds, for a look into Dagster's database


class Watching:
    """While the block runs, tells *say* how far the run is, until it has taken its last step."""

    def __init__(
        self,
        folder: Path,
        name: str,
        instance: Any,
        run_id: str,
        *,
        say: Say,
        waits: Callable[[str], None],
    ) -> None:
        """Watch for the job `NAME-*` in *folder*, which the run *run_id* will start.

        *waits* is told which run has the pool's place, as long as ours has to wait for it.
        """
        self._folder, self._name = folder, name
        self._instance, self._run_id = instance, run_id
        self._say, self._waits = say, waits
        self._before = self._stamps()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> "Watching":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._tell()

    def newest(self) -> dict[str, Any] | None:
        """Return what the run told last; None: nothing yet."""
        fresh = [file for file, stamp in self._stamps().items() if self._before.get(file) != stamp]
        if not fresh:
            return None
        told: dict[str, Any] = json.loads(max(fresh, key=_stamp).read_text("utf-8"))
        return told

    def _stamps(self) -> dict[Path, int]:
        pattern = progress_file(Path(f"{self._name}-*.json")).name
        return {file: _stamp(file) for file in self._folder.glob(pattern)}

    def _follow(self) -> None:
        asked = time.monotonic()
        while not self._done.wait(_LOOK_EVERY):
            if not self._tell() and time.monotonic() - asked > _ASK_EVERY:
                asked = time.monotonic()
                other = holder(self._instance, besides=self._run_id)
                if other is not None:
                    self._waits(other)

    def _tell(self) -> bool:
        told = self.newest()
        if told is not None:
            self._say(told["done"], told["total"], told.get("values", {}))
        return told is not None


def _stamp(file: Path) -> int:
    return file.stat().st_mtime_ns
