"""Signed addresses: whoever holds one may read one blob of one zone for some minutes."""

import hashlib
import hmac
import re
import secrets
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from data_contracts.errors import SensitivityError
from pipelines.stores.atomic import write_file

LIFETIME_S: Final = 300
_KEY: Final = "media.key"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class MediaRefused(SensitivityError):
    """A medium was asked for by somebody who may not read it, or not any longer."""


def zone_key(root: Path) -> bytes:
    """Return the key that signs this zone's addresses, made on first use; no other zone has it."""
    file = root / "media" / _KEY
    if not file.is_file():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(file, secrets.token_bytes(32), partial=_partial(root))
    return file.read_bytes()


def signed_path(key: bytes, digest: str, *, now: float, lifetime_s: int = LIFETIME_S) -> str:
    """Return the address of the blob *digest* that works until *lifetime_s* after *now*.

    Args:
        key: the zone's.
        digest: of the blob.
        now: seconds since 1970, UTC.
        lifetime_s: seconds.
    """
    expires = int(now) + lifetime_s
    query = urlencode({"expires": expires, "signature": _signature(key, digest, expires)})
    return f"/blob/{digest}?{query}"


def check_signature(key: bytes, digest: str, expires: str, signature: str, *, now: float) -> None:
    """Return if the address was signed with *key* and has not expired.

    Raises:
        MediaRefused: it was not, or it has.
    """
    known = _DIGEST.fullmatch(digest) and expires.isascii() and expires.isdigit()
    if not known or len(expires) > 12:
        raise MediaRefused("this address of a medium is not one; open the task again")
    # Compared first, so that a forged address does not learn what an expired one would.
    expected = _signature(key, digest, int(expires))
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise MediaRefused("this address of a medium was not signed here; open the task again")
    if now > int(expires):
        raise MediaRefused("this address of a medium has expired; open the task again")


def _signature(key: bytes, digest: str, expires: int) -> str:
    return hmac.new(key, f"blob\n{digest}\n{expires}".encode(), hashlib.sha256).hexdigest()


def _partial(root: Path) -> Path:
    folder = root / "media" / ".partial"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
