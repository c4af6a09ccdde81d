"""CloudEvents 1.0 envelopes: the HTTP binding's structured, batched and binary modes.

An envelope's `id` is the event id and its `time` is occurred_at; `data` is the event, which may
leave those two out. `source`, `type`, `subject` and extensions are read past and not kept: what
they say is free text, and the tenant comes from the key.

Source: CloudEvents specification 1.0.2, JSON event format and HTTP protocol binding.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Final, Literal

import msgspec

from pipelines.intake.door.event_batch import decode_each, in_utc
from pipelines.intake.door.event_form import column_type, enveloped_form, event_form
from pipelines.intake.door.event_refusals import RefusedEvent, RefusedEvents, stated_id

STRUCTURED: Final = "application/cloudevents+json"
BATCHED: Final = "application/cloudevents-batch+json"
_MOMENT: Final = Annotated[datetime, msgspec.Meta(extra_json_schema={"format": "date-time"})]
_WORD: Final = Annotated[str, msgspec.Meta(min_length=1)]


def opened_envelopes(envelopes: Iterable[msgspec.Raw]) -> list[Any]:
    """Return the events inside structured envelopes.

    Raises:
        RefusedEvents: envelopes, or events in them, that do not have the form.
    """
    parts = list(envelopes)
    read = decode_each(parts, form=_envelope())
    events: list[Any] = []
    refused: list[RefusedEvent] = []
    for index, (envelope, part) in enumerate(zip(read, parts, strict=True)):
        try:
            [inner] = decode_each([envelope.data], form=enveloped_form())
            events.append(_joined(inner, event_id=envelope.id, time=envelope.time))
        except RefusedEvents as error:
            reason = error.refused[0].reason
            refused.append(RefusedEvent(index=index, event_id=stated_id(part), reason=reason))
    if refused:
        raise RefusedEvents(refused)
    return events


def is_binary(headers: Mapping[str, str]) -> bool:
    """Say whether a request states its envelope in headers."""
    return "ce-specversion" in headers


def opened_binary(content: bytes, headers: Mapping[str, str]) -> list[Any]:
    """Return the event of a request whose envelope is in its headers.

    Raises:
        RefusedEvents: the headers or the event do not have the form.
    """
    stated = {
        name: headers[f"ce-{name}"]
        for name in ("specversion", "id", "source", "type", "time")
        if f"ce-{name}" in headers
    }
    [envelope] = decode_each([msgspec.Raw(msgspec.json.encode(stated))], form=_headers())
    [inner] = decode_each([msgspec.Raw(content)], form=enveloped_form())
    return [_joined(inner, event_id=envelope.id, time=envelope.time)]


def envelope_schema() -> Any:
    """Return the msgspec type of a structured envelope with its event, for the published schema."""
    return msgspec.defstruct(
        "CloudEvent",
        [
            *_attributes(),
            ("data", enveloped_form(published=True)),
            ("time", _MOMENT),
        ],
    )


def _joined(inner: Any, *, event_id: str, time: datetime | None) -> Any:
    """Return the event of the plain form, with what its envelope says."""
    stated = {name: getattr(inner, name) for name in inner.__struct_fields__}
    at = stated["occurred_at"]
    if stated["event_id"] not in (None, event_id):
        raise _contradiction("event_id")
    if at is not None and time is not None and in_utc(at) != in_utc(time):
        raise _contradiction("occurred_at")
    stated |= {"event_id": event_id, "occurred_at": time if at is None else at}
    if stated["occurred_at"] is None:
        raise RefusedEvents(
            [RefusedEvent(index=0, event_id=event_id, reason="not_null(occurred_at)")]
        )
    return event_form()(**stated)


def _contradiction(column: str) -> RefusedEvents:
    told = RefusedEvent(index=0, event_id=None, reason=f"other_in_envelope({column})")
    return RefusedEvents([told])


def _attributes() -> list[Any]:
    return [
        ("specversion", Literal["1.0"]),
        ("id", column_type("event_id")),
        ("source", _WORD),
        ("type", _WORD),
    ]


@cache
def _headers() -> Any:
    return msgspec.defstruct("Headers", [*_attributes(), ("time", datetime | None, None)])


@cache
def _envelope() -> Any:
    fields = [*_attributes(), ("data", msgspec.Raw), ("time", datetime | None, None)]
    return msgspec.defstruct("Envelope", fields)
