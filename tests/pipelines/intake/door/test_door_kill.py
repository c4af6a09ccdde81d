"""Nothing that was acknowledged is lost, and nothing comes twice, whenever the process dies.

`benchmarks/door_kill.py` does the same a thousand times, and fifty over HTTP.
"""

import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from door_events import event, written
from door_places import served
from journalling import held_ids, killed_round

from data_contracts.errors import FlywheelError
from pipelines.intake.door import Journal, journal_folder
from pipelines.intake.door.client import DoorClient, DoorRefused
from pipelines.stores import open_stores


def test_a_killed_journal_holds_all_that_was_acknowledged_once(tmp_path):
    rounds = [killed_round(tmp_path / "door", seed=seed, longest=0.1) for seed in range(25)]
    acknowledged = {event_id for ids in rounds for event_id in ids}
    held, known, verdict = held_ids(tmp_path / "door")
    assert acknowledged, "no round lived long enough to acknowledge anything"
    assert acknowledged <= set(held)
    assert len(held) == len(set(held))
    assert sorted(held) == sorted(known)
    assert verdict == "ok"


def test_the_journal_waits_for_the_disk_at_every_commit(tmp_path):
    """A kill cannot show this: what a process wrote survives it, synced or not."""
    with closing(Journal(tmp_path / "door")) as journal:
        told = [journal._base.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("journal_mode", "synchronous", "secure_delete")]  # fmt: skip
    assert told == ["wal", 2, 1]


def send_until_refused(address, key, worker, acknowledged):
    """Send batches and note what was acknowledged, until the door is gone."""
    number = 0
    with DoorClient(address, key, patience=0.0) as client:
        while True:
            ids = [f"ev_{worker}_{number + n}" for n in range(20)]
            try:
                client.send(event(0, event_id=each) for each in ids)
            except DoorRefused:
                raise
            except FlywheelError:
                return
            acknowledged.extend(ids)
            number += 20


def test_a_killed_door_holds_all_that_it_acknowledged_over_http(place):
    acknowledged = []
    for seed in range(2):
        door = served(place)
        address = door.stdout.readline().strip()
        with ThreadPoolExecutor(3) as pool:
            senders = [
                pool.submit(send_until_refused, address, place.key, f"{seed}_{n}", acknowledged)
                for n in range(3)
            ]
            time.sleep(random.Random(seed).uniform(0.1, 0.6))
            door.send_signal(signal.SIGKILL)
            door.wait()
            door.stdout.close()
            for each in senders:
                each.result()
    held, known, verdict = held_ids(journal_folder(place.zone))
    assert acknowledged
    assert set(acknowledged) <= set(held)
    assert len(held) == len(set(held))
    assert sorted(held) == sorted(known)
    assert verdict == "ok"


def test_a_door_that_is_asked_to_stop_answers_what_it_has_taken(place):
    door = served(place)
    address = door.stdout.readline().strip()
    acknowledged = []
    with ThreadPoolExecutor(1) as pool:
        sender = pool.submit(send_until_refused, address, place.key, "w", acknowledged)
        time.sleep(0.3)
        door.send_signal(signal.SIGTERM)
        sender.result()
        assert door.wait(20) == -signal.SIGTERM
    door.stdout.close()
    held, _, _ = held_ids(journal_folder(place.zone))
    assert set(acknowledged) <= set(held)


@pytest.mark.parametrize(
    "moment", ["Journal.lines", "landing.ingest_delivery", "AppendTables.append",
               "Journal.close_landing", "Path.unlink"],
)  # fmt: skip
def test_a_landing_that_is_killed_is_completed_by_the_next(place, moment):
    """Killed just before *moment*; then everything lands once, the bad row in quarantine."""
    with place.open() as client:
        rows = [event(n) for n in range(30)] + [event(30, kind="impression")]
        for start in range(0, 31, 5):
            assert client.post("/v1/events", content=written(rows[start : start + 5])).is_success
    killing = f"""
import os, signal
from datetime import UTC, datetime
from pathlib import Path
from pipelines import landing
from pipelines.intake.door.journal import Journal
from pipelines.stores.append import AppendTables
owner, name = {moment!r}.split(".")
def kill(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
setattr(globals()[owner], name, kill)
list(landing.land_events(Path({str(place.zone)!r}), now=datetime.now(UTC), by="me", at_once=12))
"""
    code = subprocess.run([sys.executable, "-c", killing], check=False).returncode
    assert code == -signal.SIGKILL
    land = [sys.executable, "-m", "pipelines.cli", "land", "--root", str(place.zone)]
    subprocess.run(land, check=True, capture_output=True, env=os.environ)
    tables = open_stores(place.zone).append
    assert sorted(tables.read("events")["event_id"].to_pylist()) == sorted(
        f"ev_{n}" for n in range(30)
    )
    assert tables.read("quarantined_events")["reason"].to_pylist() == ["required_when(position)"]
    with closing(Journal(journal_folder(place.zone))) as journal:
        assert journal.waiting() == 0
        assert journal.known() == 31
    assert not list(journal_folder(place.zone).glob("landing-*"))
