"""Blobs: media named by the SHA-256 of its bytes."""

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Final

from data_contracts.errors import FlywheelError
from data_contracts.ids import Digest
from pipelines.stores.atomic import PARTIAL, locked, storage_errors, sync_folder, write_file
from pipelines.stores.digests import bytes_digest, checked_digest

MAX_BYTES: Final = 256 * 1024 * 1024
_WRITERS: Final = 8  # they wait for the disk, so that one flush serves several of them


class Blobs:
    """Media that never changes; equal bytes are stored once."""

    def __init__(self, root: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self._root = root
        self._drops = root / ".locks" / "drops"  # writers share it, who deletes holds it alone
        self._max_bytes = max_bytes

    def put(self, content: bytes) -> Digest:
        """Store *content* durably; return its name.

        Raises:
            FlywheelError: it is larger than the cap, or the disk refuses.
        """
        if len(content) > self._max_bytes:
            raise FlywheelError(
                f"a blob of {len(content)} bytes exceeds the cap of {self._max_bytes} bytes; "
                "store a smaller rendition"
            )
        digest = bytes_digest(content)
        file, partial = self._file(digest), self._root / PARTIAL
        with storage_errors(f"blob {digest[:12]}"), locked(self._drops, exclusive=False):
            write_file(file, content, partial=partial)
            os.utime(file)  # also where it stood already: whoever drops it sees that it is wanted
        return digest

    def put_many(self, contents: Sequence[bytes]) -> list[Digest]:
        """Store every one of *contents*; return their names in the same order."""
        distinct = list(dict.fromkeys(contents))
        with ThreadPoolExecutor(_WRITERS) as pool:
            names = dict(zip(distinct, pool.map(self.put, distinct), strict=True))
        return [names[content] for content in contents]

    def get(self, digest: Digest) -> bytes:
        """Return the bytes named *digest*, checked against their name.

        Raises:
            FlywheelError: there is no such blob, or its bytes changed on disk.
        """
        try:
            content = self._file(checked_digest(digest)).read_bytes()
        except FileNotFoundError as error:
            raise FlywheelError(f"there is no blob {digest[:12]} in this store") from error
        if bytes_digest(content) != digest:
            raise FlywheelError(
                f"blob {digest[:12]} is damaged: its bytes no longer match its name; "
                "restore it from a backup"
            )
        return content

    def has(self, digest: Digest) -> bool:
        """Say whether a blob of this name is stored."""
        return self._file(checked_digest(digest)).is_file()

    def drop(self, digest: Digest, *, unused_for: timedelta) -> bool:
        """Delete a blob that nothing names, for good; say whether it is gone.

        One that was put within *unused_for* stays: whoever put it may be about to name it.
        Dropping what is gone already changes nothing.
        """
        file = self._file(checked_digest(digest))
        with locked(self._drops, exclusive=True):
            try:
                age = time.time() - file.stat().st_mtime
            except FileNotFoundError:
                return True
            if age < unused_for.total_seconds():
                return False
            with storage_errors(f"the deletion of blob {digest[:12]}"):
                file.unlink()
                sync_folder(file.parent)
        return True

    def file(self, digest: Digest) -> Path:
        """Return where the blob of this name lies, for a server that sends ranges; unchecked."""
        return self._file(checked_digest(digest))

    def _file(self, digest: Digest) -> Path:
        return self._root / digest[:2] / digest
