"""What a run measures while it trains: a file for who watches, TensorBoard's files, a line."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

_TELL_EVERY: Final = 0.3  # seconds
# (names that trainers use, what people call it, how it is written)
_SHOWN: Final = (
    (("loss",), "loss", ".4f"),
    (("rewards/margins", "margin"), "margin", ".3f"),
    (("learning_rate",), "rate", ".1e"),
)


class Say(Protocol):
    """Tells how far a run is: steps done, all steps, and the newest values by name."""

    def __call__(self, done: int, total: int, values: Mapping[str, float] = ...) -> None: ...


def silent(done: int, total: int, values: Mapping[str, float] | None = None) -> None:
    """Tell nobody."""


def metrics_line(values: Mapping[str, float]) -> str:
    """Write the values that an engineer watches, in one line.

    Example:
        >>> metrics_line({"loss": 0.69314, "rewards/margins": 0.01, "learning_rate": 3e-4})
        'loss 0.6931  margin 0.010  rate 3.0e-04'
    """
    found = [
        f"{title} {values[name]:{form}}"
        for names, title, form in _SHOWN
        for name in names
        if name in values
    ]
    return "  ".join(found)


def progress_file(job: Path) -> Path:
    """Return where the run of the job in the file *job* says how far it is."""
    return job.with_suffix(".progress.json")


def tensorboard_folder(job: Path) -> Path:
    """Return where TensorBoard's files of the job in the file *job* lie: beside it, one a run."""
    return job.parent / "tensorboard" / job.stem


class LiveMetrics:
    """Takes what a run measures, step by step, and passes it on.

    TensorBoard's files are written where its package is installed; without it a run is the same.
    """

    def __init__(self, job: Path, say: Say) -> None:
        self._beside = progress_file(job)
        self._folder = tensorboard_folder(job)
        self._say = say
        self._last = float("-inf")
        self._values: Mapping[str, float] = {}
        self._at = (0, 0)  # steps done, all steps
        self._writer: Any = None

    def progress(self, done: int, total: int) -> None:
        """Tell a step, with the values of the one before."""
        self._at = (done, total)
        self._say(done, total, self._values)
        if time.monotonic() - self._last > _TELL_EVERY:
            self._write()

    def measured(self, step: int, values: Mapping[str, float]) -> None:
        """Take what a step measured; the trainer tells it after the step."""
        self._values = values
        if step == self._at[1]:
            self._write()
        if self._writer is None:
            self._writer = _tensorboard(self._folder, step)
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is still held back."""
        if self._at[1]:
            self._write()
        if self._writer is not None:
            self._writer.close()

    def _write(self) -> None:
        self._last = time.monotonic()
        fresh = self._beside.with_suffix(".tmp")
        told = {"done": self._at[0], "total": self._at[1], "values": dict(self._values)}
        fresh.write_text(json.dumps(told), "utf-8")
        fresh.replace(self._beside)


class _NoWriter:
    def add_scalar(self, *_: Any) -> None: ...

    def close(self) -> None: ...


def _tensorboard(folder: Path, step: int) -> Any:
    """Return a writer that takes back what an earlier process wrote from *step* on."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return _NoWriter()
    return SummaryWriter(str(folder), purge_step=step, flush_secs=5)
