"""Deliveries of events to feed the command line, and what a good refusal looks like."""

import json


def event(number, **changes):
    return {
        "event_id": f"ev_{number}",
        "tenant_id": "studio",
        "project_id": "film",
        "user_id": f"u_{number % 3}",
        "session_id": f"s_{number % 5}",
        "turn": 0,
        "kind": "impression",
        "generation_id": f"g_{number}",
        "surface": "grid",
        "position": number % 4,
        "occurred_at": "2026-01-01T00:00:00Z",
        "received_at": "2026-01-01T00:00:01Z",
    } | changes


def write_events(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def assert_one_sentence(answer):
    assert answer.out == ""
    assert answer.err.startswith("flywheel: ")
    assert answer.err.count("\n") == 1
    assert "Traceback" not in answer.err
