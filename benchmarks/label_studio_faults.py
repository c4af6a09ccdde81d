"""Claim: whatever breaks between us and Label Studio, the table equals a fresh full sync.

    python -m benchmarks.label_studio_faults --out benchmarks/results/label_studio_faults.json

A real server with three annotators. Every fault is done to questions of its own, then one more
sync runs, and the accepted rows are held against those of somebody who reads the whole server
anew with the same record of assignments. Answers are simulated and go through the server, each by
its own account. There is no webhook to lose: a wake-up is a sync that begins, so a duplicate one
is two syncs, a late one a sync after the next change, a lost one no sync until the next poll.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from annotation.client import LabelStudioClient, ServerAway
from annotation.server import read_or_make_secrets, server_status
from benchmarks.label_studio_rates import environment, fresh_rows, quiet
from pipelines.labelling import polling
from pipelines.labelling import push as pushing
from pipelines.labelling.ledger import ASSIGNMENTS, open_ledger
from pipelines.labelling.planning import plan_assignments
from pipelines.labelling.push import push_assignments
from pipelines.labelling.service import bring_up, client_of, free_port, server_folder, take_down
from pipelines.labelling.sync import annotations_of, quarantined_of, sync_answers
from pipelines.stores.catalogue_tables import transaction

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/annotation/label_studio"))
from answering import answer, assignments, questions, signed_in, verdict
from killing import killed_at_every_step

PEOPLE = ("ann-1", "ann-2", "ann-3")
SMALL_PAGE = 5  # tasks a request while a fault is done: every list has several pages


@dataclass
class Broken:
    """One zone with a real server, and what is done to it."""

    root: Path
    tasks: int
    desks: dict[str, LabelStudioClient] = field(default_factory=dict)
    turns: int = 0

    @property
    def ledger(self) -> sa.Engine:
        return open_ledger(self.root)

    @property
    def lead(self) -> LabelStudioClient:
        return client_of(self.root)

    def plan(self) -> str:
        """Plan questions of a turn of their own."""
        self.turns += 1
        turn = f"fault-{self.turns}"
        asked = questions("text", self.tasks, start=100_000 * self.turns)
        plan_assignments(self.ledger, turn, asked, overlap=1)
        return turn

    def pushed(self) -> Sequence[Any]:
        """Return assignments that stand on the server."""
        turn = self.plan()
        push_assignments(self.root, self.lead)
        return assignments(self.ledger, turn)

    def answered(self) -> tuple[Sequence[Any], list[int]]:
        """Return assignments and the numbers of their answers, not yet read."""
        rows = self.pushed()
        return rows, [self.answer(row) for row in rows]

    def answer(self, row: Any, said: str = "left") -> int:
        return int(answer(self.desks[row.annotator_id], row.server_task, verdict(said)))

    def change(self, row: Any, number: int) -> None:
        self.desks[row.annotator_id].request(
            "PATCH", f"api/annotations/{number}/", json={"result": verdict("right")}
        )

    def sync(self) -> None:
        sync_answers(self.root, self.lead)


def away_after(broken: Broken, requests: int, work: Callable[[], object]) -> int:
    """Run *work* with a server that is gone after so many requests; return how often it failed."""
    real = LabelStudioClient.request
    left = iter([True] * requests)

    def request(self: LabelStudioClient, method: str, path: str, **more: Any) -> Any:
        if next(left, False):
            return real(self, method, path, **more)
        raise ServerAway("the server is away")

    LabelStudioClient.request = request  # type: ignore[method-assign]
    try:
        work()
    except ServerAway:
        return 1
    finally:
        LabelStudioClient.request = real  # type: ignore[method-assign]
    return 0


def down_in_push(broken: Broken) -> dict[str, Any]:
    turn = broken.plan()
    work = lambda: push_assignments(broken.root, broken.lead)  # noqa: E731
    failed = sum(away_after(broken, step, work) for step in range(1, 6))
    work()
    rows = assignments(broken.ledger, turn)
    for row in rows:
        broken.answer(row)
    return {"failed": failed, "sent_once": len({row.server_task for row in rows}) == len(rows)}


def down_in_pull(broken: Broken) -> dict[str, Any]:
    broken.answered()
    return {"failed": sum(away_after(broken, step, broken.sync) for step in range(1, 8))}


def duplicate_wakes(broken: Broken) -> dict[str, Any]:
    broken.answered()
    broken.sync()
    broken.sync()
    return {}


def late_wake(broken: Broken) -> dict[str, Any]:
    rows, made = broken.answered()
    broken.change(rows[0], made[0])
    broken.lead.request("DELETE", f"api/annotations/{made[1]}/")
    broken.sync()
    return {}


def lost_wake(broken: Broken) -> dict[str, Any]:
    rows, made = broken.answered()
    broken.sync()
    broken.change(rows[0], made[0])  # nobody is told
    broken.answered()
    return {}


def task_deleted(broken: Broken) -> dict[str, Any]:
    rows, _ = broken.answered()
    broken.sync()
    for row in rows[:3]:
        broken.lead.request("DELETE", f"api/tasks/{row.server_task}/")
    return {"deleted": len(rows[:3])}


def changed_after_sync(broken: Broken) -> dict[str, Any]:
    rows, made = broken.answered()
    broken.sync()
    for row, number in zip(rows[:5], made[:5], strict=True):
        broken.change(row, number)
    broken.lead.request("DELETE", f"api/annotations/{made[5]}/")
    return {"changed": 5, "deleted": 1}


def garbage(broken: Broken) -> dict[str, Any]:
    rows = broken.pushed()
    before = sum(quarantined_of(broken.ledger).values())
    for row in rows:
        result = [{"from_name": "overall", "value": "left"}]
        answer(broken.desks[row.annotator_id], row.server_task, result)
    broken.sync()
    return {"quarantined": sum(quarantined_of(broken.ledger).values()) - before}


def forged(broken: Broken) -> dict[str, Any]:
    rows = broken.pushed()
    before = annotations_of(broken.ledger).num_rows
    for row in rows:
        answer(broken.lead, row.server_task, verdict(), completed_by=row.user_id)
    broken.sync()
    return {"believed": annotations_of(broken.ledger).num_rows - before}


def two_syncs(broken: Broken) -> dict[str, Any]:
    rows, _ = broken.answered()
    with ThreadPoolExecutor(2) as both:
        done = list(both.map(lambda _: sync_answers(broken.root, broken.lead), range(2)))
    return {"read_once": sum(each.accepted for each in done) == len(rows)}


def killed_push(broken: Broken) -> dict[str, Any]:
    turn = broken.plan()
    deaths = killed_at_every_step(broken.root, "push", last=8)
    push_assignments(broken.root, broken.lead)
    rows = assignments(broken.ledger, turn)
    for row in rows:
        broken.answer(row)
    return {"deaths": deaths, "sent_once": len({row.server_task for row in rows}) == len(rows)}


def killed_pull(broken: Broken) -> dict[str, Any]:
    broken.answered()
    return {"deaths": killed_at_every_step(broken.root, "sync", last=12)}


def lost_record(broken: Broken) -> dict[str, Any]:
    """As if a push had died between sending and recording, and another had sent all again."""
    rows, _ = broken.answered()
    for row in rows[:3]:
        broken.lead.request(
            "POST", f"api/projects/{row.project_id}/import", json=[{"data": row.data}]
        )
    with transaction(broken.ledger) as connection:
        connection.execute(
            sa.update(ASSIGNMENTS)
            .where(ASSIGNMENTS.c.assignment_id.in_([row.assignment_id for row in rows[:3]]))
            .values(server_task=None)
        )
    push_assignments(broken.root, broken.lead)
    return {}


FAULTS: dict[str, Callable[[Broken], dict[str, Any]]] = {
    "server down in the middle of push": down_in_push,
    "server down in the middle of pull": down_in_pull,
    "duplicate webhook": duplicate_wakes,
    "late webhook": late_wake,
    "lost webhook": lost_wake,
    "task deleted by hand": task_deleted,
    "annotation changed after sync": changed_after_sync,
    "garbage result accepted by the server": garbage,
    "forged completed_by": forged,
    "two syncs at once": two_syncs,
    "kill -9 at every step of push": killed_push,
    "kill -9 at every step of pull": killed_pull,
    "record of a push lost": lost_record,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Do every fault, print, and write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", type=int, default=24, help="of each fault; at least 6")
    parser.add_argument("--fault", action="append", choices=list(FAULTS), help="only this one")
    parser.add_argument("--out", type=Path)
    told = parser.parse_args(arguments)
    if told.tasks < 6:
        parser.error("--tasks must be at least 6")
    # Whoever stops this stops the server with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        broken = Broken(root=root, tasks=told.tasks)
        try:
            bring_up(
                root, PEOPLE, ["pair_text"], port=free_port(), url=None, bars=quiet, outlives=False
            )
            broken.desks = _signed_in(root)
            # Small pages, so that every list that breaks has a middle.
            pushing.CHUNK = polling.PAGE = polling.LISTED = SMALL_PAGE  # type: ignore[misc]
            results = [_held(broken, name) for name in told.fault or FAULTS]
        finally:
            take_down(root)
    whole = {
        "claim": (__doc__ or "").splitlines()[0],
        "holds": all(each["equal"] for each in results),
        "tasks_a_fault": told.tasks,
        "faults": results,
        "environment": environment(),
    }
    print(f"{sum(each['equal'] for each in results)} of {len(results)} equal a fresh full sync")
    if told.out:
        told.out.write_text(json.dumps(whole, indent=1, sort_keys=True) + "\n")


def _held(broken: Broken, name: str) -> dict[str, Any]:
    begin = time.perf_counter()
    seen = FAULTS[name](broken)
    broken.sync()
    table = annotations_of(broken.ledger)
    equal = fresh_rows(broken.root, broken.lead).equals(table)
    found = {"fault": name, "equal": equal, "rows": table.num_rows,
             "seconds": round(time.perf_counter() - begin, 2), **seen}  # fmt: skip
    print(f"{'equal' if equal else 'DIFFERS':8} {name} {seen or ''}", flush=True)
    return found


def _signed_in(root: Path) -> dict[str, LabelStudioClient]:
    folder = server_folder(root)
    url = server_status(folder).url
    assert url is not None
    known = read_or_make_secrets(folder).passwords
    return {
        address.split("@")[0]: signed_in(url, address, password)
        for address, password in known.items()
    }


if __name__ == "__main__":
    main()
