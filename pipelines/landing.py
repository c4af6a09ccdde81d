"""Landing: what the door's journal holds becomes rows of the zone's tables, once.

A landing is a fixed range of the journal. Its lines are written to a file, the file is ingested
as any other delivery, and only then is the range forgotten: a landing that is killed anywhere is
done again with the same bytes, which ingestion knows as the same delivery.
"""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Final

from pipelines.ingesting import Ingestion, ingest_delivery, read_delivery
from pipelines.intake.door.journal import JOURNAL_FILE, Journal, journal_folder
from pipelines.stores import open_stores
from pipelines.stores.atomic import locked, storage_errors, sweep, write_file

AT_ONCE: Final = 500_000  # events a landing; bounds its memory


def waiting_events(root: Path) -> int:
    """Return how many events wait in the journal of the zone under *root*; 0 without a journal."""
    folder = journal_folder(root)
    if not (folder / JOURNAL_FILE).is_file():
        return 0
    with closing(Journal(folder)) as journal:
        return journal.waiting()


def land_events(
    root: Path, *, now: datetime, by: str, at_once: int = AT_ONCE
) -> Iterator[Ingestion]:
    """Land what waits in the journal of the zone under *root*; yield what became of each part.

    Rows that break the contract are quarantined with their reason, as those of a file are.

    Args:
        root: the zone.
        now: the moment of admission, with a time zone.
        by: who lands, for the history.
        at_once: events a part at most.

    Raises:
        SensitivityError: the journal states no label, or another than the zone's events.
        FlywheelError: the disk refuses; what was not landed still waits.
    """
    folder = journal_folder(root)
    if not (folder / JOURNAL_FILE).is_file():
        return
    with locked(folder / ".landing", exclusive=True), closing(Journal(folder)) as journal:
        _clear(folder)
        while (landing := journal.open_landing(events=at_once)) is not None:
            file = folder / f"landing-{landing.number}.jsonl"
            with storage_errors("the landing"):
                write_file(file, b"".join(journal.lines(landing)), partial=_partial(folder))
            yield ingest_delivery(
                open_stores(root), read_delivery(file), label=journal.label(), now=now, by=by,
                step=lambda _: None,
            )  # fmt: skip
            journal.close_landing(landing)
            file.unlink()


def _clear(folder: Path) -> None:
    """Remove what killed landings wrote: the journal holds what has not landed."""
    sweep(_partial(folder))
    for left in folder.glob("landing-*.jsonl"):
        left.unlink()


def _partial(folder: Path) -> Path:
    partial = folder / ".partial"
    partial.mkdir(mode=0o700, exist_ok=True)
    return partial
