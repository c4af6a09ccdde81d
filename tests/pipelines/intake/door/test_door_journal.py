"""The journal keeps the same, whoever is committed together with whom."""

import tempfile
from contextlib import closing
from pathlib import Path

from door_events import event, ids_of, written
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.intake.door import Journal
from pipelines.intake.door.event_batch import read_array
from pipelines.intake.door.journal import journal_entry

REQUESTS = st.lists(
    st.tuples(
        st.sampled_from(["acme", "globex"]),
        st.lists(st.tuples(st.integers(0, 12), st.integers(0, 1)), max_size=4),
    ),
    max_size=6,
)


def entries_of(requests):
    return [
        journal_entry(
            read_array(written([event(n, turn=t) for n, t in rows]), tenant_id=tenant, most=9),
            received_at="2026-01-01T00:00:00.000000Z",
        )
        for tenant, rows in requests
    ]


def held(journal):
    landing = journal.open_landing(events=1000)
    return [] if landing is None else list(journal.lines(landing))


@settings(max_examples=150, deadline=None)
@given(st.lists(REQUESTS, max_size=3))
def test_a_group_is_kept_as_its_requests_one_after_another_would_be(groups):
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Journal(Path(folder) / "a" / "door")) as together,
        closing(Journal(Path(folder) / "b" / "door")) as alone,
    ):
        for requests in groups:
            entries = entries_of(requests)
            outcomes = [alone.append([entry])[0] for entry in entries]
            assert together.append(entries) == outcomes
        assert together.known() == alone.known()
        assert together.waiting() == alone.waiting()
        assert b"".join(held(together)) == b"".join(held(alone))
        assert together.known() == len(ids_of(held(together)))


def test_a_group_that_nothing_is_known_of_lies_in_one_part(tmp_path):
    with closing(Journal(tmp_path / "door")) as journal:
        journal.append(entries_of([("acme", [(1, 0)]), ("acme", [(2, 0)]), ("globex", [(1, 1)])]))
        assert len(held(journal)) == 1
        assert ids_of(held(journal)) == ["ev_1", "ev_2", "ev_1"]
