"""Digests: how content is named, and what a name must look like before it becomes a path."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Final

from data_contracts.errors import FlywheelError
from data_contracts.ids import Digest

_HEX: Final = re.compile(r"[0-9a-f]{64}")


def checked_digest(digest: str) -> Digest:
    """Return *digest* if it is a lower-case hexadecimal SHA-256.

    Raises:
        FlywheelError: it is not, so it may not become part of a path.
    """
    if not _HEX.fullmatch(digest):
        raise FlywheelError("a digest is 64 lower-case hexadecimal characters; this one is not")
    return Digest(digest)


def bytes_digest(content: bytes) -> Digest:
    """Return the SHA-256 of *content*."""
    return Digest(hashlib.sha256(content).hexdigest())


def file_digest(path: Path) -> Digest:
    """Return the SHA-256 of the file *path*, read piece by piece."""
    with path.open("rb") as stream:
        return Digest(hashlib.file_digest(stream, "sha256").hexdigest())


def canonical_json(value: Any) -> bytes:
    """Return *value* as JSON with sorted keys and no white space; NaN is refused.

    Raises:
        FlywheelError: *value* holds something that JSON cannot.
    """
    try:
        text = json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
    except (TypeError, ValueError) as error:
        raise FlywheelError(f"a manifest holds a value that JSON cannot: {error}") from error
    return text.encode()


def json_digest(value: Any) -> Digest:
    """Return the SHA-256 of the canonical JSON of *value*."""
    return bytes_digest(canonical_json(value))
