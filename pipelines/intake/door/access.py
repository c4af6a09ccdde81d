"""Who may send, and where what they send belongs: API keys, projects and their zones.

A key is 256 random bits, shown once; only its SHA-256 is kept, so that whoever reads the book
cannot send. A project is in one zone, and its zone is known before anything of it is written;
a project that is not in the book is denied.
"""

import hashlib
import json
import os
import re
import secrets
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from data_contracts.errors import FlywheelError, SensitivityError
from data_contracts.labels import Label

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS zones (root TEXT PRIMARY KEY, owners TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS projects (
    tenant_id TEXT NOT NULL, project_id TEXT NOT NULL, root TEXT NOT NULL REFERENCES zones,
    PRIMARY KEY (tenant_id, project_id)
);
CREATE TABLE IF NOT EXISTS keys (
    key_id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, digest BLOB NOT NULL UNIQUE,
    issued_at TEXT NOT NULL, revoked_at TEXT
);
"""
_PLAIN_ID: Final = re.compile(r"[!-~]{1,128}")
_STALE: Final = 0.2  # seconds for which the book is not looked at again
_PREFIX: Final = "fwk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who sends a request."""

    key_id: str
    tenant_id: str
    zones: Mapping[str, Path]  # by project: the root of its zone


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedKey:
    """A key as the book knows it."""

    key_id: str
    tenant_id: str
    issued_at: str
    revoked_at: str | None  # None: it is valid


class AccessBook:
    """The book of keys, projects and zones under one door's folder."""

    def __init__(self, folder: Path) -> None:
        """Open the book, making it where it is absent, readable by us alone.

        Raises:
            FlywheelError: it cannot be opened.
        """
        file = folder / "access.sqlite"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            self._base = sqlite3.connect(file, timeout=30, isolation_level=None)
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=FULL")
            self._base.executescript(_TABLES)
        except (OSError, sqlite3.Error) as error:
            raise FlywheelError(
                f"the door's book {file.name} cannot be opened ({type(error).__name__}); "
                "check the folder's permissions and the disk"
            ) from error
        self._seen: int | None = None
        self._looked = 0.0
        self._callers: dict[bytes, Caller] = {}

    def place(self, tenant_id: str, projects: Sequence[str], *, zone: Path, label: Label) -> None:
        """Write down that *projects* of a tenant are in *zone*; again changes nothing.

        Raises:
            SensitivityError: a project is in another zone, or the zone carries another label.
            FlywheelError: an id is not plain.
        """
        _check_ids([tenant_id, *projects])
        self._seen = None  # our own writing does not move the version that we watch
        root, owners = str(zone.absolute()), json.dumps(sorted(label.owners))
        with self._base:
            self._base.execute("BEGIN IMMEDIATE")
            self._base.execute("INSERT OR IGNORE INTO zones VALUES (?, ?)", (root, owners))
            [[stated]] = self._base.execute("SELECT owners FROM zones WHERE root = ?", (root,))
            if stated != owners:
                raise SensitivityError(
                    f"zone {zone.name} carries another sensitivity label; "
                    "name its owners, or a zone of your own"
                )
            for project in projects:
                row = (tenant_id, project, root)
                self._base.execute("INSERT OR IGNORE INTO projects VALUES (?, ?, ?)", row)
                [[placed]] = self._base.execute(
                    "SELECT root FROM projects WHERE tenant_id = ? AND project_id = ?", row[:2]
                )
                if placed != root:
                    raise SensitivityError(
                        f"project {project} of tenant {tenant_id} is in zone {Path(placed).name}; "
                        "a project does not change its zone here"
                    )

    def issue(self, tenant_id: str, *, at: datetime) -> tuple[str, str]:
        """Make a key for a tenant.

        Returns:
            The key's id, which may be shown, and the key, which is never shown again.
        """
        _check_ids([tenant_id])
        self._seen = None
        key_id = secrets.token_hex(6)
        key = f"{_PREFIX}_{key_id}_{secrets.token_urlsafe(32)}"
        self._base.execute(
            "INSERT INTO keys VALUES (?, ?, ?, ?, NULL)",
            (key_id, tenant_id, _digest(key), at.isoformat(timespec="seconds")),
        )
        return key_id, key

    def revoke(self, key_id: str, *, at: datetime) -> None:
        """Take a key back; a door that is open refuses it within a second.

        Raises:
            FlywheelError: there is no such key.
        """
        self._seen = None
        changed = self._base.execute(
            "UPDATE keys SET revoked_at = coalesce(revoked_at, ?) WHERE key_id = ?",
            (at.isoformat(timespec="seconds"), key_id),
        )
        if changed.rowcount == 0:
            raise FlywheelError(f"there is no key {key_id[:24]}; list them with --list")

    def issued(self) -> list[IssuedKey]:
        """Return all keys, the oldest first."""
        rows = self._base.execute(
            "SELECT key_id, tenant_id, issued_at, revoked_at FROM keys ORDER BY issued_at, key_id"
        )
        return [
            IssuedKey(key_id=key, tenant_id=tenant, issued_at=issued, revoked_at=revoked)
            for key, tenant, issued, revoked in rows
        ]

    def zones(self) -> dict[Path, Label]:
        """Return the zones that projects are in, with their labels."""
        rows = self._base.execute("SELECT root, owners FROM zones ORDER BY root")
        return {Path(root): Label(frozenset(json.loads(owners))) for root, owners in rows}

    def caller(self, key: str) -> Caller | None:
        """Return who holds *key*; None if nobody does, or no longer."""
        now = time.monotonic()
        if self._seen is None or now - self._looked > _STALE:
            self._looked = now
            [[version]] = self._base.execute("PRAGMA data_version")
            if version != self._seen:
                self._callers = self._read_callers()
                self._seen = version
        # Looking up by digest takes the same time however much of a guess is right.
        return self._callers.get(_digest(key))

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def _read_callers(self) -> dict[bytes, Caller]:
        zones: dict[str, dict[str, Path]] = {}
        for tenant, project, root in self._base.execute("SELECT * FROM projects"):
            zones.setdefault(tenant, {})[project] = Path(root)
        rows = self._base.execute(
            "SELECT digest, key_id, tenant_id FROM keys WHERE revoked_at IS NULL"
        )
        return {
            digest: Caller(key_id=key, tenant_id=tenant, zones=zones.get(tenant, {}))
            for digest, key, tenant in rows
        }


def _check_ids(ids: Sequence[str]) -> None:
    if not all(_PLAIN_ID.fullmatch(each) for each in ids):
        raise FlywheelError(
            "a tenant or project is not a plain id; use 1 to 128 visible ASCII characters"
        )


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
