"""What the door answers: one JSON object, a sentence for people and ids for machines."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from starlette.responses import Response

from pipelines.intake.door.event_refusals import RefusedEvent

SHOWN: Final = 20  # refused events or ids in one answer


class Refusal(Exception):
    """A request that is refused; the sentence names no content."""

    def __init__(
        self,
        status: int,
        sentence: str,
        *,
        events: Sequence[RefusedEvent] = (),
        event_ids: Sequence[str] = (),
        retry_after: int | None = None,
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.events = events
        self.event_ids = event_ids
        self.retry_after = retry_after


def answer(status: int, fields: dict[str, Any], *, headers: dict[str, str]) -> Response:
    """Return *fields* as JSON."""
    content = msgspec.json.encode(fields)
    return Response(content, status, headers, media_type="application/json")


def refusal_answer(refusal: Refusal, *, request_id: str) -> Response:
    """Return a refusal as JSON: the sentence, and the events it is about, twenty at most."""
    fields: dict[str, Any] = {"error": refusal.sentence, "request_id": request_id}
    if refusal.events:
        fields["refused"] = [
            {"index": each.index, "event_id": each.event_id, "reason": each.reason}
            for each in refusal.events[:SHOWN]
        ]
        fields["refused_events"] = len(refusal.events)
    if refusal.event_ids:
        fields["conflicting_ids"] = list(refusal.event_ids[:SHOWN])
        fields["conflicts"] = len(refusal.event_ids)
    headers = {"x-request-id": request_id}
    if refusal.retry_after is not None:
        headers["retry-after"] = str(refusal.retry_after)
    if refusal.status == 401:
        headers["www-authenticate"] = "Bearer"
    return answer(refusal.status, fields, headers=headers)
