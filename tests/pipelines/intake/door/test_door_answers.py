"""What the door answers, and that nothing it refuses leaves a trace."""

import io
import json
import logging
import sqlite3

import pytest
from door_events import envelope, event, ids_of, written
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.intake.door import journal as journal_module
from pipelines.intake.door.nesting import nesting

SECRET = "a_very_secret_campaign_slogan"


def post(client, rows, **headers):
    content = rows if isinstance(rows, bytes) else written(rows)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/v1/events", content=content, headers=named)


def kept_ids(place):
    with place.journal() as journal:
        landing = journal.open_landing(events=10**6)
        return [] if landing is None else ids_of(journal.lines(landing))


def test_an_acknowledged_batch_is_in_the_journal_with_tenant_and_time_of_receipt(place, client):
    answer = post(client, [event(1), event(2, received_at="1999-01-01T00:00:00Z")])
    assert (answer.status_code, answer.json()) == (202, {"accepted": 2, "known": 0})
    with place.journal() as journal:
        lines = b"".join(journal.lines(journal.open_landing(events=10))).splitlines()
    stored = [json.loads(line) for line in lines]
    assert [each["tenant_id"] for each in stored] == ["acme", "acme"]
    assert all(each["received_at"] > "2026" for each in stored)


def test_the_same_event_again_is_known_whatever_its_spelling(place, client):
    post(client, event(1, position=None))
    spelled = event(1, occurred_at="2026-01-01T02:00:00+02:00", tenant_id="acme", turn=0.0)
    answer = post(client, [dict(reversed(spelled.items())), spelled])
    assert answer.json() == {"accepted": 0, "known": 2}
    assert kept_ids(place) == ["ev_1"]


def test_the_same_id_with_another_body_is_409_and_keeps_nothing_of_its_request(place, client):
    post(client, event(1))
    answer = post(client, [event(2), event(1, turn=1), event(3)])
    assert answer.status_code == 409
    assert answer.json()["conflicting_ids"] == ["ev_1"]
    assert kept_ids(place) == ["ev_1"]


def test_one_request_that_gives_an_id_to_two_events_is_409(place, client):
    answer = post(client, [event(1), event(1, turn=1)])
    assert answer.status_code == 409
    assert kept_ids(place) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": "applaud"}, "bad_value(kind)"),
        ({"turn": "soon"}, "bad_type(turn)"),
        ({"turn": 1.5}, "bad_type(turn)"),
        ({"turn": -1}, "bad_value(turn)"),
        ({"turn": 2**31}, "bad_value(turn)"),
        ({"propensity": 0}, "bad_value(propensity)"),
        ({"event_id": "ev_1\n"}, "bad_value(event_id)"),
        ({"event_id": "e" * 129}, "bad_value(event_id)"),
        ({"occurred_at": "yesterday"}, "bad_value(occurred_at)"),
        ({"occurred_at": "0001-01-01T00:00:00+10:00"}, "bad_value(occurred_at)"),
        ({"prompt": SECRET}, "unknown_column"),
        ({"tenant_id": "globex"}, "other_tenant(tenant_id)"),
        ({"user_id": {"name": SECRET}}, "bad_type(user_id)"),
    ],
)
def test_a_bad_event_is_422_under_its_place_and_keeps_nothing_of_its_request(
    place, client, changes, reason
):
    answer = post(client, [event(7), event(8, **changes)])
    assert answer.status_code == 422
    [refused] = answer.json()["refused"]
    assert (refused["index"], refused["reason"]) == (1, reason)
    assert SECRET not in answer.text
    assert kept_ids(place) == []


def test_every_bad_event_is_named_up_to_twenty_and_then_counted(client):
    answer = post(client, [event(n, kind="applaud") for n in range(30)]).json()
    assert [each["event_id"] for each in answer["refused"]] == [f"ev_{n}" for n in range(20)]
    assert answer["refused_events"] == 30


def test_a_missing_column_is_named(client):
    row = {name: value for name, value in event(1).items() if name != "kind"}
    assert post(client, row).json()["refused"][0]["reason"] == "not_null(kind)"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": ""}, 401),
        ({"authorization": "Bearer fwk_000000000000_wrong"}, 401),
        ({"authorization": "Basic YTpi"}, 401),
        ({"content_type": "text/plain"}, 415),
        ({"content_type": "application/json; charset=latin-1"}, 415),
        ({"content_encoding": "gzip"}, 415),
    ],
)
def test_headers_are_judged_before_the_body(place, client, headers, status):
    assert post(client, [event(1)], **headers).status_code == status
    assert kept_ids(place) == []


def test_a_project_that_nobody_placed_is_403(place, client):
    assert post(client, [event(1), event(2, project_id="other")]).status_code == 403
    assert kept_ids(place) == []


@pytest.mark.parametrize(
    "content", [b"", b"nul", b"{", b"[1,2", b"\xff", b'{"event_id":"\xff"}', b"[] []", b"[" * 10**6]
)
def test_what_is_not_json_is_422(client, content):
    assert post(client, content).status_code == 422


def test_an_empty_batch_is_fine(client):
    assert post(client, []).json() == {"accepted": 0, "known": 0}


