"""Checkpoints: folders of safetensors and JSON, written whole or not at all, never pickled."""

import errno
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from shutil import copyfile
from typing import Any, Final, Literal, get_args

from data_contracts.errors import FlywheelError
from data_contracts.ids import CheckpointId, Digest
from pipelines.stores.atomic import (
    PARTIAL,
    partial_folder,
    storage_errors,
    sync_file,
    sync_folder,
)
from pipelines.stores.digests import (
    bytes_digest,
    canonical_json,
    checked_digest,
    file_digest,
    json_digest,
)

Kind = Literal["backbone", "sft", "dpo", "reward", "aspects", "grpo"]
MANIFEST: Final = "manifest.json"
_FILES: Final = "*.safetensors, *.json, *.txt, *.jinja and *.model"
_SUFFIXES: Final = frozenset({".safetensors", ".json", ".txt", ".jinja", ".model"})
_PICKLED: Final = (b"PK\x03\x04", *(b"\x80" + bytes([protocol]) for protocol in range(2, 6)))
_MAX_HEADER: Final = 100 * 1024 * 1024  # the cap of the safetensors format


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFields:
    """What a writer must say about a checkpoint; clocks and timings do not belong here."""

    kind: Kind
    parents: tuple[str, ...]  # digests and checkpoint ids it was made from
    label: tuple[str, ...]  # owners, sorted; empty is GENERAL
    label_epoch: int
    code_version: str
    configuration_digest: str
    modalities: tuple[str, ...]
    samples_seen: str | None = None  # digest of which samples each step saw; None: not trained

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise FlywheelError(
                f"a checkpoint cannot be of kind {self.kind!r}; use {', '.join(get_args(Kind))}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointManifest(CheckpointFields):
    """A stored checkpoint: its fields and the digest of every file."""

    digest: Digest  # over the sorted (name, SHA-256) of its files: equal weights, equal digest
    files: Mapping[str, Digest] = field(default_factory=dict)


class CheckpointWriter:
    """A checkpoint being written: put files into `folder`; `checkpoint_id` exists afterwards."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._checkpoint_id: CheckpointId | None = None

    @property
    def checkpoint_id(self) -> CheckpointId:
        if self._checkpoint_id is None:
            raise FlywheelError("a checkpoint has no id before its writer closes")
        return self._checkpoint_id

    def _name(self, checkpoint_id: CheckpointId) -> None:
        self._checkpoint_id = checkpoint_id


class Checkpoints:
    """Stored checkpoints, each a folder named by the digest of its manifest."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextmanager
    def writer(self, fields: CheckpointFields) -> Iterator[CheckpointWriter]:
        """Give a folder to write into; on leaving it becomes a checkpoint, or nothing at all.

        Raises:
            FlywheelError: a file is of a type that may hold code, or the disk refuses.
        """
        with storage_errors("a checkpoint"), partial_folder(self._root / PARTIAL) as folder:
            writer = CheckpointWriter(folder)
            yield writer
            files = _checked_files(folder, what="the checkpoint being written")
            manifest = CheckpointManifest(
                **asdict(fields), digest=json_digest(sorted(files.items())), files=files
            )
            content = canonical_json(asdict(manifest))
            checkpoint_id = CheckpointId(bytes_digest(content))
            (folder / MANIFEST).write_bytes(content)
            _sync_tree(folder)
            self._place(folder, checkpoint_id)
            writer._name(checkpoint_id)

    def adopt(self, folder: Path, fields: CheckpointFields) -> CheckpointId:
        """Store a copy of *folder*, as a training subprocess left it.

        Raises:
            FlywheelError: it is not a folder, is empty, or holds a file that may hold code.
        """
        if not folder.is_dir():
            raise FlywheelError(
                f"{folder.name} is not a checkpoint: a folder with {_FILES} is needed"
            )
        with self.writer(fields) as writer:
            for name in _checked_files(folder, what=folder.name):
                (writer.folder / name).parent.mkdir(parents=True, exist_ok=True)
                copyfile(folder / name, writer.folder / name)
        return writer.checkpoint_id

    def path(self, checkpoint_id: CheckpointId) -> Path:
        """Return the folder of a checkpoint, for libraries that load one; not verified.

        Raises:
            FlywheelError: there is no such checkpoint.
        """
        folder = self._root / checked_digest(checkpoint_id)
        if not (folder / MANIFEST).is_file():
            raise FlywheelError(
                f"there is no checkpoint {checkpoint_id[:12]} in this store; "
                "train it, or name one that `ids()` lists"
            )
        return folder

    def manifest(self, checkpoint_id: CheckpointId) -> CheckpointManifest:
        """Return what is known about a checkpoint, checked against its name.

        Raises:
            FlywheelError: there is no such checkpoint, or its manifest changed on disk.
        """
        content = (self.path(checkpoint_id) / MANIFEST).read_bytes()
        if CheckpointId(bytes_digest(content)) != checkpoint_id:
            raise _damaged(checkpoint_id, "its manifest no longer matches its name")
        return _manifest(json.loads(content))

    def verify(self, checkpoint_id: CheckpointId) -> CheckpointManifest:
        """Return the manifest after checking every file against it.

        Raises:
            FlywheelError: a file is missing, was added, or changed.
        """
        manifest = self.manifest(checkpoint_id)
        found = _checked_files(
            self.path(checkpoint_id), what=f"checkpoint {checkpoint_id[:12]}", besides=MANIFEST
        )
        wrong = sorted(
            name
            for name in {*found, *manifest.files}
            if found.get(name) != manifest.files.get(name)
        )
        if wrong:
            raise _damaged(checkpoint_id, f"missing, added or changed: {', '.join(wrong)}")
        return manifest

    def ids(self) -> list[CheckpointId]:
        """Return the ids of all checkpoints, sorted."""
        return sorted(
            CheckpointId(found.parent.name)
            for found in self._root.glob(f"*/{MANIFEST}")
            if found.parent.name != PARTIAL
        )

    def _place(self, folder: Path, checkpoint_id: CheckpointId) -> None:
        try:
            folder.rename(self._root / checkpoint_id)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            self.verify(checkpoint_id)  # the same content under the same name is already there
        sync_folder(self._root)


def _damaged(checkpoint_id: CheckpointId, why: str) -> FlywheelError:
    return FlywheelError(
        f"checkpoint {checkpoint_id[:12]} is damaged: {why}; "
        "delete its folder and train it again, or restore it from a backup"
    )


def _manifest(fields: dict[str, Any]) -> CheckpointManifest:
    plain: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
    }
    return CheckpointManifest(**plain)


