"""How a command answers: lines for people or one JSON object for machines, never both."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import typer


class Advance(Protocol):
    """Moves a progress bar: *done* of *total*."""

    def __call__(self, done: int, total: int) -> None: ...


class Bars(Protocol):
    """Progress bars by title, drawn below one another."""

    def __call__(self, title: str) -> Advance: ...


def reply(fields: Mapping[str, Any], lines: Iterable[str], *, as_json: bool) -> None:
    """Write *fields* as JSON or *lines* as text to stdout."""
    if as_json:
        typer.echo(json.dumps(fields, indent=2, ensure_ascii=False, default=str))
    else:
        for line in lines:
            typer.echo(line)


def in_columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay out rows under their heads, columns as wide as needed.

    Example:
        >>> in_columns(["reason", "rows"], [["duplicate", "3"]])
        ['reason     rows', 'duplicate  3']
    """
    table = [head, *rows]
    widths = [max(len(row[place]) for row in table) for place in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]


def spaced(number: int) -> str:
    """Write a count with thin groups, as 12 000."""
    return f"{number:,}".replace(",", " ")


@contextmanager
def progress_bars() -> Iterator[Bars]:
    """Draw progress on stderr if somebody watches; stdout stays the answer's alone."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<34}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:

        def bar(title: str) -> Advance:
            task = progress.add_task(title, total=None)

            def advance(done: int, total: int) -> None:
                progress.update(task, completed=done, total=total)

            return advance

        yield bar
