"""Bodies: how much the door takes of one request before it passes it on."""

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request

from data_contracts.errors import FlywheelError
from pipelines.media.signing import MediaRefused

# Bytes. Who signs in or up sends a form of some hundred.
ANYBODY: Final = 1 << 20
# Bytes. Label Studio's format spends numbers in JSON and four channels a pixel on a painted mask:
# 34 MB for a picture of 2048 x 2048 under a thousand fine strokes, 9 MB for one of 1024 x 1024.
SIGNED_IN: Final = 64 << 20


class BodyRefused(FlywheelError):
    """A body is larger than who sends it may send."""


async def read_body(request: Request, who: Callable[[Request], Awaitable[int]]) -> bytes:
    """Return the whole body; nothing beyond a cap is waited for or held.

    Args:
        request: whose body it is.
        who: says who is signed in, raising MediaRefused for nobody; asked for large bodies alone.

    Raises:
        BodyRefused: it is larger than `SIGNED_IN`, or than `ANYBODY` and nobody is signed in.
    """
    stated = request.headers.get("content-length", "")
    length = int(stated) if stated.isdecimal() and len(stated) < 20 else 0
    known = await _allowed(request, who, length, known=False)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        known = await _allowed(request, who, size, known=known)
        parts.append(part)
    return b"".join(parts)


async def _allowed(
    request: Request, who: Callable[[Request], Awaitable[int]], size: int, *, known: bool
) -> bool:
    """Say whether it is known that somebody is signed in, as far as *size* bytes ask for it."""
    if size > SIGNED_IN:
        raise BodyRefused(f"this request is above {SIGNED_IN:,} bytes; mark less in one answer")
    if size > ANYBODY and not known:
        try:
            await who(request)
        except MediaRefused:
            raise BodyRefused(
                f"this request is above {ANYBODY:,} bytes and nobody is signed in; sign in to "
                "Label Studio first"
            ) from None
        return True
    return known
