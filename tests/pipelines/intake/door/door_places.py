"""Doors in this process, each with one tenant and its key."""

import subprocess
import sys
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from starlette.testclient import TestClient

from data_contracts.labels import GENERAL
from pipelines.intake.door import AccessBook, DoorLimits, Journal, build_app, journal_folder


class Place(NamedTuple):
    """Where a door's book and its zone lie, and a key that opens it."""

    folder: Path
    zone: Path
    key: str

    @contextmanager
    def open(self, **limits):
        with TestClient(build_app(self.folder, limits=DoorLimits(**limits))) as client:
            client.headers["authorization"] = f"Bearer {self.key}"
            client.headers["content-type"] = "application/json"
            yield client

    def journal(self):
        return closing(Journal(journal_folder(self.zone)))


def make_place(root):
    folder, zone = root / "door", root / "zone"
    with closing(AccessBook(folder)) as book:
        book.place("acme", ["campaign-7"], zone=zone, label=GENERAL)
        _, key = book.issue("acme", at=datetime(2026, 1, 1, tzinfo=UTC))
    return Place(folder, zone, key)


def served(place):
    """Open the place's door in a process of its own, which prints its address first.

    It starts with SIGTERM's default action: one that this process had ignored would be inherited,
    and uvicorn, which ends by the signal that stopped it, would end with 0 instead.
    """
    command = [sys.executable, "-c", f"""
import signal
signal.signal(signal.SIGTERM, signal.SIG_DFL)
from pathlib import Path
from pipelines.intake.door.serving import open_door
open_door(Path({str(place.folder)!r}), host="127.0.0.1", port=0,
          ready=lambda address: print(address, flush=True))
"""]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
