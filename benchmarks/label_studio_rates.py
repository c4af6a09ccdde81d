"""Claim: tasks are pushed at 1,500 a second; 5,000 answered ones are read within 40 s, 50 in 3 s.

    python -m benchmarks.label_studio_rates --out benchmarks/results/label_studio_rates.json

A real server on this machine. Push: planned assignments of text pairs, five annotators. Full
sync: as many tasks imported with a finished answer each, read into an empty ledger and held to be
all accepted. Changes: 50 answers changed through the API by their own accounts, then one sync,
while answers come in as people give them: the last one was read before, and the import is older
than the twenty seconds that each sync looks back. The same right after the import, when that
look back lists every task of it, stands beside it under the same bar. Beside the seconds that pass
stand those that the processors of sync and server worked: on an idle machine the two are alike,
and on a busy one they say what was not waiting for others.
Imports leave no trace of who sent an answer, which the sync rightly refuses to believe; so the
benchmark writes the sender into the server's own database before it reads. The answers are
programs', not people's.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import sqlalchemy as sa

from annotation.client import LabelStudioClient
from annotation.server import personal_token, read_or_make_secrets, server_status
from pipelines.labelling.ledger import (
    ANNOTATORS,
    ANSWERS,
    ASSIGNMENTS,
    PROJECTS,
    open_ledger,
    projects_of,
)
from pipelines.labelling.planning import Question, Shown, plan_assignments
from pipelines.labelling.push import push_assignments, record_arrivals, waiting_of
from pipelines.labelling.service import bring_up, client_of, free_port, server_folder, take_down
from pipelines.labelling.sync import annotations_of, sync_answers
from pipelines.stores.catalogue_tables import transaction

PEOPLE = tuple(f"ann-{n}" for n in range(1, 6))
BARS = {"push_tasks_per_s": 1500.0, "full_sync_s": 40.0, "changes_s": 3.0}
CHANGES = 50
LOOK_BACK_S = 21.0  # a little more than a sync looks back
CHUNK = 1000


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", type=int, default=5000)
    parser.add_argument("--out", type=Path)
    told = parser.parse_args(arguments)
    # Whoever stops this stops the server with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        try:
            bring_up(
                root, PEOPLE, ["pair_text"], port=free_port(), url=None, bars=quiet, outlives=False
            )
            measured = _measured(root, told.tasks)
        finally:
            take_down(root)
    whole = {
        "claim": (__doc__ or "").splitlines()[0],
        "tasks": told.tasks,
        "bars": BARS,
        "measured": measured,
        "met": {
            "push_tasks_per_s": measured["push_tasks_per_s"] >= BARS["push_tasks_per_s"],
            "full_sync_s": measured["full_sync_s"] <= BARS["full_sync_s"],
            "changes_s": measured["changes_s"] <= BARS["changes_s"],
            "changes_after_import_s": measured["changes_after_import_s"] <= BARS["changes_s"],
        },
        "environment": environment(),
    }
    print(json.dumps({name: whole[name] for name in ("tasks", "measured", "met")}, indent=1))
    if told.out:
        told.out.write_text(json.dumps(whole, indent=1, sort_keys=True) + "\n")


def quiet(_title: str) -> Callable[[int, int], None]:
    """Return a bar that shows nothing."""
    return lambda _done, _total: None


def fresh_rows(root: Path, client: LabelStudioClient) -> pa.Table:
    """Return the rows that somebody gets who reads everything with the same record of tasks."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        shutil.copytree(root / "labelling", copy / "labelling")
        ledger = open_ledger(copy)
        with transaction(ledger) as connection:
            connection.execute(sa.delete(ANSWERS))
            connection.execute(sa.update(PROJECTS).values(read_to=None))
        sync_answers(copy, client)
        return annotations_of(ledger)


