"""The catalogue: what exists, whose it is, what it was made from, and who may do what."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple, get_args

import sqlalchemy as sa

from data_contracts.errors import FlywheelError, SensitivityError
from data_contracts.labels import Label, join_labels
from pipelines.stores.catalogue_tables import (
    EDGES,
    GRANTS,
    OBJECTS,
    VALIDATIONS,
    opened_engine,
    stamp,
    transaction,
)
from pipelines.stores.pointers import RELEASE, Pointers, move_to

EdgeKind = Literal["evidence", "statistic", "lineage"]
EDGE_KINDS: Final = get_args(EdgeKind)


class RoleDenied(FlywheelError):
    """A role lacks a capability."""


class Parent(NamedTuple):
    """An input of an object: *evidence* is in it, a *statistic* was fitted with it."""

    object_id: str
    edge: EdgeKind = "lineage"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueObject:
    """What the catalogue knows of one object."""

    object_id: str  # a digest, a checkpoint id, or the name of an append table
    kind: str
    label: Label
    label_epoch: int
    parents: tuple[Parent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationRecord:
    """The outcome of checking one table against one contract."""

    digest: str
    contract: str
    version: str
    passed: bool
    rules: tuple[str, ...]  # the rules that were checked
    rows: int
    at: str  # ISO 8601, UTC


class Catalogue(Pointers):
    """Labels, edges, pointers, validation records and roles; what is not recorded is denied."""

    def __init__(self, url: str) -> None:
        self._engine = opened_engine(url)

    def register(
        self,
        object_id: str,
        kind: str,
        parents: Iterable[Parent | str] = (),
        *,
        label: Label | None = None,
        label_epoch: int = 0,
    ) -> Label:
        """Record an object; its label is computed here, as the join of its parents' labels.

        Registering again adds parents and never changes the label.

        Args:
            object_id: its digest, checkpoint id or table name.
            kind: what it is, as a noun: events, preference_pairs, snapshot, checkpoint.
            parents: what it was made from; a bare id is a *lineage* parent.
            label: of a source, which has no parents; an output must not state one.
            label_epoch: of a source; an output takes the highest of its parents'.

        Raises:
            SensitivityError: a source states no label, an output states one, a parent is not
                recorded, or the object already has another label.
        """
        with transaction(self._engine) as connection:
            return _register(connection, object_id, kind, parents, label, label_epoch)

    def register_at(
        self,
        name: str,
        object_id: str,
        kind: str,
        parents: Iterable[Parent | str],
        *,
        reason: str,
        by: str,
        at: datetime,
    ) -> Label:
        """Record an output and let the pointer *name* stand at it: both or neither.

        Raises:
            SensitivityError: as `register`.
        """
        if name.startswith(RELEASE):
            raise FlywheelError("a release moves by promote or rollback only")
        with transaction(self._engine) as connection:
            joined = _register(connection, object_id, kind, parents, None, 0)
            move_to(connection, name, object_id, reason=reason, by=by, at=at)
        return joined

    def label(self, object_id: str) -> Label:
        """Return whose permission a reader of the object needs.

        Raises:
            SensitivityError: the object is not recorded, so it is denied.
        """
        return self.object(object_id).label

    def object(self, object_id: str) -> CatalogueObject:
        """Return what is known of the object.

        Raises:
            SensitivityError: the object is not recorded, so it is denied.
        """
        with transaction(self._engine, writes=False) as connection:
            found = _object(connection, object_id)
        if found is None:
            raise SensitivityError(
                f"{object_id[:40]} has no sensitivity label in the catalogue, so it is denied; "
                "register it with its parents first"
            )
        return found

    def ancestry(self, object_ids: Iterable[str]) -> dict[str, CatalogueObject | None]:
        """Return the objects and all that they were made from, as the catalogue is at one moment.

        None stands for what is not recorded.
        """
        found: dict[str, CatalogueObject | None] = {}
        waiting = list(object_ids)
        with transaction(self._engine, writes=False) as connection:
            while waiting:
                name = waiting.pop()
                if name in found:
                    continue
                known = found[name] = _object(connection, name)
                waiting += [parent.object_id for parent in known.parents] if known else []
        return found

    def has(self, object_id: str) -> bool:
        """Say whether the object is recorded."""
        with transaction(self._engine, writes=False) as connection:
            return _object_row(connection, object_id) is not None

    def check_readable(self, object_id: str, clearance: Label) -> None:
        """Return if a reader that holds *clearance* may read the object.

        Raises:
            SensitivityError: an owner is missing from *clearance*, or there is no label.
        """
        if not self.label(object_id).readable_by(clearance):
            raise SensitivityError(
                f"{object_id[:40]} may not be read: the reader lacks an owner's permission; "
                "ask the owner, or read something general"
            )

    def record_validation(
        self,
        digest: str,
        *,
        contract: str,
        version: str,
        passed: bool,
        rules: Sequence[str],
        rows: int,
        at: datetime,
    ) -> None:
        """Record the outcome of a contract's rules on the table *digest*; the latest counts."""
        entry = {
            "digest": digest,
            "contract": contract,
            "version": version,
            "passed": passed,
            "rules": list(rules),
            "rows": rows,
            "validated_at": stamp(at),
        }
        with transaction(self._engine) as connection:
            connection.execute(sa.insert(VALIDATIONS).values(**entry))

    def validation(self, digest: str, contract: str | None = None) -> ValidationRecord | None:
        """Return the latest record of *digest* (under *contract* if given); None: never checked."""
        query = sa.select(VALIDATIONS).where(VALIDATIONS.c.digest == digest)
        if contract is not None:
            query = query.where(VALIDATIONS.c.contract == contract)
        with transaction(self._engine, writes=False) as connection:
            row = connection.execute(query.order_by(VALIDATIONS.c.number.desc()).limit(1)).first()
        if row is None:
            return None
        return ValidationRecord(
            digest=row.digest,
            contract=row.contract,
            version=row.version,
            passed=row.passed,
            rules=tuple(row.rules),
            rows=row.rows,
            at=row.validated_at,
        )

    def grant(self, role: str, capability: str) -> None:
        """Let *role* do what *capability* names; granting twice changes nothing."""
        with transaction(self._engine) as connection:
            if not _granted(connection, role, capability):
                connection.execute(sa.insert(GRANTS).values(role=role, capability=capability))

    def require(self, role: str, capability: str) -> None:
        """Return if *role* was granted *capability*.

        Raises:
            RoleDenied: it was not; nothing is granted by default.
        """
        with transaction(self._engine, writes=False) as connection:
            if not _granted(connection, role, capability):
                raise RoleDenied(
                    f"role {role} may not {capability}; a platform administrator can grant it"
                )