def test_the_three_modes_of_cloud_events_say_the_same_as_a_plain_event(place, client):
    post(client, event(1))
    structured = post(client, envelope(1, subject="s", traceparent="00-ab"),
                      content_type="application/cloudevents+json")  # fmt: skip
    batched = post(client, [envelope(1), envelope(2)],
                   content_type="application/cloudevents-batch+json")  # fmt: skip
    binary = post(client, envelope(1)["data"], ce_specversion="1.0", ce_id="ev_1", ce_source="/e",
                  ce_type="t", ce_time="2026-01-01T00:00:00Z")  # fmt: skip
    assert [each.status_code for each in (structured, batched, binary)] == [202, 202, 202]
    assert kept_ids(place) == ["ev_1", "ev_2"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"specversion": "0.3"}, "bad_value(specversion)"),
        ({"id": "two words"}, "bad_value(id)"),
        ({"source": ""}, "bad_value(source)"),
        ({"time": None}, "not_null(occurred_at)"),
        ({"data": {**envelope(1)["data"], "event_id": "ev_9"}}, "other_in_envelope(event_id)"),
        ({"data": {**envelope(1)["data"], "kind": SECRET}}, "bad_value(kind)"),
        ({"data": SECRET}, "bad_type"),
    ],
)
def test_a_bad_envelope_is_422_under_its_place(client, changes, reason):
    answer = post(client, [envelope(0), envelope(1, **changes)],
                  content_type="application/cloudevents-batch+json")  # fmt: skip
    assert answer.status_code == 422
    assert [(each["index"], each["reason"]) for each in answer.json()["refused"]] == [(1, reason)]
    assert SECRET not in answer.text


@settings(max_examples=60, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(padding=st.integers(-3, 3), chunked=st.booleans())
def test_the_size_cap_is_exact_stated_or_not(place, padding, chunked):
    content = written([event(1)])
    with place.open(body_bytes=len(content) + 10) as client:
        sent = content + b" " * (10 + padding)
        answer = client.post("/v1/events", content=io.BytesIO(sent) if chunked else sent)
    assert answer.status_code == (413 if padding > 0 else 202)


@settings(max_examples=40, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(more=st.integers(-2, 2), mode=st.sampled_from(["json", "cloudevents-batch+json"]))
def test_the_cap_on_events_is_exact_in_every_mode(place, more, mode):
    rows = [envelope(n) if "cloud" in mode else event(n) for n in range(5 + more)]
    with place.open(batch_events=5) as client:
        answer = post(client, rows, content_type=f"application/{mode}")
    assert answer.status_code == (413 if more > 0 else 202)


@settings(max_examples=60, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(depth=st.integers(1, 40), bracket=st.sampled_from(["[]", "{}"]))
def test_a_body_that_nests_too_deep_is_422_and_says_so(client, depth, bracket):
    opening = bracket[0] if bracket == "[]" else '{"a":'
    value = opening * (depth - 1) + bracket + bracket[1] * (depth - 1)
    content = f'{{"specversion":"1.0","x":{value}}}'.encode()
    answer = post(client, content, content_type="application/cloudevents+json")
    assert answer.status_code == 422
    assert ("deeper" in answer.json()["error"]) == (depth + 1 > 8)


@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_nesting_counts_as_a_parser_descends(value):
    def depth(each):
        if isinstance(each, dict):
            return 1 + max(map(depth, each.values()), default=0)
        return 1 + max(map(depth, each), default=0) if isinstance(each, list) else 0

    assert nesting(json.dumps(value).encode()) == depth(value)
    assert nesting(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")) == depth(value)


def test_a_disk_that_refuses_is_503_and_nothing_is_acknowledged(place, client, monkeypatch):
    def full(*_):
        raise sqlite3.OperationalError(f"database or disk is full {SECRET}")

    monkeypatch.setattr(journal_module.Journal, "append", full)
    answer = post(client, event(1))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    monkeypatch.undo()
    assert post(client, event(1)).json() == {"accepted": 1, "known": 0}


def test_a_defect_answers_500_without_the_text_of_its_error(client, monkeypatch, caplog):
    def broken(*_, **__):
        raise RuntimeError(SECRET)

    monkeypatch.setattr("pipelines.intake.door.app.read_one", broken)
    with caplog.at_level(logging.DEBUG):
        answer = post(client, event(1))
    assert answer.status_code == 500
    assert SECRET not in answer.text + caplog.text
    assert "RuntimeError" in caplog.text


def test_answers_and_logs_hold_no_content_of_what_was_refused(client, caplog):
    named = event(SECRET + " with words")
    hostile = [event(1, kind=SECRET), named, event(2, **{SECRET: 1}), SECRET]
    enveloped = {"content_type": "application/cloudevents+json"}
    with caplog.at_level(logging.DEBUG):
        answers = [
            post(client, hostile),
            post(client, envelope(1, specversion=SECRET), **enveloped),
            client.get(f"/{SECRET}"),
            client.get("/v1/health", params={"q": SECRET}),
        ]
    assert [each.status_code for each in answers] == [422, 422, 404, 200]
    ours = [each.getMessage() for each in caplog.records if each.name == "flywheel.door"]
    assert ours
    assert not [text for text in [*ours, *(a.text for a in answers)] if SECRET in text]


def test_elsewhere_is_404_or_405_in_the_same_shape(client):
    assert {"error", "request_id"} <= client.get("/nowhere").json().keys()
    assert client.get("/v1/events").status_code == 405
