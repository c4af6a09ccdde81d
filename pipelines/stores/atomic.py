"""Files that appear whole or not at all, locks between processes, and full disks in one sentence.

A writer works under a partial name, syncs, then renames. While it lives it holds a lock on its
partial file, so that `sweep` can tell what a killed writer left behind from work in progress.
"""

import errno
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from data_contracts.errors import FlywheelError

PARTIAL: Final = ".partial"  # the folder of unfinished work inside every store
_ANSWERABLE: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
)
# deltalake and safetensors raise errors without a number; only their text tells.
_TOLD: Final = re.compile(r"os error (\d+)")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Turn what a disk can refuse (no space, quota, permission) into one sentence about *what*."""
    try:
        yield
    except FlywheelError:
        raise
    except Exception as error:
        number = _errno(error)
        if number not in _ANSWERABLE:
            raise
        raise disk_refused(what, os.strerror(number)) from error


def disk_refused(what: str, reason: str) -> FlywheelError:
    """Say that the disk refused to store *what*, and what to do."""
    return FlywheelError(
        f"{what} was not stored: {reason.lower()}; nothing half-written was kept, "
        "so free some space or correct the folder's permissions and run again"
    )


def checked_name(name: str, *, what: str) -> str:
    """Return *name* if it can be part of a path: letters, digits, dot, dash, underscore."""
    if not _NAME.fullmatch(name):
        raise FlywheelError(
            f"{what} is not a usable name; use 1 to 128 letters, digits, '.', '-' or '_'"
        )
    return name


@contextmanager
def locked(path: Path, *, exclusive: bool) -> Iterator[None]:
    """Hold a lock that every process on this machine respects; readers share, a writer does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def write_file(final: Path, content: bytes, *, partial: Path) -> None:
    """Store *content* under the name *final*, durably: when this returns, a crash cannot undo it.

    Args:
        final: the name; a file there that already holds *content* is kept.
        content: the bytes.
        partial: the store's folder for unfinished work, on the same file system.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    if not (final.is_file() and final.read_bytes() == content):
        with partial_file(partial) as (descriptor, name):
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
            name.rename(final)
    sync_folder(final.parent)
    sync_folder(final.parent.parent)


@contextmanager
def partial_file(partial: Path) -> Iterator[tuple[int, Path]]:
    """Open a new, locked file in *partial*; it is gone afterwards unless it was renamed."""
    name = partial / secrets.token_hex(16)
    with locked(partial / ".lock", exclusive=False):
        descriptor = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield descriptor, name
    finally:
        name.unlink(missing_ok=True)
        os.close(descriptor)


@contextmanager
def partial_folder(partial: Path) -> Iterator[Path]:
    """Make a new, locked folder in *partial*; it is gone afterwards unless it was renamed."""
    name = partial / secrets.token_hex(16)
    with locked(partial / ".lock", exclusive=False):
        name.mkdir(mode=0o700)
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield name
    finally:
        shutil.rmtree(name, ignore_errors=True)
        os.close(descriptor)


def sweep(partial: Path) -> int:
    """Remove what killed writers left in *partial*; return how many pieces that were."""
    removed = 0
    with locked(partial / ".lock", exclusive=True):
        for left in sorted(partial.iterdir()):
            if left.name != ".lock" and _abandoned(left):
                if left.is_dir():
                    shutil.rmtree(left)
                else:
                    left.unlink()
                removed += 1
    return removed


def _abandoned(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False  # renamed into place since we listed it
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return path.exists()
    finally:
        os.close(descriptor)


def _errno(error: Exception) -> int:
    """Return the system's error number, 0 if there is none."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    told = _TOLD.search(str(error))
    return 0 if told is None else int(told[1])


def sync_file(path: Path) -> None:
    """Wait until the bytes of *path* are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Wait until the names in the folder *path* are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
