from collections import Counter, defaultdict
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from data_contracts.contract import load_contract
from data_contracts.schemas import EVENT
from pipelines.intake import admit_events
from pipelines.stores.enforcer import find_violations
from pipelines.world.event_log import visits_to_events
from pipelines.world.users import (
    ACTIONS,
    GRID_SIZE,
    Shown,
    Visits,
    draw_population,
    simulate_visits,
)

START = datetime(2026, 1, 5, tzinfo=UTC)
LATER = datetime(2026, 2, 1, tzinfo=UTC)
KINDS = ("impression", *ACTIONS, "regenerate")


def visits(sessions: int = 600) -> Visits:
    rng = np.random.default_rng(0)
    population = draw_population(80, mocker_share=0.2, bot_share=0.05, rng=rng)
    n = 10 * 2 * GRID_SIZE
    shown = Shown(
        overall=rng.uniform(20, 100, n),
        night=rng.random(n) < 0.5,
        grids=np.arange(n).reshape(10, 2, GRID_SIZE),
    )
    return simulate_visits(population, shown, sessions=sessions, mockery=0.5, rng=rng)


def events_of(seen: Visits, *, seed: int = 1, batch: str = "b") -> pa.Table:
    return visits_to_events(
        seen,
        generation_ids=np.array([f"g{k}" for k in range(80)]),
        tenant_id="t",
        project_id="p",
        batch=batch,
        start=START,
        rng=np.random.default_rng(seed),
    )


@pytest.fixture(scope="module")
def events() -> pa.Table:
    return events_of(visits())


def nobody() -> Visits:
    none, never = np.empty(0, np.int64), np.empty(0, bool)
    return Visits(
        user=none, session=none, turn=none, generation=none, position=none, mocks=never,
        examined=never, acts=dict.fromkeys(ACTIONS, never), kept=np.empty(0), regenerated=never,
    )  # fmt: skip


def test_one_visit_is_written_down_event_by_event():
    """One user, one place, edited and asked again: an impression and two reactions."""
    one = np.zeros(1, np.int64)
    yes, no = np.ones(1, bool), np.zeros(1, bool)
    seen = Visits(
        user=one + 7, session=one, turn=one, generation=one + 3, position=one + 2, mocks=no,
        examined=yes, acts={k: yes if k == "edit" else no for k in ACTIONS},
        kept=np.array([0.25]), regenerated=yes,
    )  # fmt: skip
    rows = events_of(seen).to_pylist()
    told = [(r["kind"], r["user_id"], r["generation_id"], r["position"], r["value"]) for r in rows]
    assert told == [
        ("impression", "u00007", "g3", 2, None),
        ("edit", "u00007", "g3", None, 0.25),
        ("regenerate", "u00007", "g3", None, None),
    ]


def test_the_same_seed_writes_the_same_events(events):
    assert events.equals(events_of(visits()))
    assert not events.equals(events_of(visits(), seed=2))


def test_every_event_is_admitted(events):
    admission = admit_events(events, now=LATER)
    assert admission.accepted.num_rows == admission.received == events.num_rows
    assert events.schema.equals(EVENT)


def test_no_event_breaks_the_contract(events):
    assert find_violations(events, load_contract("event"), now=LATER).num_rows == 0


def test_what_happened_is_written_down_once(events):
    seen = visits()
    expected = {kind: int(acted.sum()) for kind, acted in seen.acts.items()}
    expected |= {"impression": len(seen.user), "regenerate": int(seen.regenerated.sum())}
    assert Counter(events["kind"].to_pylist()) == +Counter(expected)
    assert len(set(events["event_id"].to_pylist())) == events.num_rows


def test_ids_of_two_batches_never_meet(events):
    other = events_of(visits(), batch="c")
    for column in ("event_id", "session_id"):
        ours, theirs = (set(t[column].to_pylist()) for t in (events, other))
        assert not ours & theirs


def test_events_come_in_order_of_time(events):
    times = events["occurred_at"].cast(pa.int64()).to_numpy()
    assert (np.diff(times) >= 0).all()
    assert pc.min(events["occurred_at"]).as_py() >= START
    assert pc.all(pc.less_equal(events["occurred_at"], events["received_at"])).as_py()


def test_every_reaction_follows_its_impression(events):
    shown: set[tuple[object, ...]] = set()
    for e in events.to_pylist():
        key = (e["session_id"], e["turn"], e["user_id"], e["generation_id"])
        assert e["kind"] == "impression" or key in shown
        shown |= {key} if e["kind"] == "impression" else set()
    assert len(shown) == len(visits().user)


def test_the_second_grid_comes_after_all_of_the_first(events):
    first: dict[str, list[datetime]] = defaultdict(list)
    second: dict[str, list[datetime]] = defaultdict(list)
    for e in events.to_pylist():
        (first, second)[e["turn"]][e["session_id"]].append(e["occurred_at"])
    assert len(second) > 50
    assert all(max(first[session]) < min(times) for session, times in second.items())


def test_only_what_has_a_value_carries_one(events):
    by_kind = {kind: events.filter(pc.equal(events["kind"], kind)) for kind in KINDS}
    for kind, rows in by_kind.items():
        filled = rows.num_rows - rows["value"].null_count
        assert filled == (rows.num_rows if kind in ("edit", "dwell") else 0), kind
        placed = rows.num_rows - rows["position"].null_count
        assert placed == (rows.num_rows if kind == "impression" else 0), kind


def test_no_visits_are_no_events():
    assert events_of(nobody()).equals(EVENT.empty_table())
