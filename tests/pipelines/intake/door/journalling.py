"""A process that journals random batches until it is killed, and says what was acknowledged.

Forked, not started: a round then costs milliseconds, and the kill may fall into opening the
journal, into a commit, a checkpoint or between them.
"""

import os
import random
import select
import signal
import time
from contextlib import closing

from door_events import event, ids_of, written

from pipelines.intake.door import Journal
from pipelines.intake.door.event_batch import read_array
from pipelines.intake.door.journal import journal_entry


def killed_round(folder, *, seed, longest):
    """Journal in a child, kill it after a random time, return the ids that it acknowledged."""
    chance = random.Random(seed)
    # Compiled before the fork: else most kills would find a process that still gets ready.
    read_array(written([event(0)]), tenant_id="acme", most=1)
    heard, said = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(heard)
            _journal_until_killed(folder, said, random.Random(seed), seed)
        finally:
            os._exit(1)
    os.close(said)
    if seed % 2:  # the others may die while they open
        select.select([heard], [], [], 60)
    time.sleep(chance.uniform(0, longest))
    os.kill(child, signal.SIGKILL)
    with os.fdopen(heard, "rb") as lines:
        told = lines.read()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the child ended by itself"
    whole, _, _ = told.rpartition(b"\n")  # a line that was cut off acknowledges nothing
    return whole.decode().split()


def held_ids(folder):
    """Return the ids in the journal's lines, the ids it knows, and SQLite's own verdict."""
    with closing(Journal(folder)) as journal:
        base = journal._base
        lines = [lines for (lines,) in base.execute("SELECT lines FROM parts ORDER BY part")]
        known = [event_id for (event_id,) in base.execute("SELECT event_id FROM known")]
        [[verdict]] = base.execute("PRAGMA integrity_check")
    return ids_of(lines), known, verdict


def _journal_until_killed(folder, said, chance, seed):
    journal = Journal(folder)
    number = 0
    while True:
        entries = []
        for _ in range(chance.randint(1, 6)):
            numbers = [number + n for n in range(chance.randint(1, 40))]
            # Some are repeated, within the request's round or from before.
            repeated = [chance.randint(0, number) for _ in range(chance.randint(0, 3))]
            number = numbers[-1] + 1
            rows = [event(n, event_id=f"ev_{seed}_{n}") for n in [*numbers, *repeated]]
            batch = read_array(written(rows), tenant_id="acme", most=1000)
            entries.append(journal_entry(batch, received_at="2026-01-01T00:00:00.000000Z"))
        journal.append(entries)
        ids = [event_id for entry in entries for event_id in entry.batch.digests]
        content = (" ".join(ids) + "\n").encode()
        while content:
            content = content[os.write(said, content) :]
