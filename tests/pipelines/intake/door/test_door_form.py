"""The form of an event at the door says what the contract says, on both ways through it."""

import json
from datetime import UTC, datetime

import pytest
from door_events import event, written
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data_contracts.schemas import EVENT
from data_contracts.vocabulary import EVENT_KINDS, SURFACES
from pipelines.intake import admit_events, read_events
from pipelines.intake.door import event_batch
from pipelines.intake.door.event_batch import decode_each, raw_parts, read_array, write_batch
from pipelines.intake.door.event_refusals import RefusedEvents

PLAIN = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=12)
ODD = st.sampled_from(
    ["", " ", "two words", "ü", "\n", "ev\n", "\\", 'q"', "\x7f", "\x00", "e" * 129]
)
NUMBERS = st.sampled_from([None, 0, 1, -1, 0.5, 1.0, 2**31, 1e9, 2e9, True, "1", [], {}])
ROWS = st.fixed_dictionaries(
    {},
    optional={
        "event_id": PLAIN | ODD,
        "user_id": PLAIN | ODD,
        "kind": st.sampled_from([*EVENT_KINDS, "applaud", None]),
        "surface": st.sampled_from([*SURFACES, ""]),
        "turn": NUMBERS,
        "position": NUMBERS,
        "propensity": NUMBERS,
        "value": NUMBERS,
        "occurred_at": st.sampled_from(
            ["2026-01-01T00:00:00Z", "2026-01-01T03:00:00+03:00", "2026-01-01 00:00:00", "soon", 5]
        ),
    },
)


def outcome(read):
    """Return what was written, or where it was refused and why."""
    try:
        batch = read()
    except RefusedEvents as refused:
        return [(each.index, each.reason) for each in refused.refused]
    return batch


@settings(max_examples=300, deadline=None)
@given(st.lists(ROWS, max_size=4))
@example([{"event_id": "\\n"}])
def test_both_ways_write_the_same_bytes_or_refuse_for_the_same_reasons(changes):
    content = written([event(n, **each) for n, each in enumerate(changes)])

    def exactly():
        return write_batch(decode_each(raw_parts(content, most=9)), tenant_id="acme")

    assert outcome(lambda: read_array(content, tenant_id="acme", most=9)) == outcome(exactly)


def test_the_quick_way_is_the_one_that_ordinary_events_take(monkeypatch):
    monkeypatch.setattr(event_batch, "decode_each", None)
    assert len(read_array(written([event(1)]), tenant_id="acme", most=9).lines) == 1


@settings(max_examples=50, deadline=None)
@given(ROWS)
def test_the_door_refuses_nothing_that_a_file_would_bring_in(tmp_path_factory, changes):
    """And it keeps what it takes as the file would: so no rule is a copy that drifted."""
    row = event(1, **changes)
    file = tmp_path_factory.mktemp("rows") / "e.jsonl"
    told = {"tenant_id": "acme", "received_at": "2026-01-01T00:00:01Z"}
    file.write_text(json.dumps(row | told) + "\n")
    now = datetime(2026, 1, 2, tzinfo=UTC)
    from_file = admit_events(read_events(file), now=now).accepted
    found = outcome(lambda: read_array(written([row]), tenant_id="acme", most=9))
    if isinstance(found, list):
        assert from_file.num_rows == 0
        return
    file.write_bytes(found.lines[0][:-1] + b',"received_at":"2026-01-01T00:00:01Z"}\n')
    assert admit_events(read_events(file), now=now).accepted.equals(from_file)


@pytest.mark.parametrize("name", EVENT.names)
def test_every_column_of_the_contract_is_kept(name):
    whole = event(1, position=1, propensity=0.5, value=0.5)
    [line] = read_array(written([whole]), tenant_id="acme", most=9).lines
    assert name == "received_at" or name in json.loads(line)
