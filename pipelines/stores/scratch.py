"""What can be made again at any time: kept to save work, never a source, safe to clear."""

from pathlib import Path

from pipelines.stores.atomic import PARTIAL, storage_errors, write_file
from pipelines.stores.digests import checked_digest


class Scratch:
    """Byte strings under the digest of what they were made from."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def get(self, made_from: str) -> bytes | None:
        """Return what was made from *made_from*, or None."""
        file = self._file(made_from)
        return file.read_bytes() if file.is_file() else None

    def put(self, made_from: str, content: bytes) -> None:
        """Keep *content*; it appears whole or not at all.

        Raises:
            FlywheelError: the disk refused.
        """
        with storage_errors(f"scratch {made_from[:12]}"):
            write_file(self._file(made_from), content, partial=self._root / PARTIAL)

    def clear(self) -> int:
        """Forget everything; return how many pieces that were."""
        files = [file for file in self._root.iterdir() if file.is_file()]
        for file in files:
            file.unlink(missing_ok=True)
        return len(files)

    def _file(self, made_from: str) -> Path:
        return self._root / checked_digest(made_from)
