"""An examination: what would stop the wheel on this machine, and what to do about it."""

import importlib.metadata
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import psutil

from data_contracts.errors import FlywheelError
from data_contracts.ids import CheckpointId, Digest, SnapshotId
from pipelines.stores import Stores, open_snapshot, open_stores

State = Literal["ok", "note", "bad"]

_PIN: Final = re.compile(r"([A-Za-z0-9._-]+)==([^\s;]+)")
_DISK_GB: Final = 5.0
_MEMORY_GB: Final = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing examined; *note* stops nothing, *bad* stops the wheel and says what to do."""

    subject: str
    state: State
    says: str


def examine(root: Path, *, sets: Path | None) -> list[Finding]:
    """Examine this machine, this installation, and the zone under *root* if there is one."""
    return [
        _python(),
        _environment(),
        _pins(_constraints()),
        _disk(root),
        _memory(),
        _accelerator(),
        *_zone(root),
        _sets(sets),
    ]


def _python() -> Finding:
    version = platform.python_version()
    if sys.version_info[:2] in ((3, 11), (3, 12)):
        return Finding(subject="python", state="ok", says=version)
    return Finding(subject="python", state="bad", says=f"{version}; use 3.11 or 3.12")


def _environment() -> Finding:
    if sys.prefix != sys.base_prefix:
        return Finding(subject="environment", state="ok", says="a virtual environment of its own")
    return Finding(
        subject="environment",
        state="note",
        says="not a virtual environment; `make setup` makes one, so that pins cannot clash",
    )


def _constraints() -> Path | None:
    here = Path(__file__).parent.parent / "constraints.txt"
    return here if here.is_file() else None


def _pins(constraints: Path | None) -> Finding:
    if constraints is None:
        return Finding(
            subject="packages", state="note", says="no constraints.txt here to compare with"
        )
    wanted = dict(_PIN.findall(constraints.read_text("utf-8")))
    wrong = []
    for name, version in sorted(wanted.items()):
        found = _installed(name)
        # A local build such as 2.13.0+cpu is the same release.
        if found is not None and found.partition("+")[0] != version.partition("+")[0]:
            wrong.append(f"{name} {found} (pinned {version})")
    if not wrong:
        return Finding(subject="packages", state="ok", says=f"as pinned ({len(wanted)} pins)")
    return Finding(
        subject="packages",
        state="note",
        says=f"{len(wrong)} differ from constraints.txt: {', '.join(wrong[:5])}; "
        "run `pip install -c constraints.txt -e .`",
    )


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _disk(root: Path) -> Finding:
    place = next(each for each in (root, *root.absolute().parents) if each.exists())
    free = shutil.disk_usage(place).free / 1e9
    if free >= _DISK_GB:
        return Finding(subject="disk", state="ok", says=f"{free:.0f} GB free")
    return Finding(
        subject="disk", state="bad", says=f"{free:.1f} GB free; make room for {_DISK_GB:.0f} GB"
    )


def _memory() -> Finding:
    memory = psutil.virtual_memory()
    says = f"{memory.available / 1e9:.1f} GB of {memory.total / 1e9:.1f} GB available"
    if memory.available >= _MEMORY_GB * 1e9:
        return Finding(subject="memory", state="ok", says=says)
    return Finding(
        subject="memory",
        state="note",
        says=f"{says}; the demo takes up to {_MEMORY_GB:.0f} GB, so close something first",
    )


def _accelerator() -> Finding:
    import torch

    if torch.cuda.is_available():
        return Finding(subject="GPU", state="ok", says=torch.cuda.get_device_name(0))
    return Finding(subject="GPU", state="note", says="none; training runs on the processor")


def _zone(root: Path) -> Iterator[Finding]:
    if not (root / "checkpoints").is_dir():
        yield Finding(
            subject="zone", state="note", says=f"none at {root}; `flywheel demo` makes one"
        )
        return
    try:
        stores = open_stores(root)
        pointers = stores.catalogue.pointers()
    except FlywheelError as error:
        yield Finding(subject="zone", state="bad", says=str(error))
        return
    yield Finding(subject="zone", state="ok", says=f"catalogue opens, {len(pointers)} pointers")
    yield _checkpoints(stores, pointers)
    yield from _unfinished(stores)
    yield _release(stores)
    yield _tables(stores, pointers)


def _checkpoints(stores: Stores, pointers: dict[str, str]) -> Finding:
    """Verify every checkpoint that lies there, and miss those that a pointer names."""
    held = set(stores.checkpoints.ids())
    faults = [
        f"{name} names checkpoint {value[:12]}, which is gone; train it again, or restore it"
        for name, value in pointers.items()
        if not name.startswith("release/")  # told as a release
        and stores.catalogue.has(value)
        and stores.catalogue.object(value).kind == "checkpoint"
        and value not in held
    ]
    for checkpoint in stores.checkpoints.ids():
        try:
            stores.checkpoints.verify(checkpoint)
        except FlywheelError as error:
            faults.append(str(error))
    if faults:
        return Finding(subject="checkpoints", state="bad", says="; ".join(faults))
    count = len(stores.checkpoints.ids())
    return Finding(subject="checkpoints", state="ok", says=f"{count} verified, file by file")


def _unfinished(stores: Stores) -> Iterator[Finding]:
    """Name what stopped trainings left; other code or settings never go on from it."""
    states = [f for f in (stores.root / "unfinished").glob("*/*/*") if f.is_file()]
    if states:
        runs = len({file.parents[1] for file in states})
        size = sum(file.stat().st_size for file in states) / 1e6
        yield Finding(
            subject="unfinished",
            state="note",
            says=f"{runs} trainings stopped midway hold {size:.0f} MB; the same command goes on "
            "from there, and deleting the folder `unfinished` forgets them",
        )


def _release(stores: Stores) -> Finding:
    pointers = stores.catalogue.pointers("release/")
    lost = [
        name
        for name, checkpoint in pointers.items()
        if CheckpointId(checkpoint) not in stores.checkpoints.ids()
    ]
    if lost:
        return Finding(
            subject="release",
            state="bad",
            says=f"{', '.join(lost)} names a checkpoint that is gone; run `flywheel rollback`",
        )
    if not pointers:
        return Finding(subject="release", state="note", says="nothing was released yet")
    says = ", ".join(f"{name.partition('/')[2]} {value[:12]}" for name, value in pointers.items())
    return Finding(subject="release", state="ok", says=says)


def _tables(stores: Stores, pointers: dict[str, str]) -> Finding:
    """Check that pointers at tables and snapshots still find whole files."""
    faults = []
    checked = 0
    for name, value in pointers.items():
        if name.startswith(("release/", "snapshot/", "append/", "ingest/")):
            continue
        known = stores.catalogue.object(value) if stores.catalogue.has(value) else None
        if known is None or known.kind == "checkpoint":
            continue
        checked += 1
        try:
            if known.kind == "snapshot":
                open_snapshot(stores, SnapshotId(value), known.label)
            else:
                stores.derived.read(Digest(value))
        except FlywheelError as error:
            faults.append(f"{name}: {error}")
    if faults:
        return Finding(subject="tables", state="bad", says="; ".join(faults[:3]))
    return Finding(subject="tables", state="ok", says=f"{checked} tables and snapshots are whole")


def _sets(sets: Path | None) -> Finding:
    if sets is None:
        return Finding(
            subject="public sets",
            state="note",
            says="no folder named; `flywheel import` takes one, pass --sets to examine it",
        )
    if not sets.is_dir():
        return Finding(subject="public sets", state="bad", says=f"{sets}: no such folder")
    found = sorted(each.name for each in sets.iterdir() if each.is_dir())
    return Finding(subject="public sets", state="ok", says=", ".join(found) or "an empty folder")
