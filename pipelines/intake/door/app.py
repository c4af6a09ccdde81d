"""The door: events come in over HTTP, and are acknowledged once they survive a power cut.

The order is what makes it safe: who sends, then what it is, then whose project and so which zone,
and only then a journal. Nothing is written before the zone is known, and nothing is answered with
2xx before the commit returned.
"""

import logging
import secrets
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.telemetry import TelemetryConfig
from msgspec import Raw
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from data_contracts.errors import FlywheelError
from data_contracts.labels import Label
from pipelines.intake.door import cloud_events
from pipelines.intake.door.access import AccessBook, Caller
from pipelines.intake.door.answers import Refusal, answer, refusal_answer
from pipelines.intake.door.bodies import JSON, BodyReader, busy, media_type
from pipelines.intake.door.event_batch import (
    EventBatch,
    decoder_of,
    raw_parts,
    read_array,
    read_one,
    write_batch,
)
from pipelines.intake.door.event_form import enveloped_form, event_form, quick_form
from pipelines.intake.door.event_refusals import MalformedBody, RefusedEvents, TooManyEvents
from pipelines.intake.door.journal import (
    Journal,
    journal_entry,
    journal_folder,
    only_writer,
)
from pipelines.intake.door.limits import DEFAULT_DOOR_LIMITS, DoorLimits
from pipelines.intake.door.nesting import nesting
from pipelines.intake.door.published import EVENTS_EXTRA, HEALTH_EXTRA, publish
from pipelines.intake.door.writer import DoorBusy, JournalWriter

LOG: Final = logging.getLogger("flywheel.door")
Clock = Callable[[], datetime]
# FastAPI would record exceptions with their texts, and add exporters that the environment names.
_SILENT: Final[TelemetryConfig] = {
    "tracing": False, "metrics": False, "logs": False, "operation_spans": False,
    "auto_configure": False,
}  # fmt: skip


class Door:
    """One open door: its book, and a writer for the journal of every zone."""

    def __init__(self, folder: Path, limits: DoorLimits, clock: Clock) -> None:
        self.limits = limits
        self.clock = clock
        self.book = AccessBook(folder)
        self.bodies = BodyReader(limits)
        # One draw a door: a system call a request would hand the interpreter to the writer.
        self._requests = map(f"{secrets.token_hex(4)}-{{}}".format, count(1))
        # Compiled before the first request, which would otherwise wait for it.
        for form in (quick_form(), event_form(), enveloped_form()):
            decoder_of(form)
        self._held = ExitStack()
        self._held.callback(self.book.close)
        self._writers: dict[Path, JournalWriter] = {}
        try:
            for zone, label in self.book.zones().items():
                self._open(zone, label)
        except BaseException:
            self._held.close()
            raise

    def writer(self, zone: Path) -> JournalWriter:
        """Return the writer of a zone's journal.

        Raises:
            FlywheelError: the journal cannot be opened.
        """
        if zone not in self._writers:
            self._open(zone, self.book.zones()[zone])
        return self._writers[zone]

    def next_request_id(self) -> str:
        """Return an id that an answer and a line of the log share."""
        return next(self._requests)

    def close(self) -> None:
        """Commit what waits, and let go of everything."""
        self._held.close()

    def _open(self, zone: Path, label: Label) -> None:
        folder = journal_folder(zone)
        with ExitStack() as opening:
            opening.enter_context(only_writer(folder))
            journal = Journal(folder)
            opening.callback(journal.close)
            journal.state_label(label)
            writer = JournalWriter(journal, waiting_events=self.limits.waiting_events)
            opening.callback(writer.close)
            self._held.push(opening.pop_all())
        self._writers[zone] = writer


def build_app(
    folder: Path,
    *,
    limits: DoorLimits = DEFAULT_DOOR_LIMITS,
    clock: Clock = lambda: datetime.now(UTC),
) -> FastAPI:
    """Return the door whose book lies in *folder*.

    Args:
        folder: with the access book; journals lie in the zones.
        limits: caps on what it lets in.
        clock: tells when a request was received, with a time zone.
    """

    @asynccontextmanager
    async def opened(app: FastAPI) -> AsyncIterator[None]:
        try:
            app.state.door = Door(folder, limits, clock)
        except FlywheelError as error:
            app.state.failure = error  # the server's own words would be a traceback
            raise
        try:
            yield
        finally:
            app.state.door.close()

    app = FastAPI(
        title="preference-flywheel: the door",
        version="1",
        lifespan=opened,
        docs_url=None,  # these pages would load from somewhere else
        redoc_url=None,
        telemetry=_SILENT,
    )

    async def post_events(request: Request) -> Response:
        return await _answered(request, app.state.door)

    async def get_health() -> Response:
        return answer(200, {"status": "open"}, headers={})

    # The same route without FastAPI's injection, which costs a third of a request and injects
    # nothing here; the one below it is what the published schema is made from.
    app.router.routes.insert(0, Route("/v1/events", post_events, methods=["POST"]))
    app.add_api_route("/v1/events", post_events, methods=["POST"], openapi_extra=EVENTS_EXTRA,
                      status_code=202, summary="Send events")  # fmt: skip
    app.add_api_route("/v1/health", get_health, methods=["GET"], openapi_extra=HEALTH_EXTRA,
                      summary="Is the door open?")  # fmt: skip
    app.add_exception_handler(HTTPException, _no_such_place)
    publish(app)
    return app


