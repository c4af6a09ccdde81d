"""Signed addresses: whoever holds one may read one blob for minutes, or sign in for days."""

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
ENTRY_S: Final = 7 * 24 * 3600  # how long an annotator's link signs them in
_KEY: Final = "media.key"
_NAMES: Final = {"blob": re.compile(r"[0-9a-f]{64}"), "enter": re.compile(r"[a-z0-9._-]{1,31}")}


class MediaRefused(SensitivityError):
    """A medium was asked for by somebody who may not read it, or not any longer."""


class EntryRefused(SensitivityError):
    """A link that signs an annotator in is not one, or no longer."""


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
    return _signed(key, "blob", digest, int(now) + lifetime_s)


def check_signature(key: bytes, digest: str, expires: str, signature: str, *, now: float) -> None:
    """Return if the address was signed with *key* and has not expired.

    Raises:
        MediaRefused: it was not, or it has.
    """
    fault = _fault(key, "blob", digest, expires, signature, now=now)
    if fault is not None:
        raise MediaRefused(f"this address of a medium {fault}; open the task again")


def entry_path(key: bytes, annotator_id: str, *, now: float, lifetime_s: int = ENTRY_S) -> str:
    """Return the address that signs *annotator_id* in until *lifetime_s* after *now*.

    Who holds it is taken for the annotator, as who knows their password would be.

    Args:
        key: the zone's.
        annotator_id: who it is for.
        now: seconds since 1970, UTC.
        lifetime_s: seconds.
    """
    return _signed(key, "enter", annotator_id, int(now) + lifetime_s)


def check_entry(key: bytes, annotator_id: str, expires: str, signature: str, *, now: float) -> None:
    """Return if the link was signed with *key* and has not expired.

    Raises:
        EntryRefused: it was not, or it has.
    """
    fault = _fault(key, "enter", annotator_id, expires, signature, now=now)
    if fault is not None:
        raise EntryRefused(
            f"this link {fault}; ask whoever leads the work for a new one, which "
            "`flywheel annotate up` prints"
        )


def _signed(key: bytes, kind: str, name: str, expires: int) -> str:
    query = urlencode({"expires": expires, "signature": _signature(key, kind, name, expires)})
    return f"/{kind}/{name}?{query}"


def _fault(
    key: bytes, kind: str, name: str, expires: str, signature: str, *, now: float
) -> str | None:
    """Say what is wrong with an address; None: nothing."""
    known = _NAMES[kind].fullmatch(name) and expires.isascii() and expires.isdigit()
    if not known or len(expires) > 12:
        return "is not one"
    # Compared first, so that a forged address does not learn what an expired one would.
    expected = _signature(key, kind, name, int(expires))
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        return "was not signed here"
    return "has expired" if now > int(expires) else None


def _signature(key: bytes, kind: str, name: str, expires: int) -> str:
    return hmac.new(key, f"{kind}\n{name}\n{expires}".encode(), hashlib.sha256).hexdigest()


def _partial(root: Path) -> Path:
    folder = root / "media" / ".partial"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