def _object(connection: sa.Connection, object_id: str) -> CatalogueObject | None:
    row = _object_row(connection, object_id)
    if row is None:
        return None
    query = sa.select(EDGES.c.parent, EDGES.c.kind).where(EDGES.c.child == object_id)
    edges = connection.execute(query.order_by(EDGES.c.parent, EDGES.c.kind)).all()
    return CatalogueObject(
        object_id=object_id,
        kind=row.kind,
        label=Label(frozenset(row.owners)),
        label_epoch=row.label_epoch,
        parents=tuple(Parent(parent, edge) for parent, edge in edges),
    )


def _register(
    connection: sa.Connection,
    object_id: str,
    kind: str,
    parents: Iterable[Parent | str],
    label: Label | None,
    label_epoch: int,
) -> Label:
    edges = sorted({Parent(p) if isinstance(p, str) else p for p in parents})
    _check_edges(edges, object_id=object_id)
    found = _object_row(connection, object_id)
    if edges and label is not None:
        raise SensitivityError(
            f"{object_id[:40]}: an output never states its own label; leave it out"
        )
    if edges:
        rows = [_object_row(connection, edge.object_id) for edge in edges]
        labels = [None if row is None else Label(frozenset(row.owners)) for row in rows]
        joined = join_labels(labels, what=object_id[:40])
        epoch = max(row.label_epoch for row in rows if row is not None)
    elif label is not None:
        joined, epoch = label, label_epoch
    else:
        raise SensitivityError(
            f"{object_id[:40]} has no parents and states no label, so it is denied; "
            "a source must say whose it is"
        )
    # An asset may return an input as it is: its label counts, but it is no ancestor.
    others = [edge for edge in edges if edge.object_id != object_id]
    _store(connection, found, object_id, kind, joined, epoch, others)
    return joined


def _check_edges(edges: Sequence[Parent], *, object_id: str) -> None:
    unknown = sorted({edge.edge for edge in edges} - set(EDGE_KINDS))
    if unknown:
        raise FlywheelError(
            f"{object_id[:40]}: unknown kind of edge {', '.join(unknown)}; "
            f"use {', '.join(EDGE_KINDS)}"
        )


def _object_row(connection: sa.Connection, object_id: str) -> sa.Row[tuple[str, ...]] | None:
    return connection.execute(sa.select(OBJECTS).where(OBJECTS.c.object_id == object_id)).first()


def _store(
    connection: sa.Connection,
    found: sa.Row[tuple[str, ...]] | None,
    object_id: str,
    kind: str,
    label: Label,
    epoch: int,
    edges: Sequence[Parent],
) -> None:
    if found is None:
        connection.execute(
            sa.insert(OBJECTS).values(
                object_id=object_id,
                kind=kind,
                owners=sorted(label.owners),
                label_epoch=epoch,
            )
        )
    elif frozenset(found.owners) != label.owners:
        raise SensitivityError(
            f"{object_id[:40]} is already recorded under another sensitivity label; "
            "equal content of different owners belongs into separate stores"
        )
    elif epoch > found.label_epoch:
        raised = sa.update(OBJECTS).where(OBJECTS.c.object_id == object_id)
        connection.execute(raised.values(label_epoch=epoch))
    known = set(
        connection.execute(
            sa.select(EDGES.c.parent, EDGES.c.kind).where(EDGES.c.child == object_id)
        ).tuples()
    )
    fresh = [edge for edge in edges if tuple(edge) not in known]
    if fresh:
        connection.execute(
            sa.insert(EDGES),
            [{"child": object_id, "parent": edge.object_id, "kind": edge.edge} for edge in fresh],
        )


def _granted(connection: sa.Connection, role: str, capability: str) -> bool:
    query = sa.select(GRANTS.c.role).where(GRANTS.c.role == role, GRANTS.c.capability == capability)
    return connection.execute(query).first() is not None
