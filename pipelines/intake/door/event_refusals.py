"""Why events are refused at the door: words that name columns and ids, never what was sent."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import msgspec

_PLACE: Final = re.compile(r" - at `\$(?:\[\d+\])*(?:\.(\w+))?`$")
_MISSING: Final = re.compile(r"Object missing required field `(\w+)`")
_PLAIN_ID: Final = re.compile(r"[!-~]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedEvent:
    """Why one event of a request was refused; *event_id* is None where there is no plain one."""

    index: int  # in the request, from 0
    event_id: str | None
    reason: str  # names a column of the contract, never a value


class RefusedEvents(Exception):
    """Events of one request that do not have the form; nothing of the request is kept."""

    def __init__(self, refused: Iterable[RefusedEvent]) -> None:
        self.refused = list(refused)
        super().__init__(f"{len(self.refused)} events refused")


class TooManyEvents(Exception):
    """A request with more events than one may have."""

    def __init__(self, events: int) -> None:
        self.events = events
        super().__init__(f"{events} events")


class MalformedBody(Exception):
    """A body that is not what its content type says; the text names no content."""


def stated_id(part: msgspec.Raw) -> str | None:
    """Return the event id that a refused event states, if it looks like an id."""
    try:
        found = _named().decode(part)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    named = found.event_id if isinstance(found.event_id, str) else found.id
    return named if isinstance(named, str) and _PLAIN_ID.fullmatch(named) else None


def reason_of(error: Exception) -> str:
    """Return a reason that names a column of the contract; msgspec's own text quotes values."""
    text = str(error)
    if isinstance(error, RecursionError):
        return "too_deep"
    if not isinstance(error, msgspec.ValidationError):
        return "unparsable"
    if missing := _MISSING.match(text):
        return f"not_null({missing[1]})"
    if text.startswith("Object contains unknown field"):
        return "unknown_column"
    place = _PLACE.search(text)
    if place is None or place[1] is None:
        return "bad_type"
    told = "bad_type" if ", got `" in text else "bad_value"
    return f"{told}({place[1]})"


class _Named(msgspec.Struct):
    event_id: Any = None
    id: Any = None  # an envelope's


@cache
def _named() -> "msgspec.json.Decoder[_Named]":
    return msgspec.json.Decoder(_Named)
