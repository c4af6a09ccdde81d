"""Edits: who changed a generation says that the changed one is better."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from annotation.interfaces.controls import EDITED
from annotation.results.assignment import Assignment
from annotation.results.geometry import ResultRefused

SCALE = "-2..2"
MOST_CHARACTERS: Final = 100_000  # of an edited text


@dataclass(frozen=True, slots=True, kw_only=True)
class EditedVersion:
    """A better version of a text, as an annotator wrote it."""

    generation_id: str  # the same for the same tenant, task, annotator and text
    digest: str  # of the text in UTF-8
    text: str


def edited_version(value: Mapping[str, Any], assignment: Assignment) -> EditedVersion:
    """Read what stands in an edit's field.

    Args:
        value: of the field, as Label Studio stores it.
        assignment: with the text that was shown, and its tenant.

    Raises:
        ResultRefused: the text is empty, unchanged but for white space at its ends, beyond
            `MOST_CHARACTERS`, no Unicode, or no edit was asked for.
    """
    written = value.get("text")
    lines: Sequence[Any] = written if isinstance(written, list) else [written]
    if len(lines) != 1 or not isinstance(lines[0], str):
        raise ResultRefused("an edited version that is not one text")
    # Browsers and servers differ in how they end a line; the author of a text does not.
    text = _one_ending(lines[0])
    if len(text) > MOST_CHARACTERS:
        raise ResultRefused(f"an edited version of more than {MOST_CHARACTERS} characters")
    if not text.strip():
        raise ResultRefused("an edited version without text")
    if text.strip() == _one_ending(str(assignment.data.get("only", ""))).strip():
        raise ResultRefused("an edited version that is unchanged")
    if assignment.tenant_id is None:
        raise ResultRefused("an edited version of what nobody asked to edit")
    try:
        digest = sha256(text.encode()).hexdigest()
    except UnicodeEncodeError:
        raise ResultRefused("an edited version that is not Unicode") from None
    parts = ("edit", assignment.tenant_id, assignment.task_id, assignment.annotator_id, digest)
    name = blake2b("\x1f".join(parts).encode(), digest_size=12).hexdigest()
    return EditedVersion(generation_id=f"edited_{name}", digest=digest, text=text)


def edited_version_of(answer: Mapping[str, Any], assignment: Assignment) -> EditedVersion:
    """Return the edited version that an answer holds of which `rows_of_answer` made an edit."""
    [value] = [part["value"] for part in answer["result"] if part.get("from_name") == EDITED]
    return edited_version(value, assignment)


def edits_as_comparisons(annotations: pa.Table) -> pa.Table:
    """Turn annotated edits into comparisons that the edited version wins; leave the rest.

    An edit (before, after) is a judgement about the same prompt: the annotator took the trouble
    to make *after* out of *before*. It counts as "better" (-1 for *generation_id*, which is
    before), overall unless it names its aspect, under its own annotation id as evidence.

    Args:
        annotations: rows of the annotation contract.
    """
    edited = pc.fill_null(
        pc.and_(
            pc.equal(annotations["kind"], "edit"), pc.is_valid(annotations["other_generation_id"])
        ),
        False,
    )
    changes = {
        "kind": pa.scalar("comparison", pa.string()),
        "value": pa.scalar(-1.0),
        "scale": pa.scalar(SCALE),
    }
    table = annotations
    for name, instead in changes.items():
        table = _with(table, name, pc.if_else(edited, instead, table[name]))
    named = pc.or_(pc.invert(edited), pc.is_valid(table["aspect"]))
    return _with(table, "aspect", pc.if_else(named, table["aspect"], "overall"))


def _one_ending(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _with(table: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    at = table.column_names.index(name)
    return table.set_column(at, table.schema.field(name), column)
