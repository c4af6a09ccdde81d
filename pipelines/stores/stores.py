"""The stores of one zone, opened together under one root."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from data_contracts.errors import FlywheelError
from pipelines.stores.append import AppendTables
from pipelines.stores.atomic import PARTIAL, storage_errors, sweep
from pipelines.stores.blobs import Blobs
from pipelines.stores.catalogue import Catalogue
from pipelines.stores.checkpoints import Checkpoints
from pipelines.stores.derived import DerivedTables
from pipelines.stores.scratch import Scratch


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Everything that one zone keeps."""

    root: Path
    append: AppendTables
    derived: DerivedTables
    blobs: Blobs
    checkpoints: Checkpoints
    catalogue: Catalogue
    scratch: Scratch


def open_stores(root: Path, *, catalogue_url: str | None = None) -> Stores:
    """Open the stores under *root*, making them where they are absent, readable by us alone.

    What killed writers left behind is removed; nothing that was acknowledged is touched.

    Args:
        root: the folder; one per zone.
        catalogue_url: an SQLAlchemy URL; None is an SQLite file under *root*.

    Raises:
        FlywheelError: *root* is a file or not writable, or the catalogue cannot be opened.
    """
    root = root.absolute()
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise FlywheelError(
            f"the store {root.name} cannot be opened: there is a file where its folder should be; "
            "name another folder"
        ) from error
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise _not_writable(root) from error
    if not os.access(root, os.W_OK | os.X_OK):
        raise _not_writable(root)
    with storage_errors(f"the store {root.name}"):
        names = ("append", "derived", "blobs", "checkpoints", "scratch")
        folders = {name: root / name for name in names}
        for folder in folders.values():
            (folder / PARTIAL).mkdir(mode=0o700, parents=True, exist_ok=True)
            sweep(folder / PARTIAL)
    return Stores(
        root=root,
        append=AppendTables(folders["append"]),
        derived=DerivedTables(folders["derived"]),
        blobs=Blobs(folders["blobs"]),
        checkpoints=Checkpoints(folders["checkpoints"]),
        catalogue=Catalogue(catalogue_url or f"sqlite:///{root / 'catalogue.sqlite'}"),
        scratch=Scratch(folders["scratch"]),
    )


def _not_writable(root: Path) -> FlywheelError:
    return FlywheelError(
        f"the store {root.name} cannot be opened: the folder is not writable; "
        "correct its permissions or name another folder"
    )
