"""Refusals: what the door answers where it gives nothing."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import httpx
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from pipelines.media.bodies import BodyRefused
from pipelines.media.signing import EntryRefused, MediaRefused

_FRESH: Final = {"Cache-Control": "no-store"}


async def _forbidden(_request: Request, error: Exception) -> Response:
    return PlainTextResponse(f"{error}\n", 403, headers=_FRESH)


async def _too_large(_request: Request, error: Exception) -> Response:
    # The rest of the body is not read, so that no other request can follow on this connection.
    return PlainTextResponse(f"{error}\n", 413, headers={**_FRESH, "Connection": "close"})


async def _away(_request: Request, _error: Exception) -> Response:
    """Say that Label Studio does not answer, whoever of us asked it."""
    said = "Label Studio is down; run `flywheel annotate up`\n"
    return PlainTextResponse(said, 502, headers=_FRESH)


REFUSALS: Final[Mapping[type[Exception], Callable[[Request, Exception], Awaitable[Response]]]] = {
    MediaRefused: _forbidden,
    EntryRefused: _forbidden,
    BodyRefused: _too_large,
    httpx.HTTPError: _away,
}
