"""Edits in the ledger: an edited text is a generation of its own while its answer counts.

The text becomes a blob before the answer is recorded, and its row stands and falls with the
answer's, in one transaction. A blob that no edit names, since a sync died or an edit was taken
back, was noted as loose beforehand, and `pipelines.labelling.loose_texts` drops it.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from annotation.results import Assignment, EditedVersion, edited_version_of
from data_contracts.schemas import GENERATION
from pipelines.labelling.ledger import ANSWERS, ASSIGNMENTS, EDITS, ORIGINALS
from pipelines.labelling.loose_texts import note_loose
from pipelines.stores import open_stores
from pipelines.stores.catalogue_tables import transaction

RELEASE: Final = "edited by a person"  # stands where a generation names the policy that made it
Row = dict[str, Any]


def tenants_of(ledger: sa.Engine, generations: Sequence[str]) -> dict[str, str]:
    """Return whose those of *generations* are that an edit was asked of."""
    query = sa.select(ORIGINALS.c.generation_id, ORIGINALS.c.tenant_id).where(
        ORIGINALS.c.generation_id.in_(list(generations))
    )
    with transaction(ledger, writes=False) as connection:
        return dict(connection.execute(query).tuples().all())


def edited_in(
    rows: Sequence[Mapping[str, Any]], answer: Mapping[str, Any], assignment: Assignment
) -> EditedVersion | None:
    """Return the edited version behind the *rows* of an answer; None: they hold no edit."""
    if not any(row["kind"] == "edit" for row in rows):
        return None
    return edited_version_of(answer, assignment)


def store_texts(root: Path, ledger: sa.Engine, judged: Sequence[Row]) -> None:
    """Store the texts of accepted edits in the zone's blobs, noted as loose until they are named.

    Raises:
        FlywheelError: the disk refuses.
    """
    edits = [each["edited"] for each in judged if _counts(each)]
    if edits:
        with transaction(ledger) as connection:
            note_loose(connection, [each.digest for each in edits])
        open_stores(root).blobs.put_many([each.text.encode() for each in edits])


def record_edits(connection: sa.Connection, replaced: Sequence[int], judged: Sequence[Row]) -> None:
    """Let the edits of *judged* stand in place of those of the answers *replaced*."""
    of_replaced = EDITS.c.server_annotation.in_(list(replaced))
    note_loose(connection, connection.execute(sa.select(EDITS.c.blob).where(of_replaced)).scalars())
    connection.execute(sa.delete(EDITS).where(of_replaced))
    fresh = [
        {
            "server_annotation": each["server_annotation"],
            "generation_id": each["edited"].generation_id,
            "parent_generation_id": row["generation_id"],
            "blob": each["edited"].digest,
            "updated_at": row["updated_at"],
        }
        for each in judged
        if _counts(each)
        for row in each["rows"]
        if row["kind"] == "edit"
    ]
    if fresh:
        connection.execute(sa.insert(EDITS), fresh)


def edited_generations(ledger: sa.Engine, turn: str | None = None) -> pa.Table:
    """Return the edited versions of *turn* (None: of all) as rows of the generation contract.

    Tenant, project and prompt are those of what was edited; no policy made them, and no session.
    An edited version that came of two answers was made by the first.
    """
    query = (
        sa.select(EDITS, ORIGINALS.c.tenant_id, ORIGINALS.c.project_id, ORIGINALS.c.prompt_id)
        .join(ORIGINALS, ORIGINALS.c.generation_id == EDITS.c.parent_generation_id)
        .order_by(EDITS.c.generation_id, EDITS.c.updated_at.desc())
    )
    if turn is not None:
        query = query.where(EDITS.c.server_annotation.in_(_answers_of(turn)))
    with transaction(ledger, writes=False) as connection:
        found = {row.generation_id: row for row in connection.execute(query)}
    rows = [
        {
            "generation_id": row.generation_id,
            "tenant_id": row.tenant_id,
            "project_id": row.project_id,
            "prompt_id": row.prompt_id,
            "parent_generation_id": row.parent_generation_id,
            "model_release": RELEASE,
            "modality": "text",
            "blob": row.blob,
            "created_at": datetime.fromisoformat(row.updated_at).astimezone(UTC),
        }
        for row in found.values()
    ]
    return pa.Table.from_pylist(rows, schema=GENERATION)


def edits_among(edited: pa.Table, annotations: pa.Table) -> tuple[pa.Table, int]:
    """Return those of *edited* that *annotations* name as edits, and how many they lack.

    Some are lacking where an answer changed after *annotations* were read.
    """
    said = annotations.filter(pc.equal(annotations["kind"], "edit"))["other_generation_id"]
    kept = edited.filter(pc.is_in(edited["generation_id"], value_set=said.combine_chunks()))
    return kept, len(set(said.to_pylist())) - kept.num_rows


def _counts(each: Row) -> bool:
    return bool(each["rows"]) and each["edited"] is not None


def _answers_of(turn: str) -> sa.Select[Any]:
    return (
        sa.select(ANSWERS.c.server_annotation)
        .join(ASSIGNMENTS, ASSIGNMENTS.c.server_task == ANSWERS.c.server_task)
        .where(ASSIGNMENTS.c.turn == turn)
    )
