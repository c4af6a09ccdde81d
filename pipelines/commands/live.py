"""A training run as it goes: a bar with loss, margin and learning rate, or lines in a log."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_NOTHING: Final[Mapping[str, float]] = MappingProxyType({})


class LiveBar:
    """Draws what a run says; where no terminal is, each tenth of the way is a line."""

    def __init__(self, kind: str, progress: "Progress", task: "TaskID") -> None:
        self._kind, self._progress, self._task = kind, progress, task
        self._tenth, self._waited_for = -1, ""

    def say(self, done: int, total: int, values: Mapping[str, float] = _NOTHING) -> None:
        """Show how far the run is and what it measured last."""
        from pipelines.metrics import metrics_line

        line = metrics_line(values)
        self._progress.update(self._task, completed=done, total=total, says=line)
        tenth = done * 10 // max(total, 1)
        if not self._progress.console.is_terminal and tenth != self._tenth:
            self._print(f"{done}/{total}  {line}")
        self._tenth = tenth

    def waits(self, run_id: str) -> None:
        """Show which run has the accelerator."""
        line = f"waits for run {run_id[:8]}, which has the GPU"
        self._progress.update(self._task, says=line)
        if not self._progress.console.is_terminal and run_id != self._waited_for:
            self._print(line)
        self._waited_for = run_id

    def _print(self, line: str) -> None:
        self._progress.console.print(f"{self._kind}  {line}".rstrip(), highlight=False)


@contextmanager
def live_bar(kind: str) -> Iterator[LiveBar]:
    """Draw a bar on stderr; stdout stays the answer's alone."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=14),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[says]}"),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(kind, total=None, says="starting")
        yield LiveBar(kind, progress, task)