async def _answered(request: Request, door: Door) -> Response:
    """Answer one request; whatever goes wrong, neither answer nor log holds content."""
    request_id = door.next_request_id()
    caller: Caller | None = None
    try:
        caller = _caller(request, door.book)
        batch = await _batch(request, door, caller)
        kept = await _journalled(batch, door, caller)
    except Refusal as refusal:
        LOG.info("%s refused: status=%d tenant=%s key=%s", request_id, refusal.status,
                 caller and caller.tenant_id, caller and caller.key_id)  # fmt: skip
        return refusal_answer(refusal, request_id=request_id)
    except Exception as error:  # an exception's text may quote what was sent
        LOG.error("%s failed: %s", request_id, type(error).__name__)
        unknown = Refusal(500, "something failed that should not; send the same request again")
        return refusal_answer(unknown, request_id=request_id)
    return answer(202, kept, headers={"x-request-id": request_id})


def _caller(request: Request, book: AccessBook) -> Caller:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    caller = book.caller(key.strip()) if scheme.lower() == "bearer" else None
    if caller is None:
        raise Refusal(401, "no valid API key; send it as `Authorization: Bearer KEY`")
    return caller


async def _batch(request: Request, door: Door, caller: Caller) -> EventBatch:
    kind = media_type(request)
    if kind not in (JSON, cloud_events.STRUCTURED, cloud_events.BATCHED):
        raise Refusal(
            415, f"the content type must be {JSON}, {cloud_events.STRUCTURED} or "
            f"{cloud_events.BATCHED}"
        )  # fmt: skip
    content = await door.bodies.read(request)
    try:
        return _read(content, kind, request.headers, door.limits, caller.tenant_id)
    except TooManyEvents as error:
        raise Refusal(
            413, f"{error.events:,} events are more than the {door.limits.batch_events:,} of one "
            "request; send them in parts"
        ) from None  # fmt: skip
    except MalformedBody as error:
        raise Refusal(422, f"{error}; nothing of it was kept") from None
    except RefusedEvents as error:
        raise Refusal(
            422, f"{len(error.refused):,} events of this request are not as the contract has them; "
            "nothing of it was kept", events=error.refused,
        ) from None  # fmt: skip


def _read(
    content: bytes, kind: str, headers: Mapping[str, str], limits: DoorLimits, tenant_id: str
) -> EventBatch:
    most = limits.batch_events
    if kind in (cloud_events.STRUCTURED, cloud_events.BATCHED):
        _check_depth(content, limits)
        batched = kind == cloud_events.BATCHED
        envelopes = raw_parts(content, most=most) if batched else [Raw(content)]
        return write_batch(cloud_events.opened_envelopes(envelopes), tenant_id=tenant_id)
    try:
        if cloud_events.is_binary(headers):
            return write_batch(cloud_events.opened_binary(content, headers), tenant_id=tenant_id)
        if content.lstrip()[:1] == b"[":
            return read_array(content, tenant_id=tenant_id, most=most)
        return read_one(content, tenant_id=tenant_id)
    except (MalformedBody, RefusedEvents):
        # What has the form is flat, so that only a body without it is worth the look.
        _check_depth(content, limits)
        raise


def _check_depth(content: bytes, limits: DoorLimits) -> None:
    if nesting(content) > limits.depth:
        raise Refusal(422, f"the body nests deeper than {limits.depth}; send flat events")


async def _journalled(batch: EventBatch, door: Door, caller: Caller) -> dict[str, Any]:
    """Keep the batch in the journal of its zone.

    Raises:
        Refusal: 403 a project that is not the caller's, 422 several zones, 409 a taken id,
            429 too much waits, 503 the disk refused.
    """
    if not batch.digests:
        return {"accepted": 0, "known": 0}
    strange = sorted(batch.projects - caller.zones.keys())
    if strange:
        raise Refusal(
            403, f"project {strange[0]} is not one of this key's tenant; register it at the door"
        )
    zones = {caller.zones[project] for project in batch.projects}
    if len(zones) > 1:
        raise Refusal(
            422, "the projects of this request are in different zones; send one request a zone"
        )
    received_at = door.clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    entry = journal_entry(batch, received_at=received_at)
    try:
        kept = await door.writer(zones.pop()).append(entry)
    except DoorBusy:
        raise busy() from None
    except (sqlite3.Error, FlywheelError) as error:
        LOG.error("a journal refused: %s", type(error).__name__)
        raise Refusal(
            503, "the journal cannot be written now; nothing of this was kept", retry_after=5
        ) from None
    if kept.conflicts:
        raise Refusal(
            409, f"{len(kept.conflicts):,} event ids stand for other events already; "
            "nothing of this request was kept", event_ids=kept.conflicts,
        )  # fmt: skip
    return {"accepted": kept.fresh, "known": kept.known}


def _no_such_place(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    refusal = Refusal(error.status_code, "there is nothing here; POST events to /v1/events")
    response = refusal_answer(refusal, request_id=secrets.token_hex(8))
    response.headers.update(error.headers or {})
    return response
