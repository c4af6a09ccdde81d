"""The folder in which deliveries arrive: what a product sampled, and what its users did.

    <root>/inbox/<turn>/prompts.parquet      prompts as asked
    <root>/inbox/<turn>/generations.parquet  a row a picture, film or text; `blob` is its digest
    <root>/inbox/<turn>/skills.parquet       or .toml; only where generations name skills
    <root>/inbox/<turn>/media/<digest>.png   films are .mp4, texts .txt
    <root>/inbox/<turn>/events.parquet       or .jsonl, .csv
    <root>/inbox/<turn>/delivery.json        written last: the delivery is whole

Nothing in it is believed before it passed its contract.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from backbone.media import modality_of
from data_contracts.errors import FlywheelError

_MARK: Final = "delivery.json"
# Files are named as people would; what they hold is checked by what it is said to be.
_KINDS: Final = {"image": "png", "video": "mp4", "text": "txt"}


class Inbox:
    """Deliveries by turn of the wheel."""

    def __init__(self, root: Path) -> None:
        self._root = root / "inbox"

    def folder(self, turn: str) -> Path:
        """Return where the delivery of *turn* lies, complete or not."""
        return self._root / turn

    def turns(self) -> list[str]:
        """Return the turns whose delivery is whole, in order of their names."""
        if not self._root.is_dir():
            return []
        return sorted(f.name for f in self._root.iterdir() if (f / _MARK).is_file())

    def deliver(
        self,
        turn: str,
        *,
        prompts: pa.Table,
        generations: pa.Table,
        media: Mapping[str, bytes],
        events: pa.Table,
        skills: pa.Table | None = None,
    ) -> None:
        """Write a delivery; it counts as arrived when its mark is written, last."""
        folder = self.folder(turn)
        (folder / _MARK).unlink(missing_ok=True)  # until the second one is whole there is none
        (folder / "media").mkdir(parents=True, exist_ok=True)
        for digest, content in media.items():
            (folder / "media" / f"{digest}.{_KINDS[modality_of(content)]}").write_bytes(content)
        for name, table in (
            ("prompts", prompts),
            ("generations", generations),
            ("events", events),
            ("skills", skills),
        ):
            if table is not None:
                pq.write_table(table, folder / f"{name}.parquet")
        (folder / _MARK).write_text(
            json.dumps({"generations": generations.num_rows, "events": events.num_rows}) + "\n"
        )

    def file(self, turn: str, name: str) -> Path:
        """Return a file of a whole delivery.

        Raises:
            FlywheelError: the delivery has not arrived, or lacks the file.
        """
        found = self.optional_file(turn, name)
        if found is None:
            raise FlywheelError(f"the delivery for {turn} lacks {name}; deliver it again")
        return found

    def optional_file(self, turn: str, name: str) -> Path | None:
        """Return a file of a whole delivery that may do without it; None: it does.

        Raises:
            FlywheelError: the delivery has not arrived, or has several of that name.
        """
        folder = self.folder(turn)
        if not (folder / _MARK).is_file():
            raise FlywheelError(
                f"no delivery for {turn}: put its files into inbox/{turn} and write {_MARK} last"
            )
        found = sorted(folder.glob(f"{name}.*"))
        if len(found) > 1:
            raise FlywheelError(
                f"the delivery for {turn} holds {', '.join(f.name for f in found)}, of which one "
                "alone would be read; deliver one file"
            )
        return found[0] if found else None

    def media(self, turn: str, digest: str) -> bytes:
        """Return a delivered file's bytes.

        Raises:
            FlywheelError: the file is missing or is not what its name says.
        """
        file = self.folder(turn) / "media" / f"{digest}.png"
        others = [file.with_suffix(kind) for kind in (".mp4", ".txt")]
        file = next((each for each in (file, *others) if each.is_file()), file)
        try:
            content = file.read_bytes()
        except OSError as error:
            raise FlywheelError(
                f"the delivery for {turn} lacks media {digest[:12]} ({error.strerror})"
            ) from None
        if hashlib.sha256(content).hexdigest() != digest:
            raise FlywheelError(
                f"media {digest[:12]} of {turn} is not what its name says; deliver it again"
            )
        return content
