"""A small client: sends events in batches and repeats until they are kept.

Repeating is safe: the door knows an event by its id and keeps it once. The client needs nothing
but the standard library.

    with DoorClient("http://127.0.0.1:8321", key) as door:
        door.send(events)
"""

import http.client
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from data_contracts.errors import FlywheelError

_AGAIN: Final = frozenset({408, 429, 500, 502, 503, 504})
_BATCH: Final = 500  # events a request
_LONGEST_WAIT: Final = 30.0  # seconds between two attempts


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What became of the events that were sent."""

    accepted: int  # kept now
    known: int  # kept before, word for word


class DoorRefused(FlywheelError):
    """The door refused a request for good; nothing of that request was kept."""

    def __init__(self, status: int, told: Mapping[str, Any]) -> None:
        self.status = status
        self.told = told  # the door's answer: error, refused or conflicting_ids
        super().__init__(f"the door answered {status}: {told.get('error', 'no reason given')}")


@dataclass(slots=True)
class DoorClient:
    """One connection to a door."""

    address: str  # http://host:port or https://host:port
    key: str = field(repr=False)
    patience: float = 60.0  # seconds of attempts a request
    timeout: float = 30.0  # seconds an attempt
    _line: http.client.HTTPConnection | None = field(default=None, init=False, repr=False)

    def send(self, events: Iterable[Mapping[str, Any]]) -> Sent:
        """Send *events* (columns of the event contract) and return once all of them are kept.

        Raises:
            DoorRefused: a batch was refused; the batches before it are kept.
            FlywheelError: the door did not answer for as long as *patience*.
        """
        accepted = known = 0
        for batch in _batches(events):
            told = self._post(json.dumps(batch, separators=(",", ":")).encode())
            accepted += told["accepted"]
            known += told["known"]
        return Sent(accepted=accepted, known=known)

    def close(self) -> None:
        """Hang up."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def __enter__(self) -> "DoorClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _post(self, content: bytes) -> dict[str, Any]:
        deadline = time.monotonic() + self.patience
        wait = 0.1
        while True:
            status, told, after = self._attempt(content)
            if status == 202:
                return told
            if status not in (0, *_AGAIN):
                raise DoorRefused(status, told)
            pause = min(max(wait, after), _LONGEST_WAIT)
            if time.monotonic() + pause > deadline:
                raise FlywheelError(
                    f"the door at {self.address} did not take the events for "
                    f"{self.patience:.0f} s; send them again later, nothing comes twice"
                )
            time.sleep(pause)
            wait *= 2

    def _attempt(self, content: bytes) -> tuple[int, dict[str, Any], float]:
        """Return status (0: no answer), answer, and for how many seconds the door asks to wait."""
        try:
            if self._line is None:
                self._line = self._dial()
            headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
            self._line.request("POST", "/v1/events", content, headers)
            response = self._line.getresponse()
            told = json.loads(response.read() or b"{}")
            after = response.headers.get("retry-after", "0")
        except (OSError, http.client.HTTPException, ValueError):
            self.close()
            return 0, {}, 0.0
        return response.status, told, float(after) if after.isdecimal() else 0.0

    def _dial(self) -> http.client.HTTPConnection:
        place = urlsplit(self.address)
        kind = (
            http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
        )
        return kind(place.hostname or "", place.port, timeout=self.timeout)


def _batches(events: Iterable[Mapping[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for event in events:
        batch.append(dict(event))
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
