"""Admission: received = accepted + quarantined, one reason a row, whatever comes in."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.contract import load_contract
from data_contracts.errors import ContractError
from data_contracts.schemas import EVENT
from pipelines.intake.admission import QUARANTINE, admit_events
from pipelines.intake.raw_events import RAW_EVENT
from pipelines.stores.enforcer import refuse

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
EARLIER = NOW - timedelta(hours=1)


def event(**changes: Any) -> dict[str, Any]:
    return {
        "event_id": "ev_1",
        "tenant_id": "t_1",
        "project_id": "p_1",
        "user_id": "u_1",
        "session_id": "s_1",
        "turn": 0,
        "kind": "impression",
        "generation_id": "g_1",
        "surface": "grid",
        "position": 0,
        "occurred_at": EARLIER,
        "received_at": EARLIER,
        "_row": 0,
        "_source": "d1",
    } | changes


def raw(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=RAW_EVENT)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": "vibe"}, "in_set(kind)"),
        ({"occurred_at": NOW + timedelta(days=2)}, "not_after(occurred_at)"),
        ({"received_at": NOW + timedelta(days=2)}, "not_after(received_at)"),
        ({"position": None}, "required_when(position)"),
        ({"user_id": None}, "not_null(user_id)"),
        ({"user_id": None, "kind": "vibe"}, "not_null(user_id)"),
        ({"_refusal": "bad_type(turn)", "turn": None}, "bad_type(turn)"),
        ({"_refusal": "unparsable"}, "unparsable"),
    ],
)
def test_each_bad_row_has_one_reason(changes: dict[str, Any], reason: str) -> None:
    admission = admit_events(raw(event(event_id="ev_0"), event(_row=1, **changes)), now=NOW)
    assert admission.accepted.column("event_id").to_pylist() == ["ev_0"]
    assert admission.quarantined.to_pylist() == [
        {"row": 1, "event_id": "ev_1", "reason": reason, "source": "d1"}
    ]
    assert admission.reasons() == {reason: 1}


def test_the_same_event_sent_again_is_a_duplicate_and_the_first_receipt_stays() -> None:
    again = event(received_at=EARLIER + timedelta(seconds=9), _row=1)
    admission = admit_events(raw(again, event()), now=NOW)
    assert admission.accepted.column("received_at").to_pylist() == [EARLIER]
    assert admission.quarantined.to_pylist() == [
        {"row": 1, "event_id": "ev_1", "reason": "duplicate", "source": "d1"}
    ]


def test_the_same_id_with_another_body_is_a_conflict() -> None:
    other = event(kind="like", received_at=EARLIER + timedelta(seconds=9), _row=1)
    third = event(received_at=EARLIER + timedelta(seconds=10), _row=2)
    admission = admit_events(raw(event(), other, third), now=NOW)
    assert admission.accepted.column("kind").to_pylist() == ["impression"]
    assert admission.quarantined.column("reason").to_pylist() == ["conflicting_id", "duplicate"]


def test_copies_agree_where_both_are_null() -> None:
    admission = admit_events(raw(event(value=None), event(value=None, _row=1)), now=NOW)
    assert admission.reasons() == {"duplicate": 1}


def test_an_id_belongs_to_its_tenant() -> None:
    admission = admit_events(raw(event(), event(tenant_id="t_2")), now=NOW)
    assert len(admission.accepted) == 2


def test_a_known_event_stays_and_the_same_delivery_may_come_twice() -> None:
    delivery = raw(event(), event(event_id="ev_2", _row=1))
    first = admit_events(delivery, now=NOW)
    again = admit_events(delivery, now=NOW, known=first.accepted)
    assert len(again.accepted) == 0
    assert again.reasons() == {"duplicate": 2}
    before = EARLIER - timedelta(hours=2)
    rival = event(kind="like", occurred_at=before, received_at=before)
    other = admit_events(raw(rival, event(event_id="ev_3")), now=NOW, known=first.accepted)
    assert other.reasons() == {"conflicting_id": 1}
    assert other.accepted.column("event_id").to_pylist() == ["ev_3"]


def test_a_refused_copy_does_not_shadow_a_good_one() -> None:
    earlier = EARLIER - timedelta(hours=1)
    refused = event(kind="vibe", occurred_at=earlier, received_at=earlier)
    admission = admit_events(raw(refused, event(_row=1)), now=NOW)
    assert admission.accepted.column("kind").to_pylist() == ["impression"]
    assert admission.reasons() == {"in_set(kind)": 1}


def test_the_quarantine_never_holds_content() -> None:
    secret = "our unannounced car"
    admission = admit_events(raw(event(event_id=secret, kind=secret)), now=NOW)
    assert "car" not in str(admission.quarantined.to_pylist())
    assert admission.quarantined.column("event_id").to_pylist() == [None]


def test_events_that_never_were_in_a_file_need_no_bookkeeping() -> None:
    table = raw(event(), event(event_id="ev_2", kind="vibe")).select(EVENT.names)
    admission = admit_events(table, now=NOW)
    assert admission.accepted.schema == EVENT
    assert admission.quarantined.to_pylist() == [
        {"row": 1, "event_id": "ev_2", "reason": "in_set(kind)", "source": None}
    ]


def test_no_rows_are_admitted_as_no_rows() -> None:
    admission = admit_events(RAW_EVENT.empty_table(), now=NOW)
    assert (len(admission.accepted), len(admission.quarantined), admission.received) == (0, 0, 0)
    assert admission.quarantined.schema == QUARANTINE


def test_a_missing_column_refuses_the_delivery() -> None:
    with pytest.raises(ContractError, match="column kind missing"):
        admit_events(raw(event()).drop_columns(["kind"]), now=NOW)


deliveries = st.lists(
    st.builds(
        event,
        event_id=st.sampled_from(["ev_1", "ev_2", "ev_3", None, "not plain"]),
        tenant_id=st.sampled_from(["t_1", "t_2"]),
        kind=st.sampled_from(["impression", "like", "vibe"]),
        value=st.sampled_from([None, 1.0, float("nan")]),
        received_at=st.sampled_from([EARLIER, EARLIER + timedelta(seconds=1), NOW]),
        _refusal=st.sampled_from([None, None, None, "unparsable"]),
    ),
    max_size=25,
)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(deliveries, st.randoms(use_true_random=False))
def test_every_row_is_accounted_for_in_any_order(
    delivery: list[dict[str, Any]], shuffler: Any
) -> None:
    numbered = [row | {"_row": place} for place, row in enumerate(delivery)]
    admission = admit_events(raw(*numbered), now=NOW)
    assert admission.received == len(delivery)
    assert len(admission.accepted) + len(admission.quarantined) == len(delivery)
    refuse(admission.accepted, load_contract("event"), now=NOW)
    shuffler.shuffle(numbered)
    other = admit_events(raw(*numbered), now=NOW)
    order = [("event_id", "ascending"), ("tenant_id", "ascending")]
    assert other.accepted.sort_by(order).equals(admission.accepted.sort_by(order))
    assert other.reasons() == admission.reasons()


def test_a_large_delivery_of_copies_is_quick() -> None:
    """Ten thousand copies of one event: quadratic work would take minutes."""
    rows = 10_000
    table = raw(event()).take(np.zeros(rows, dtype=np.int64))
    admission = admit_events(table, now=NOW)
    assert admission.reasons() == {"duplicate": rows - 1}
