"""Claim: nothing that was acknowledged is lost and nothing comes twice, whenever the process dies.

    python -m benchmarks.door_kill --rounds 1000 --http 50 --out benchmarks/results/door_kill.json

Journal rounds: a forked process journals random batches, some of them repeated, until SIGKILL
comes at a random moment; one journal lives through all rounds. HTTP rounds: a door in a process of
its own, six senders, SIGKILL at a random moment, the same door again. At the end: acknowledged is
a subset of stored, stored has no duplicates, every event that is known has its line, and SQLite
finds its file sound. A kill leaves what was written in the operating system's hands, so this shows
the order of commit and acknowledgement; that a commit waits for the disk is synchronous=FULL.
"""

import argparse
import json
import os
import random
import select
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.door_rate import environment, event
from data_contracts.errors import FlywheelError
from data_contracts.labels import GENERAL
from pipelines.intake.door import AccessBook, Journal, journal_folder
from pipelines.intake.door.client import DoorClient, DoorRefused
from pipelines.intake.door.event_batch import read_array
from pipelines.intake.door.journal import journal_entry

SENDERS = 6
_AT = "2026-01-01T00:00:00.000000Z"


def main(arguments: Sequence[str] | None = None) -> None:
    """Kill, look, print, and write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--http", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where to write")
    parser.add_argument("--out", type=Path)
    told = parser.parse_args(arguments)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=told.folder) as folder:
        report = {
            "claim": "door_kill",
            "seed": told.seed,
            "environment": environment() | {"load_average_1min": round(load, 2)},
            "journal": journal_rounds(Path(folder) / "journal", told.rounds, told.seed),
            "http": http_rounds(Path(folder), told.http, told.seed),
        }
    text = json.dumps(report, indent=1) + "\n"
    print(text, end="")
    if told.out is not None:
        told.out.write_text(text, "utf-8")


def journal_rounds(folder: Path, rounds: int, seed: int) -> dict[str, Any]:
    """Kill a process that journals, *rounds* times over one journal."""
    acknowledged: set[str] = set()
    fruitful = 0
    # Compiled once, before the forks: else most kills would find a process that still gets ready.
    read_array(json.dumps([event(0)]).encode(), tenant_id="acme", most=1)
    for number in range(rounds):
        found = killed_round(folder, f"{seed}_{number}", random.Random(f"{seed}/{number}"))
        fruitful += bool(found)
        acknowledged |= set(found)
        if number % 100 == 99:
            print(f"journal: {number + 1} kills", file=sys.stderr)
    return {"kills": rounds, "kills_after_an_acknowledgement": fruitful} | verdict(
        folder, acknowledged
    )


def killed_round(folder: Path, name: str, chance: random.Random) -> list[str]:
    """Journal in a child until it is killed; return the ids that it acknowledged."""
    heard, said = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(heard)
            journal_until_killed(folder, said, name, chance)
        finally:
            os._exit(1)
    os.close(said)
    if random.Random(f"early/{name}").random() < 0.9:  # the others may die while they open
        select.select([heard], [], [], 60)
    time.sleep(random.Random(f"moment/{name}").uniform(0, 0.1))
    os.kill(child, signal.SIGKILL)
    with os.fdopen(heard, "rb") as lines:
        whole, _, _ = lines.read().rpartition(b"\n")  # a line that was cut off acknowledges nothing
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the child ended by itself"
    return whole.decode().split()


def journal_until_killed(folder: Path, said: int, name: str, chance: random.Random) -> None:
    """Journal groups of random requests, some events of which are repeated, without end."""
    journal = Journal(folder)
    number = 0
    while True:
        entries = []
        for _ in range(chance.randint(1, 6)):
            fresh = [number + n for n in range(chance.randint(1, 40))]
            repeated = [chance.randint(0, number) for _ in range(chance.choice((0, 0, 1, 3)))]
            number = fresh[-1] + 1
            rows = [event(n) | {"event_id": f"ev_{name}_{n}"} for n in (*fresh, *repeated)]
            batch = read_array(json.dumps(rows).encode(), tenant_id="acme", most=1000)
            entries.append(journal_entry(batch, received_at=_AT))
        journal.append(entries)
        ids = [event_id for entry in entries for event_id in entry.batch.digests]
        content = (" ".join(ids) + "\n").encode()
        while content:
            content = content[os.write(said, content) :]


def http_rounds(root: Path, rounds: int, seed: int) -> dict[str, Any]:
    """Kill a door under load, *rounds* times over one zone."""
    with closing(AccessBook(root / "door")) as book:
        book.place("acme", ["campaign-7"], zone=root / "zone", label=GENERAL)
        _, key = book.issue("acme", at=datetime(2026, 1, 1, tzinfo=UTC))
    acknowledged: list[str] = []
    fruitful = 0
    for number in range(rounds):
        before = len(acknowledged)
        door = opened_door(root / "door")
        assert door.stdout is not None
        address = door.stdout.readline().strip()
        with ThreadPoolExecutor(SENDERS) as pool:
            senders = [
                pool.submit(send_until_gone, address, key, f"{number}_{n}", acknowledged)
                for n in range(SENDERS)
            ]
            time.sleep(random.Random(f"{seed}/http/{number}").uniform(0.02, 0.8))
            door.send_signal(signal.SIGKILL)
            door.wait()
            for each in senders:
                each.result()
        door.stdout.close()
        fruitful += len(acknowledged) > before
        print(f"http: {number + 1} kills, {len(acknowledged)} acknowledged", file=sys.stderr)
    return {"kills": rounds, "kills_after_an_acknowledgement": fruitful} | verdict(
        journal_folder(root / "zone"), set(acknowledged)
    )


def opened_door(folder: Path) -> "subprocess.Popen[str]":
    """Start a door that prints its address once it is open."""
    command = (
        "import sys; from pathlib import Path; "
        "from pipelines.intake.door.serving import open_door; "
        "open_door(Path(sys.argv[1]), host='127.0.0.1', port=0, "
        "ready=lambda address: print(address, flush=True))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", command, str(folder)], stdout=subprocess.PIPE, text=True
    )


def send_until_gone(address: str, key: str, name: str, acknowledged: list[str]) -> None:
    """Send batches and note what was acknowledged, until the door is gone."""
    number = 0
    with DoorClient(address, key, patience=0.0) as client:
        while True:
            ids = [f"ev_{name}_{number + n}" for n in range(25)]
            try:
                client.send(event(0) | {"event_id": each} for each in ids)
            except DoorRefused:
                raise
            except FlywheelError:
                return
            acknowledged.extend(ids)
            number += 25


def verdict(folder: Path, acknowledged: set[str]) -> dict[str, Any]:
    """Compare what was acknowledged with what the journal in *folder* holds."""
    with closing(sqlite3.connect(folder / "journal.sqlite")) as base:
        parts = base.execute("SELECT lines FROM parts").fetchall()
        known = {event_id for (event_id,) in base.execute("SELECT event_id FROM known")}
        [[sound]] = base.execute("PRAGMA integrity_check")
    stored = [json.loads(line)["event_id"] for (lines,) in parts for line in lines.splitlines()]
    found = {
        "acknowledged": len(acknowledged),
        "stored": len(stored),
        "acknowledged_and_lost": len(acknowledged - set(stored)),
        "stored_twice": len(stored) - len(set(stored)),
        "known_without_a_line": len(known ^ set(stored)),
        "integrity_check": sound,
    }
    broken = ("acknowledged_and_lost", "stored_twice", "known_without_a_line")
    assert sound == "ok", found
    assert not any(found[each] for each in broken), found
    return found


if __name__ == "__main__":
    main()
