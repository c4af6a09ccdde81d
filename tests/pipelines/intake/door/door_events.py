"""Events to send through the door."""

import json

KEYLESS = {"content-type": "application/json"}


def event(number, **changes):
    return {
        "event_id": f"ev_{number}",
        "project_id": "campaign-7",
        "user_id": "u_1",
        "session_id": "s_1",
        "turn": 0,
        "kind": "like",
        "generation_id": "gen_1",
        "surface": "grid",
        "occurred_at": "2026-01-01T00:00:00Z",
    } | changes


def envelope(number, **changes):
    inner = {k: v for k, v in event(number).items() if k not in ("event_id", "occurred_at")}
    return {
        "specversion": "1.0",
        "id": f"ev_{number}",
        "source": "/editor",
        "type": "ai.studio.action",
        "time": "2026-01-01T00:00:00Z",
        "data": inner,
    } | changes


def written(rows):
    return json.dumps(rows).encode()


def ids_of(lines):
    """Return the event ids in JSON lines, in order."""
    return [json.loads(line)["event_id"] for each in lines for line in each.splitlines()]
