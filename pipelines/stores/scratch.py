"""What can be made again at any time: kept to save work, never a source, safe to clear."""

from contextlib import suppress
from pathlib import Path
from typing import Final

from pipelines.stores.atomic import PARTIAL, storage_errors, write_file
from pipelines.stores.digests import checked_digest

MOST_BYTES: Final = 4 << 30


class Scratch:
    """Byte strings under the digest of what they were made from; the oldest go when it is full."""

    def __init__(self, root: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self._root = root
        self._most_bytes = most_bytes

    def get(self, made_from: str) -> bytes | None:
        """Return what was made from *made_from*, or None."""
        # Another process may clear it at any time.
        with suppress(FileNotFoundError):
            return self._file(made_from).read_bytes()
        return None

    def put(self, made_from: str, content: bytes) -> None:
        """Keep *content*; it appears whole or not at all.

        Raises:
            FlywheelError: the disk refused.
        """
        with storage_errors(f"scratch {made_from[:12]}"):
            write_file(self._file(made_from), content, partial=self._root / PARTIAL)
            self._make_room(besides=self._file(made_from))

    def clear(self) -> int:
        """Forget everything; return how many pieces that were."""
        files = [file for file in self._root.iterdir() if file.is_file()]
        for file in files:
            file.unlink(missing_ok=True)
        return len(files)

    def _make_room(self, *, besides: Path) -> None:
        """Remove the oldest pieces until the rest, with *besides*, keeps within its size."""
        aged = {}
        for file in self._root.iterdir():
            # Another process may clear a piece at any time.
            with suppress(FileNotFoundError):
                if file.is_file():
                    aged[file] = file.stat()
        held = sum(each.st_size for each in aged.values())
        for file in sorted(aged, key=lambda f: (aged[f].st_mtime_ns, f.name)):
            if held <= self._most_bytes:
                break
            if file != besides:
                file.unlink(missing_ok=True)
                held -= aged[file].st_size

    def _file(self, made_from: str) -> Path:
        return self._root / checked_digest(made_from)
