"""Edits: who changed a generation says that the changed one is better."""

import pyarrow as pa
import pyarrow.compute as pc

SCALE = "-2..2"


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


def _with(table: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    at = table.column_names.index(name)
    return table.set_column(at, table.schema.field(name), column)
