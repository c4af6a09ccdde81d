"""`flywheel ingest`: events come in from files."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.commands.options import AsJson, DryRun, Root
from pipelines.commands.reply import in_columns, progress_bars, reply, spaced

if TYPE_CHECKING:
    from pipelines.ingesting import Ingestion


def ingest(
    file: Annotated[Path, typer.Argument(help="A .jsonl, .csv or .parquet file, or a folder.")],
    root: Root = Path(".flywheel/general"),
    owner: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Whose permission a reader needs; repeat for several.  [default: general]",
        ),
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Take in events; rows that break the contract are quarantined with a reason, none is lost.

    The same source a second time changes nothing. If it is interrupted, run it again.

    Example: flywheel ingest events.jsonl --root .flywheel/general
    """
    import getpass
    from datetime import UTC, datetime

    from data_contracts.labels import Label
    from pipelines.ingesting import STEPS, ingest_delivery, preview_delivery, read_delivery
    from pipelines.stores import open_stores

    now = datetime.now(UTC)
    with progress_bars() as bar:
        advance = bar(f"ingest {file.name}")
        advance(0, len(STEPS) + 1)
        delivery = read_delivery(file)

        def step(name: str) -> None:
            advance(STEPS.index(name) + 1, len(STEPS) + 1)

        if dry_run:
            zone = open_stores(root) if root.is_dir() else None
            result = preview_delivery(zone, delivery, now=now, step=step)
        else:
            result = ingest_delivery(
                open_stores(root),
                delivery,
                label=Label(frozenset(owner or ())),
                now=now,
                by=getpass.getuser(),
                step=step,
            )
        advance(len(STEPS) + 1, len(STEPS) + 1)
    fields = asdict(result) | {"dry_run": dry_run}
    reply(fields, _lines(result, dry_run=dry_run), as_json=as_json)


def _lines(result: "Ingestion", *, dry_run: bool) -> list[str]:
    refused = sum(result.quarantined.values())
    lines = [
        f"received {spaced(result.received)} = accepted {spaced(result.accepted)} "
        f"+ quarantined {spaced(refused)}"
    ]
    rows = [[reason, spaced(count)] for reason, count in result.quarantined.items()]
    lines += in_columns(["reason", "rows"], rows) if rows else []
    if not result.fresh:
        lines.append(f"batch {result.batch[:12]} was ingested before; nothing changed")
    elif dry_run:
        lines.append(f"dry run: batch {result.batch[:12]} was not stored")
    else:
        lines.append(f"stored as batch {result.batch[:12]}")
    return lines
