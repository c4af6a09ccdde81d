"""Events of one request, read and brought into their one written form.

There are two ways to the same bytes. The quick one decodes a whole array under a form without
patterns, and then looks once over what it wrote; it handles only what is beyond doubt. Whatever is
not takes the exact one, event by event, where every refusal gets its place and its reason.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from typing import Any, Final

import msgspec

from pipelines.intake.door.event_form import PLAIN_TEXT, event_form, integer_columns, quick_form
from pipelines.intake.door.event_refusals import (
    MalformedBody,
    RefusedEvent,
    RefusedEvents,
    TooManyEvents,
    reason_of,
    stated_id,
)

# What plain text is made of, but for the backslash: with one, a written line needs reading.
_UNDOUBTED: Final = bytes(sorted(set(PLAIN_TEXT) - {ord("\\")})) + b"\n"
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_ENCODER: Final = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBatch:
    """Events of one tenant in their one written form.

    Two events with equal digests are the same event: the digest covers every column but
    received_at, as written here.
    """

    tenant_id: str
    projects: frozenset[str]
    digests: dict[str, str]  # event id -> 128-bit BLAKE2b of its line, hex
    lines: tuple[bytes, ...]  # one JSON object an event, in the order of *digests*
    copies: int  # events that repeat an earlier one of the same request, word for word
    conflicts: tuple[str, ...]  # ids that the request gives to two different events


def read_array(content: bytes, *, tenant_id: str, most: int) -> EventBatch:
    """Read a body that is an array of events; every bad event is named, not the first alone.

    A body that passes is flat, for the form knows no nested column.

    Raises:
        RefusedEvents: events that do not have the form, or are another tenant's.
        MalformedBody: it is not a JSON array.
        TooManyEvents: more than *most*.
    """
    quick = _read_quickly(content, tenant_id, most)
    if quick is not None:
        return quick
    return write_batch(decode_each(raw_parts(content, most=most)), tenant_id=tenant_id)


def read_one(content: bytes, *, tenant_id: str) -> EventBatch:
    """Read a body that is one event.

    Raises:
        RefusedEvents: it does not have the form, or is another tenant's.
    """
    return write_batch(decode_each([msgspec.Raw(content)]), tenant_id=tenant_id)


def raw_parts(content: bytes, *, most: int) -> list[msgspec.Raw]:
    """Return the members of a JSON array, unread.

    Raises:
        MalformedBody: it is not a JSON array.
        TooManyEvents: more than *most*.
    """
    try:
        parts = list(decoder_of(list[msgspec.Raw]).decode(content))
    except _UNREADABLE:
        raise MalformedBody("the body is not a JSON array of events") from None
    if len(parts) > most:
        raise TooManyEvents(len(parts))
    return parts


def decode_each(parts: Iterable[msgspec.Raw], *, form: Any = None) -> list[Any]:
    """Read events one by one, so that each refusal has its place.

    Raises:
        RefusedEvents: all events that do not have the form.
    """
    read = decoder_of(event_form() if form is None else form)
    events, refused = [], []
    for index, part in enumerate(parts):
        try:
            events.append(read.decode(part))
        except _UNREADABLE as error:
            told = RefusedEvent(index=index, event_id=stated_id(part), reason=reason_of(error))
            refused.append(told)
    if refused:
        raise RefusedEvents(refused)
    return events


def write_batch(events: list[Any], *, tenant_id: str) -> EventBatch:
    """Bring *events* into their one written form, as *tenant_id*'s.

    Raises:
        RefusedEvents: an event that names another tenant, or a time that no calendar holds.
    """
    refused = [*_not_whole(events), *_stated(events, tenant_id)]
    if refused:
        raise RefusedEvents(refused)
    return _digested(events, _ENCODER.encode_lines(events), tenant_id)


def in_utc(at: datetime) -> datetime:
    """Return the same moment in UTC; a time without a zone is UTC, as in files that come in."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


@cache
def decoder_of(form: Any) -> "msgspec.json.Decoder[Any]":
    """Return the decoder of *form*, made once."""
    return msgspec.json.Decoder(form)


def _read_quickly(content: bytes, tenant_id: str, most: int) -> EventBatch | None:
    """Return the batch, or None where there is any doubt about it."""
    form = quick_form()
    if form is None:
        return None
    try:
        form_of_all = list[form]  # type: ignore[valid-type]  # a type made at run time
        events: list[Any] = decoder_of(form_of_all).decode(content)
    except _UNREADABLE:
        return None
    if len(events) > most or any(_stated(events, tenant_id)):
        return None
    lines = _ENCODER.encode_lines(events)
    return None if lines.translate(None, _UNDOUBTED) else _digested(events, lines, tenant_id)


def _digested(events: list[Any], lines: bytes, tenant_id: str) -> EventBatch:
    digests: dict[str, str] = {}
    kept: list[bytes] = []
    copies, conflicts = 0, []
    for event, line in zip(events, lines.split(b"\n"), strict=False):  # an empty piece ends them
        digest = blake2b(line, digest_size=16).hexdigest()
        found = digests.setdefault(event.event_id, digest)
        if found is digest:
            kept.append(line)
        elif found == digest:
            copies += 1
        else:
            conflicts.append(event.event_id)
    return EventBatch(
        tenant_id=tenant_id,
        projects=frozenset({event.project_id for event in events}),
        digests=digests,
        lines=tuple(kept),
        copies=copies,
        conflicts=tuple(dict.fromkeys(conflicts)),
    )


def _stated(events: list[Any], tenant_id: str) -> Iterator[RefusedEvent]:
    """Fill in tenant and one time zone; yield the events that contradict."""
    for index, event in enumerate(events):
        reason = None
        if event.tenant_id != tenant_id:
            if event.tenant_id is not None:
                reason = "other_tenant(tenant_id)"
            event.tenant_id = tenant_id
        if event.occurred_at.tzinfo is not UTC:
            try:
                event.occurred_at = in_utc(event.occurred_at)
            except OverflowError:
                reason = "bad_value(occurred_at)"
        event.received_at = None
        if reason is not None:
            yield RefusedEvent(index=index, event_id=event.event_id, reason=reason)


def _not_whole(events: list[Any]) -> Iterator[RefusedEvent]:
    """Write 3.0 as 3, as JSON means it; yield the events with 3.5 of what is counted."""
    for index, event in enumerate(events):
        for name in integer_columns():
            number = getattr(event, name)
            if isinstance(number, float) and number.is_integer():
                setattr(event, name, int(number))
            elif isinstance(number, float):
                yield RefusedEvent(index=index, event_id=event.event_id, reason=f"bad_type({name})")
