"""Claim: the door keeps at least half as many events a second as SQLite alone can on this machine.

    python -m benchmarks.door_rate --out benchmarks/results/door_rate.json

SQLite alone: one table, one row an event, primary key (tenant, event id), WAL, synchronous=FULL,
prepared rows in this process, one commit every 100 events, and again one every 1,600. The door:
a process of its own; senders in another process post batches of 100 events, and again of 500,
over loopback and wait for each acknowledgement. The journal alone, without HTTP, is measured beside
them, and so are what an `fsync` costs here and how busy the machine was. Rounds alternate between
the arms, and a share is the median over rounds of the ratio within a round, with its quartiles: on
a machine that others use, a rate moves more between rounds than between arms. Read the processor
time an event as well.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from data_contracts.labels import GENERAL
from pipelines.intake.door import AccessBook, Journal, journal_folder
from pipelines.intake.door.event_batch import read_array
from pipelines.intake.door.journal import Entry, journal_entry

BATCH = 100
SENDERS = 16
_AT = "2026-01-01T00:00:00.000000Z"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=100_000, help="of one round and arm")
    parser.add_argument("--folder", type=Path, help="where to write; its disk is what is measured")
    parser.add_argument("--out", type=Path)
    told = parser.parse_args(arguments)
    arms = ("sqlite_100", "sqlite_1600", "journal_100", "journal_1600", "door_100", "door_500")
    rows: dict[str, list[float]] = {each: [] for each in arms}
    work: dict[str, list[float]] = {each: [] for each in arms}

    def note(arm: str, measured: "Measured") -> None:
        rows[arm].append(told.events / measured.seconds)
        work[arm].append(measured.cpu_seconds / told.events * 1e6)

    latencies: dict[int, list[float]] = {BATCH: [], 5 * BATCH: []}
    load = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory(dir=told.folder) as folder:
        root = Path(folder)
        synced = fsync_seconds(root)
        for number in range(told.rounds):
            entries = [entry_of(body) for body in written_bodies(told.events, number, BATCH)]
            for group in (1, 16):
                name = f"{BATCH * group}"
                note(f"sqlite_{name}", plain(root / f"p{number}_{name}", entries, group))
                note(f"journal_{name}", journal(root / f"j{number}_{name}", entries, group))
            for batch in (BATCH, 5 * BATCH):
                bodies = written_bodies(told.events, number, batch)
                measured, waits = door(root / f"d{number}_{batch}", bodies, told.events)
                note(f"door_{batch}", measured)
                latencies[batch] += waits
            load.append(os.getloadavg()[0])
            print({name: round(each[-1]) for name, each in rows.items()}, file=sys.stderr)
    medians = {name: statistics.median(each) for name, each in rows.items()}
    report = {
        "claim": "door_rate",
        "environment": environment() | {"load_average_1min": [round(each, 2) for each in load],
                                        "fsync_ms": round(synced * 1000, 3)},
        "conditions": {
            "events_a_round": told.events, "rounds": told.rounds, "senders": SENDERS,
            "event_bytes": len(written_bodies(BATCH, 0, BATCH)[0]) // BATCH,
        },
        "events_per_second": {
            name: {"median": round(medians[name]), "rounds": [round(r) for r in each]}
            for name, each in rows.items()
        },
        "cpu_microseconds_an_event": {
            name: round(statistics.median(each), 2) for name, each in work.items()
        },
        "acknowledgement_ms": {
            f"door_{batch}": {
                "median": round(statistics.median(waits) * 1000, 1),
                "p99": round(statistics.quantiles(waits, n=100)[-1] * 1000, 1),
            }
            for batch, waits in latencies.items()
        },
        "share": {
            f"{arm}_of_{ceiling}": within_rounds(rows[arm], rows[ceiling])
            for arm in ("door_100", "door_500")
            for ceiling in ("sqlite_100", "sqlite_1600", "journal_1600")
        },
    }  # fmt: skip
    text = json.dumps(report, indent=1) + "\n"
    print(text, end="")
    if told.out is not None:
        told.out.write_text(text, "utf-8")


def within_rounds(arm: Sequence[float], ceiling: Sequence[float]) -> dict[str, float]:
    """Return median and quartiles of the ratio of two arms, round by round."""
    shares = [one / other for one, other in zip(arm, ceiling, strict=True)]
    low, median, high = statistics.quantiles(shares, n=4) if len(shares) > 1 else shares * 3
    return {"low": round(low, 2), "median": round(median, 2), "high": round(high, 2)}


def written_bodies(events: int, number: int, batch: int) -> list[bytes]:
    """Return request bodies of *batch* events each, no event twice."""
    return [
        json.dumps(
            [event(number * 10**9 + n) for n in range(start, start + batch)], separators=(",", ":")
        ).encode()
        for start in range(0, events, batch)
    ]


def event(number: int) -> dict[str, object]:
    """Return one event of ordinary size."""
    return {
        "event_id": f"ev_{number:016x}",
        "project_id": "campaign-7",
        "user_id": f"u_{number % 5000:06d}",
        "session_id": f"s_{number // 40:010d}",
        "turn": number % 7,
        "kind": "impression",
        "generation_id": f"gen_{number // 3:012d}",
        "surface": "grid",
        "position": number % 4,
        "propensity": 0.25,
        "occurred_at": "2026-01-01T00:00:00.123Z",
    }


def entry_of(body: bytes) -> Entry:
    """Return *body* as the door journals it."""
    return journal_entry(read_array(body, tenant_id="acme", most=BATCH), received_at=_AT)


class Measured(NamedTuple):
    """What one arm took for one round."""

    seconds: float  # by the clock, which counts the waiting for cores and disk that others use
    cpu_seconds: float  # of the process that keeps the events, which does not


def plain(folder: Path, entries: Sequence[Entry], group: int) -> Measured:
    """Measure SQLite alone, *group* batches a commit."""
    folder.mkdir()
    prepared = [
        [("acme", key, line) for key, line in zip(e.batch.digests, e.batch.lines, strict=True)]
        for e in entries
    ]
    with closing(sqlite3.connect(folder / "plain.sqlite", isolation_level=None)) as base:
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("PRAGMA synchronous=FULL")
        base.execute(
            "CREATE TABLE events (tenant_id TEXT, event_id TEXT, body BLOB, "
            "PRIMARY KEY (tenant_id, event_id)) WITHOUT ROWID"
        )

        def commit(rows: list[list[tuple[str, str, bytes]]]) -> None:
            base.execute("BEGIN IMMEDIATE")
            for each in rows:
                base.executemany("INSERT INTO events VALUES (?, ?, ?)", each)
            base.execute("COMMIT")

        return in_groups(prepared, group, commit)


def journal(folder: Path, entries: Sequence[Entry], group: int) -> Measured:
    """Measure the journal without HTTP, *group* batches a commit."""
    with closing(Journal(folder)) as opened:
        return in_groups(entries, group, opened.append)


def in_groups(parts: Sequence[Any], group: int, commit: Callable[[list[Any]], object]) -> Measured:
    """Measure committing *parts*, *group* at a time."""
    started, worked = time.perf_counter(), time.process_time()
    for place in range(0, len(parts), group):
        commit(list(parts[place : place + group]))
    return Measured(time.perf_counter() - started, time.process_time() - worked)


def door(root: Path, bodies: Sequence[bytes], events: int) -> tuple[Measured, list[float]]:
    """Measure the door over HTTP; beside it, how long each acknowledgement took, in seconds."""
    root.mkdir()
    with closing(AccessBook(root / "door")) as book:
        book.place("acme", ["campaign-7"], zone=root / "zone", label=GENERAL)
        _, key = book.issue("acme", at=datetime(2026, 1, 1, tzinfo=UTC))
    with served(root / "door") as (process, port):
        context = multiprocessing.get_context("spawn")
        with context.Pool(1) as pool:
            # The senders' process has started and read its modules before the clock runs.
            pool.apply(time.sleep, (0,))
            before = sum(process.cpu_times()[:2])
            seconds, waits = pool.apply(send_all, (port, key, list(bodies)))
            worked = sum(process.cpu_times()[:2]) - before
    with closing(Journal(journal_folder(root / "zone"))) as opened:
        assert opened.waiting() == events, "the door lost or doubled events"
    return Measured(seconds, worked), waits


@contextmanager
def served(folder: Path) -> Iterator[tuple[psutil.Process, int]]:
    """Open a door in a process of its own; yields it and its port."""
    command = (
        "import sys; from pathlib import Path; "
        "from pipelines.intake.door.serving import open_door; "
        "open_door(Path(sys.argv[1]), host='127.0.0.1', port=0, "
        "ready=lambda address: print(address, flush=True))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", command, str(folder)], stdout=subprocess.PIPE, text=True
    ) as opened:
        assert opened.stdout is not None
        try:
            port = int(opened.stdout.readline().rpartition(":")[2])
            yield psutil.Process(opened.pid), port
        finally:
            opened.terminate()


def send_all(port: int, key: str, bodies: list[bytes]) -> tuple[float, list[float]]:
    """Post *bodies* over SENDERS connections; return the seconds in all and for each."""
    head = (
        f"POST /v1/events HTTP/1.1\r\nhost: door\r\nauthorization: Bearer {key}\r\n"
        "content-type: application/json\r\ncontent-length: "
    ).encode()
    requests = [head + b"%d\r\n\r\n" % len(body) + body for body in bodies]
    waits: list[float] = []

    async def sender(mine: list[bytes]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in mine:
            begun = time.perf_counter()
            writer.write(request)
            told = await reader.readuntil(b"\r\n\r\n")
            length = int(told.lower().partition(b"content-length:")[2].partition(b"\r")[0])
            await reader.readexactly(length)
            assert told.startswith(b"HTTP/1.1 202"), told[:40]
            waits.append(time.perf_counter() - begun)
        writer.close()

    async def everybody() -> float:
        started = time.perf_counter()
        await asyncio.gather(*(sender(requests[n::SENDERS]) for n in range(SENDERS)))
        return time.perf_counter() - started

    return asyncio.run(everybody()), waits


def fsync_seconds(root: Path) -> float:
    """Return the median time of writing 4 kB and waiting for the disk."""
    times = []
    with (root / "synced").open("wb", buffering=0) as file:
        for _ in range(200):
            started = time.perf_counter()
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
            times.append(time.perf_counter() - started)
    return statistics.median(times)


def environment() -> dict[str, Any]:
    """Return what a reader needs to judge the rates."""
    named = ("fastapi", "starlette", "uvicorn", "uvloop", "httptools", "msgspec")
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "sqlite": sqlite3.sqlite_version,
        "versions": {name: version(name) for name in named},
    }


if __name__ == "__main__":
    main()
