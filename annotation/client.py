"""The only door to a Label Studio server: the SDK signs requests, we say what went wrong.

Both kinds of token work: the SDK exchanges a personal access token for short-lived ones.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import httpx
import numpy as np
import numpy.typing as npt
from label_studio_sdk import LabelStudio
from label_studio_sdk.core.api_error import ApiError

from data_contracts.errors import FlywheelError

PAGE: Final = 500  # tasks a page: larger ones make the server hold everything in memory


class ServerRefused(FlywheelError):
    """The server answered, but not with what was asked; *status* is its HTTP code."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class ServerAway(FlywheelError):
    """Nobody answers at the server's address; trying again later is safe."""


class LabelStudioClient:
    """One signed-in user of one Label Studio server."""

    def __init__(self, url: str, token: str, *, timeout_s: float = 120.0) -> None:
        """Prepare a client; nothing is sent yet.

        Args:
            url: of the server, such as http://127.0.0.1:8080.
            token: a legacy token or a personal access token.
            timeout_s: for one request, in seconds.

        Raises:
            FlywheelError: the address or the token cannot be one.
        """
        self.url = url.rstrip("/")
        if not self.url.startswith(("http://", "https://")):
            raise FlywheelError("the address of Label Studio must begin with http:// or https://")
        if not token.strip():
            raise FlywheelError(
                "the token for Label Studio is empty; copy it from your account page"
            )
        # Our proxy settings are not meant for a server of our own.
        transport = httpx.Client(timeout=timeout_s, follow_redirects=True, trust_env=False)
        self._sdk = LabelStudio(base_url=self.url, api_key=token.strip(), httpx_client=transport)

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
    ) -> Any:
        """Send one request; return the decoded answer, None if there is none.

        Nothing is sent twice: whoever asks knows whether repeating is safe.

        Raises:
            ServerAway: nobody answers, or the connection broke.
            ServerRefused: any status above 399.
        """
        try:
            response = self._sdk._client_wrapper.httpx_client.request(
                path, method=method, params=params, json=json, request_options={"max_retries": 0}
            )
        except ApiError as error:
            raise _refusal(int(error.status_code or 0), path) from None
        except httpx.HTTPError as error:
            raise ServerAway(
                f"Label Studio at {self.url} does not answer ({type(error).__name__}); "
                "start it with `flywheel annotate up`, then run again"
            ) from None
        if response.status_code >= 400:
            raise _refusal(response.status_code, path)
        return response.json() if response.content else None

    def whoami(self) -> Mapping[str, Any]:
        """Return who the token belongs to: id, email."""
        found: Mapping[str, Any] = self.request("GET", "api/current-user/whoami")
        return found

    def pages(self, path: str, params: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """Yield the pages of a list until one is short; *params* may not name page or size."""
        number = 1
        while True:
            page = self.request("GET", path, params={**params, "page": number, "page_size": PAGE})
            yield page
            found = page.get("tasks", page.get("results", []))
            total = int(page.get("total", page.get("count", 0)))
            if len(found) < PAGE or number * PAGE >= total:
                return
            number += 1


def _refusal(status: int, path: str) -> ServerRefused:
    what = path.split("?", maxsplit=1)[0].strip("/")
    says = {
        401: "does not know this token; it was revoked or belongs to another server, so make a "
        "new one on the account page",
        403: "does not allow this token to do that; use the lead's",
        404: "knows nothing of it; it was deleted there",
    }.get(status, "refused; its log says why")
    return ServerRefused(f"Label Studio {says} (HTTP {status} on {what})", status=status)


def decode_brush(rle: Sequence[int], pixels: int) -> npt.NDArray[np.bool_]:
    """Decode a painted mask of Label Studio: (pixels,) row by row, True where painted.

    Raises:
        ValueError: it is not one, or not of that many pixels.
    """
    if len(rle) < 5 or not all(isinstance(b, int) and 0 <= b <= 255 for b in rle):
        raise ValueError("not bytes")
    # Four channels a pixel; the size stands first, so that a bomb is refused before it opens.
    if int.from_bytes(bytes(rle[:4]), "big") != 4 * pixels:
        raise ValueError("another size")
    from label_studio_sdk.converter.brush import decode_rle

    decoded: npt.NDArray[np.uint8] = decode_rle(list(rle))
    if decoded.size != 4 * pixels:
        raise ValueError("another size")
    painted: npt.NDArray[np.bool_] = decoded.reshape(-1, 4)[:, 3] > 0
    return painted
