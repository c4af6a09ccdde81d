"""Send a like and a download to the door, twice: the second time changes nothing.

flywheel key acme --project campaign-7      # shows an API key, once
flywheel serve                              # the door, on http://127.0.0.1:8321
FLYWHEEL_KEY=... python examples/send_events.py
"""

import os
import sys

from data_contracts.errors import FlywheelError
from pipelines.intake.door.client import DoorClient

ABOUT = {
    "project_id": "campaign-7",
    "user_id": "u_1",
    "session_id": "s_1",
    "turn": 0,
    "generation_id": "gen_1",
    "surface": "grid",
    "occurred_at": "2026-01-01T12:00:00Z",
}
EVENTS = [
    ABOUT | {"event_id": "ev_1", "kind": "like"},
    ABOUT | {"event_id": "ev_2", "kind": "download"},
]


def main() -> int:
    """Send, and send again; what was acknowledged survives a power cut."""
    address = os.environ.get("FLYWHEEL_DOOR", "http://127.0.0.1:8321")
    key = os.environ.get("FLYWHEEL_KEY")
    if not key:
        print("no key: set FLYWHEEL_KEY to what `flywheel key acme` showed", file=sys.stderr)
        return 2
    try:
        with DoorClient(address, key) as door:
            for _ in range(2):
                sent = door.send(EVENTS)
                print(f"kept {sent.accepted}, known before {sent.known}")
    except FlywheelError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
