"""Request bodies read under caps: of one body, of all bodies at once, and of time."""

import asyncio
from typing import Final

from starlette.requests import ClientDisconnect, Request

from pipelines.intake.door.answers import Refusal
from pipelines.intake.door.limits import DoorLimits

JSON: Final = "application/json"


class BodyReader:
    """Reads bodies of one event loop, holding no more bytes than the limits allow."""

    def __init__(self, limits: DoorLimits) -> None:
        self._limits = limits
        self._reserved = 0

    async def read(self, request: Request) -> bytes:
        """Return the whole body.

        Raises:
            Refusal: 413 too large, 429 too much is being read, 408 too slow, 400 cut off.
        """
        cap = self._limits.body_bytes
        stated = request.headers.get("content-length", "")
        length = int(stated) if stated.isdecimal() and len(stated) < 20 else cap
        if length > cap:
            raise self._too_large()
        if self._reserved and self._reserved + length > self._limits.reading_bytes:
            raise busy()
        self._reserved += length
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                return await self._gathered(request, cap)
        except TimeoutError:
            raise Refusal(408, "the body did not arrive in time; send it again") from None
        except ClientDisconnect:
            raise Refusal(400, "the body was cut off; send it again") from None
        finally:
            self._reserved -= length

    async def _gathered(self, request: Request, cap: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for part in request.stream():
            size += len(part)
            if size > cap:
                raise self._too_large()
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _too_large(self) -> Refusal:
        return Refusal(
            413, f"the body is above {self._limits.body_bytes:,} bytes; send it in parts"
        )


def media_type(request: Request) -> str:
    """Return the request's content type without its parameters.

    Raises:
        Refusal: 415, it is compressed or not UTF-8.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Refusal(415, "the body is compressed; send it as it is")
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    for each in parameters.split(";"):
        name, _, value = each.partition("=")
        if name.strip().lower() == "charset" and value.strip(' "').lower() not in _UTF8:
            raise Refusal(415, "the body is not UTF-8; send it as UTF-8")
    return kind.strip().lower()


def busy() -> Refusal:
    """Return the refusal of a door that holds as much as it will."""
    return Refusal(429, "the door is busy; send the same request again", retry_after=1)


_UTF8: Final = frozenset({"utf-8", "utf8", "us-ascii"})
