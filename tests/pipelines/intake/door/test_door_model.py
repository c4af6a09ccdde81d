"""The door against a model of it: a dictionary of events by id."""

import shutil
import tempfile
from collections import Counter
from pathlib import Path

from door_events import event, ids_of, written
from door_places import make_place
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

# Odd ids: quotes, backslashes and paths that a careless statement would read as its own.
IDS = st.sampled_from(["a", "b", 'q"', "b\\", "'", "$.a", "[0]", "a.b", "*", "{}", "%", "e" * 128])
BATCHES = st.lists(st.tuples(IDS, st.integers(0, 1)), max_size=6)


class DoorModel(RuleBasedStateMachine):
    """Requests, restarts and landings in any order."""

    @initialize()
    def make(self):
        self.root = Path(tempfile.mkdtemp())
        self.place = make_place(self.root)
        self.kept = {}
        self.landed = []
        self._opened = self.place.open()
        self.client = self._opened.__enter__()

    @rule(batch=BATCHES)
    def send(self, batch):
        answer = self.client.post(
            "/v1/events", content=written([event(0, event_id=i, turn=t) for i, t in batch])
        )
        wanted = dict(reversed(batch))
        clash = {i for i, t in batch if wanted[i] != t or self.kept.get(i, t) != t}
        if clash:
            assert answer.status_code == 409
            assert set(answer.json()["conflicting_ids"]) <= clash
        else:
            fresh = set(wanted) - set(self.kept)
            told = {"accepted": len(fresh), "known": len(batch) - len(fresh)}
            assert (answer.status_code, answer.json()) == (202, told)
            self.kept |= wanted

    @rule()
    def restart(self):
        self._opened.__exit__(None, None, None)
        self._opened = self.place.open()
        self.client = self._opened.__enter__()

    @rule(events=st.integers(1, 8), killed=st.booleans())
    def land(self, events, killed):
        with self.place.journal() as journal:
            landing = journal.open_landing(events=events)
            if landing is None:
                return
            lines = list(journal.lines(landing))
            assert journal.open_landing(events=1) == landing
            if not killed:
                journal.close_landing(landing)
                self.landed += ids_of(lines)

    @invariant()
    def what_is_kept_waits_or_has_landed_once(self):
        with self.place.journal() as journal:
            waiting = [lines for (lines,) in journal._base.execute("SELECT lines FROM parts")]
            assert journal.known() == len(self.kept)
            assert journal.waiting() == len(ids_of(waiting))
        assert Counter(ids_of(waiting) + self.landed) == Counter(list(self.kept))

    def teardown(self):
        if hasattr(self, "_opened"):
            self._opened.__exit__(None, None, None)
            shutil.rmtree(self.root)


TestDoorModel = DoorModel.TestCase
TestDoorModel.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
