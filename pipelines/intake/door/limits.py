"""How much the door lets in at once: caps that stop a hostile or mistaken sender early."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorLimits:
    """Caps of one door; what exceeds the first three is 413 or 422, what exceeds the rest 429."""

    body_bytes: int = 1 << 20  # of one request
    batch_events: int = 1_000  # of one request
    depth: int = 8  # of brackets in one body; an event needs two, an envelope three
    waiting_events: int = 20_000  # accepted by the form, not yet committed
    reading_bytes: int = 64 << 20  # of all bodies that are being read
    body_seconds: float = 20.0  # in which a body must have arrived


DEFAULT_DOOR_LIMITS: Final = DoorLimits()