def _checked_files(folder: Path, *, what: str, besides: str | None = None) -> dict[str, Digest]:
    """Return the digest of every file below *folder*, by relative name, sorted."""
    found = sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    names = {path.relative_to(folder).as_posix(): path for path in found}
    refused = [name for name, path in names.items() if not _is_allowed(path)]
    if refused:
        raise FlywheelError(
            f"{what} holds {', '.join(refused)}; only {_FILES} are stored, "
            "and nothing that is pickled, damaged or a link: save it again without them"
        )
    names.pop(besides or "", None)
    if besides is None and MANIFEST in names:
        raise FlywheelError(f"{what} holds {MANIFEST}, which is the store's own; rename yours")
    if not any(name.endswith(".safetensors") for name in names):
        raise FlywheelError(f"{what} is not a checkpoint: it holds no *.safetensors file")
    return {name: file_digest(path) for name, path in names.items()}


def _is_allowed(path: Path) -> bool:
    if path.is_symlink() or not path.is_file() or path.suffix not in _SUFFIXES:
        return False
    with path.open("rb") as stream:
        start = stream.read(9)
    if path.suffix == ".safetensors":
        header = int.from_bytes(start[:8], "little")
        return start[8:] == b"{" and header <= _MAX_HEADER and header + 8 <= path.stat().st_size
    return not start.startswith(_PICKLED)


def _sync_tree(folder: Path) -> None:
    folders: Sequence[Path] = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for path in folder.rglob("*"):
        if path.is_file():
            sync_file(path)
    for path in folders:
        sync_folder(path)
