"""A training run that has not ended: where its states lie, and when it is told to stop.

The folder is named by the run's digest, so that only the very same run goes on from a state. It
holds weights that learned from the snapshot, and is removed once the checkpoint is stored.
"""

import fcntl
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil

from data_contracts.errors import FlywheelError

ORCHESTRATOR: Final = "FLYWHEEL_ORCHESTRATOR"  # the process without which nobody waits for us
_PATIENCE: Final = 60.0  # seconds for a process whose orchestrator was killed to end its step
_asked: list[int] = []  # signals received; a handler cannot return one


@contextmanager
def unfinished_run(root: Path, digest: str, *, patience: float = _PATIENCE) -> Iterator[Path]:
    """Give the folder of the run *digest*, to this process alone; removed if the block succeeds.

    Raises:
        FlywheelError: another process still trains this very run.
    """
    folder = unfinished_folder(root, digest)
    held = _locked(folder, digest, patience)
    try:
        yield folder
        shutil.rmtree(folder)
    finally:
        os.close(held)


def unfinished_folder(root: Path, digest: str) -> Path:
    """Return where the states of the run *digest* lie while it has not ended."""
    return root / "unfinished" / digest[:32]


def catch_stop_signals() -> None:
    """Let Ctrl-C, SIGTERM and Dagster's *terminate* stop training between two steps."""

    def note(number: int, _: Any) -> None:
        _asked.append(number)

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, note)


def asked_to_stop() -> bool:
    """Say whether a signal came, or the orchestrator that started us is gone."""
    told = os.environ.get(ORCHESTRATOR)
    return bool(_asked) or (told is not None and not psutil.pid_exists(int(told)))


def _locked(folder: Path, digest: str, patience: float) -> int:
    """Return a descriptor that holds *folder*'s lock, the kernel's: a killed process has none."""
    deadline = time.monotonic() + patience
    while True:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it before may have ended well and removed it.
            if folder.exists() and os.path.samestat(os.fstat(held), folder.stat()):
                return held
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(held)
                raise FlywheelError(
                    f"run {digest[:12]} is being trained by another process; wait for it, "
                    "or end that process and start again"
                ) from None
            time.sleep(0.2)
        os.close(held)