def environment() -> dict[str, Any]:
    """Describe where the figures were taken, and how busy it was."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "load": [round(each, 2) for each in psutil.getloadavg()],
        "versions": {name: version(name) for name in ("label-studio-sdk", "sqlalchemy", "pyarrow")},
    }


def _measured(root: Path, tasks: int) -> dict[str, float]:
    ledger, lead = open_ledger(root), client_of(root)
    plan_assignments(ledger, "pushed", _questions(tasks, "p"), overlap=1)
    begin = time.perf_counter()
    sent = push_assignments(root, lead)
    push_s = time.perf_counter() - begin
    assert sent == tasks, f"{sent} of {tasks} tasks were sent"
    _import_answered(root, lead, tasks)
    begin = time.perf_counter()
    first = sync_answers(root, lead)
    full_s = time.perf_counter() - begin
    assert (first.accepted, first.quarantined) == (tasks, 0), f"{first} of {tasks} answers"
    desks = _desks(root)
    after_import_s, after_import_cpu_s = _changed_s(
        root, lead, desks, min(CHANGES, tasks), said="right"
    )
    time.sleep(LOOK_BACK_S)
    _changed_s(root, lead, desks, 1, said="both_bad")
    changes_s, changes_cpu_s = _changed_s(root, lead, desks, min(CHANGES, tasks), said="left")
    begin = time.perf_counter()
    sync_answers(root, lead)
    return {
        "push_tasks_per_s": round(tasks / push_s, 1),
        "full_sync_s": round(full_s, 2),
        "changes_s": round(changes_s, 2),
        "changes_cpu_s": round(changes_cpu_s, 2),
        "changes_after_import_s": round(after_import_s, 2),
        "changes_after_import_cpu_s": round(after_import_cpu_s, 2),
        "idle_sync_s": round(time.perf_counter() - begin, 2),
    }


def _questions(count: int, name: str) -> list[Question]:
    def shown(n: int, side: str) -> Shown:
        return Shown(generation_id=f"g_{name}_{n}_{side}", modality="text",
                     text=f"answer {n} by {side}, a sentence of the usual length")  # fmt: skip

    return [
        Question(
            task_id=f"task_{name}_{n}",
            prompt=f"prompt number {n}",
            first=shown(n, "x"),
            other=shown(n, "y"),
        )
        for n in range(count)
    ]


def _import_answered(root: Path, lead: LabelStudioClient, tasks: int) -> None:
    """Import assignments with a finished answer each, as if their annotators had given it."""
    ledger = open_ledger(root)
    plan_assignments(ledger, "answered", _questions(tasks, "a"), overlap=1)
    result = [{"id": "c", "from_name": "overall", "to_name": "left", "type": "choices",
               "origin": "manual", "value": {"choices": ["left_much"]}}]  # fmt: skip
    for project in projects_of(ledger):
        waiting = waiting_of(ledger, project.project_id)
        for start in range(0, len(waiting), CHUNK):
            chunk = waiting[start : start + CHUNK]
            finished = {"result": result, "completed_by": project.user_id, "lead_time": 4.5}
            answer = lead.request(
                "POST",
                f"api/projects/{project.project_id}/import",
                params={"return_task_ids": "true"},
                json=[{"data": each.data, "annotations": [finished]} for each in chunk],
            )
            record_arrivals(ledger, [each.assignment_id for each in chunk], answer)
    [database] = server_folder(root).rglob("label_studio.sqlite3")
    with closing(sqlite3.connect(database, timeout=60)) as server, server:
        server.execute("UPDATE task_completion SET updated_by_id = completed_by_id")


def _desks(root: Path) -> dict[str, LabelStudioClient]:
    """Let every annotator sign in, once: the server gives an account one token at a time."""
    folder = server_folder(root)
    url = server_status(folder).url
    assert url is not None
    passwords = read_or_make_secrets(folder).passwords
    with transaction(open_ledger(root), writes=False) as connection:
        addresses = connection.execute(sa.select(ANNOTATORS.c.address)).scalars().all()
    return {
        address: LabelStudioClient(url, personal_token(url, address, passwords[address]))
        for address in addresses
    }


def _changed_s(
    root: Path,
    lead: LabelStudioClient,
    desks: Mapping[str, LabelStudioClient],
    count: int,
    *,
    said: str,
) -> tuple[float, float]:
    """Change so many answers and read them; return the seconds that passed and were worked."""
    changed = _change(root, desks, count, said)
    begin, worked = time.perf_counter(), _worked_s(root)
    more = sync_answers(root, lead)
    seconds, worked = time.perf_counter() - begin, _worked_s(root) - worked
    assert more.accepted == changed, f"{more} after {changed} changes"
    return seconds, worked


def _worked_s(root: Path) -> float:
    """Return the seconds that processors worked for the server and for us."""
    server = psutil.Process(server_status(server_folder(root)).pid).cpu_times()
    return float(server.user + server.system + time.process_time())


def _change(root: Path, desks: Mapping[str, LabelStudioClient], count: int, said: str) -> int:
    """Change so many answers, each through the API by its own account; return how many."""
    query = (
        sa.select(ANSWERS.c.server_annotation, ANNOTATORS.c.address)
        .join(ASSIGNMENTS, ASSIGNMENTS.c.server_task == ANSWERS.c.server_task)
        .join(ANNOTATORS, ANNOTATORS.c.annotator_id == ASSIGNMENTS.c.annotator_id)
        .order_by(ASSIGNMENTS.c.assignment_id)
        .limit(count)
    )
    with transaction(open_ledger(root), writes=False) as connection:
        rows = connection.execute(query).all()
    result = [{"id": "c", "from_name": "overall", "to_name": "left", "type": "choices",
               "origin": "manual", "value": {"choices": [said]}}]  # fmt: skip
    for row in rows:
        desks[row.address].request(
            "PATCH", f"api/annotations/{row.server_annotation}/", json={"result": result}
        )
    return len(rows)


if __name__ == "__main__":
    main()
