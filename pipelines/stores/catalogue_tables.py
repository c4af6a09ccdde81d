"""The catalogue's tables and how its database is opened: SQLite by default, Postgres by URL."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.pool import NullPool

from data_contracts.errors import FlywheelError
from pipelines.stores.atomic import disk_refused

METADATA: Final = sa.MetaData()

# By URL, with the file that was meant: a wheel may be deleted and begun anew at the same place.
_prepared: dict[str, tuple[tuple[int, int], sa.Engine]] = {}

OBJECTS: Final = sa.Table(
    "objects",
    METADATA,
    sa.Column("object_id", sa.String, primary_key=True),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("owners", sa.JSON, nullable=False),  # sorted; empty is GENERAL
    sa.Column("label_epoch", sa.Integer, nullable=False),
)
EDGES: Final = sa.Table(
    "edges",
    METADATA,
    sa.Column("child", sa.String, sa.ForeignKey("objects.object_id"), primary_key=True),
    sa.Column("parent", sa.String, sa.ForeignKey("objects.object_id"), primary_key=True),
    sa.Column("kind", sa.String, primary_key=True),
    sa.Index("edges_by_parent", "parent"),
)
POINTERS: Final = sa.Table(
    "pointers",
    METADATA,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("value", sa.String, nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False),
)
MOVES: Final = sa.Table(
    "pointer_moves",
    METADATA,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("sequence", sa.Integer, primary_key=True),  # from 0, one step a move
    sa.Column("action", sa.String, nullable=False),
    sa.Column("previous", sa.String),  # null for the first
    sa.Column("value", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("moved_by", sa.String, nullable=False),
    sa.Column("moved_at", sa.String, nullable=False),
)
VALIDATIONS: Final = sa.Table(
    "validations",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("digest", sa.String, nullable=False, index=True),
    sa.Column("contract", sa.String, nullable=False),
    sa.Column("version", sa.String, nullable=False),
    sa.Column("passed", sa.Boolean, nullable=False),
    sa.Column("rules", sa.JSON, nullable=False),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("validated_at", sa.String, nullable=False),
)
GRANTS: Final = sa.Table(
    "grants",
    METADATA,
    sa.Column("role", sa.String, primary_key=True),
    sa.Column("capability", sa.String, primary_key=True),
)


def opened_engine(url: str) -> sa.Engine:
    """Open the catalogue's database and make its tables where they are absent.

    An SQLite file is prepared once a process, for stores are opened at every step: the engine holds
    no connection between transactions, and keeps what it has compiled.

    Raises:
        FlywheelError: the database cannot be opened.
    """
    kept = _prepared.get(url)
    if kept is not None and kept[0] == _file_identity(url):
        return kept[1]
    engine = prepared_engine(url, METADATA)
    identity = _file_identity(url)
    if identity is not None:
        _prepared[url] = (identity, engine)
    return engine


def _file_identity(url: str) -> tuple[int, int] | None:
    """Return which file *url* means now; None if it is no file."""
    told = sa.make_url(url)
    if told.get_backend_name() != "sqlite" or not told.database:
        return None
    try:
        found = os.stat(told.database)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def prepared_engine(url: str, metadata: sa.MetaData) -> sa.Engine:
    """Open a database and make the tables of *metadata* where they are absent.

    Raises:
        FlywheelError: the database cannot be opened.
    """
    # A connection a transaction: an open SQLite handle must not cross a fork.
    engine = sa.create_engine(url, poolclass=NullPool)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    with transaction(engine, writes=False) as connection:
        known = set(sa.inspect(connection).get_table_names())
    if not known.issuperset(metadata.tables):
        with transaction(engine) as connection:
            metadata.create_all(connection)
    return engine


@contextmanager
def transaction(engine: sa.Engine, *, writes: bool = True) -> Iterator[sa.Connection]:
    """Run one transaction; a full disk or a locked database becomes one sentence."""
    try:
        fresh = engine.connect().execution_options(flywheel_writes=writes)
        with fresh as connection, connection.begin():
            yield connection
    except DatabaseError as error:
        if type(error) not in (DatabaseError, OperationalError):
            raise  # a broken constraint or statement is our mistake, not the disk's
        reason = str(error.orig)
        if "full" in reason or "disk I/O" in reason:
            raise disk_refused("a catalogue entry", "no space left on device") from error
        raise FlywheelError(
            f"the catalogue's database answered: {reason}; check that it is reachable and writable"
        ) from error


def stamp(at: datetime) -> str:
    """Return *at* as UTC text that sorts by time.

    Raises:
        FlywheelError: *at* has no time zone.
    """
    if at.tzinfo is None:
        raise FlywheelError("a time without a zone is ambiguous; pass one in UTC")
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we begin transactions ourselves
    cursor = connection.cursor()
    # Wait for other writers before anything else, so that switching to WAL waits too.
    for pragma in ("busy_timeout=60000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # A writer locks at once: upgrading a read lock later could fail instead of waiting.
    writes = connection.get_execution_options().get("flywheel_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
