"""Gold: questions whose answer is known, and how each annotator does on them."""

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annotation.answer_table import FloatArray
from annotation.concurrence import over, share_interval
from data_contracts.errors import ContractError

GOLD: Final = pa.schema(
    [
        pa.field("generation_id", pa.string()),  # of a pair the smaller id
        pa.field("other_generation_id", pa.string()),  # null: a rating
        pa.field("aspect", pa.string()),
        pa.field("value", pa.float64()),  # as in an annotation, for generation_id
        pa.field("source", pa.string()),  # file, lead or settled
    ]
)
GOLD_ACCURACY: Final = pa.schema(
    [
        pa.field("annotator_id", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("aspect", pa.string()),
        pa.field("answers", pa.int64()),
        pa.field("right", pa.int64()),
        pa.field("accuracy", pa.float64()),
        pa.field("low", pa.float64()),  # 95 % interval
        pa.field("high", pa.float64()),
        pa.field("lean", pa.float64()),  # ratings: mean of said minus known; null for comparisons
    ]
)
_NEAR: Final = 1.0  # levels by which a rating may miss and still be right
_KEY: Final = ("generation_id", "other_generation_id", "aspect")


def gold_answers(annotations: pa.Table, gold: pa.Table) -> pa.Table:
    """Return the answers that were asked as gold, with what is known and whether they are right.

    A comparison is right if it takes the known side, or is a tie where one is known; a rating if
    it is at most one level off. Who cannot judge a pair whose answer is known is not right.

    Args:
        annotations: rows of the annotation contract.
        gold: rows of `GOLD`; an answer asked as gold that is not in it says nothing.

    Returns:
        annotation_id, task_id, annotator_id, kind, aspect, value, known, right, updated_at, and
        shown_left with the ids, in the order in which the answers were given. *value* and *known*
        of a comparison are seen from the smaller id.
    """
    judged = pc.and_(
        pc.is_in(annotations["kind"], value_set=pa.array(["rating", "comparison"])),
        pc.and_(pc.fill_null(annotations["is_gold"], False),
                pc.is_valid(annotations["annotator_id"])),
    )  # fmt: skip
    rows = _small_first(annotations.filter(judged))
    known = gold.select([*_KEY]).append_column("known", gold["value"])
    # A join does not meet nulls: what has no rival is joined as the empty word.
    rows, known = (_filled(each, "other_generation_id") for each in (rows, known))
    found = rows.join(known, keys=list(_KEY), join_type="inner")
    compared = pc.equal(found["kind"], "comparison")
    near = pc.less_equal(pc.abs(pc.subtract(found["value"], found["known"])), _NEAR)
    same = pc.equal(pc.sign(found["value"]), pc.sign(found["known"]))
    right = pc.fill_null(pc.if_else(compared, same, near), False)
    order = [("updated_at", "ascending"), ("annotation_id", "ascending")]
    return found.append_column("right", right).sort_by(order)


def gold_accuracy(annotations: pa.Table, gold: pa.Table) -> pa.Table:
    """Return a row per annotator, kind and aspect: how often the known answer was given.

    Args:
        annotations: rows of the annotation contract.
        gold: rows of `GOLD`.
    """
    found = gold_answers(annotations, gold)
    lean = pc.if_else(
        pc.equal(found["kind"], "rating"), pc.subtract(found["value"], found["known"]), None
    )
    grouped = (
        found.append_column("lean", lean)
        .append_column("said", pc.cast(found["right"], pa.int64()))
        .group_by(["annotator_id", "kind", "aspect"])
        .aggregate([("said", "count"), ("said", "sum"), ("lean", "mean")])
        .sort_by([(name, "ascending") for name in ("annotator_id", "kind", "aspect")])
    )
    count = grouped["said_count"].to_numpy().astype(np.float64)
    right = grouped["said_sum"].to_numpy().astype(np.float64)
    low, high = share_interval(over(right, count), count)
    columns: dict[str, Any] = {
        "annotator_id": grouped["annotator_id"], "kind": grouped["kind"],
        "aspect": grouped["aspect"], "answers": grouped["said_count"],
        "right": grouped["said_sum"], "accuracy": _column(over(right, count)),
        "low": _column(low), "high": _column(high), "lean": grouped["lean_mean"],
    }  # fmt: skip
    return pa.table(columns, schema=GOLD_ACCURACY)


def checked_gold(rows: pa.Table, *, source: str = "gold") -> pa.Table:
    """Return *rows* as `GOLD`: pairs seen from the smaller id, one answer a question.

    Args:
        rows: as somebody wrote them.
        source: what a complaint calls them, such as the name of their file.

    Raises:
        ContractError: a column is missing or of another type, a question has two answers, a pair
            is of one generation, or a value is none.
    """
    missing = [name for name in ("generation_id", "aspect", "value") if name not in
               rows.column_names]  # fmt: skip
    if missing:
        raise ContractError(f"{source}: column {', '.join(missing)} missing; add it")
    columns = {field.name: _typed(rows, field, source) for field in GOLD}
    columns["other_generation_id"] = pc.if_else(
        pc.equal(columns["other_generation_id"], ""), None, columns["other_generation_id"]
    )
    table = pa.table(columns, schema=GOLD)
    for place, row in enumerate(table.to_pylist()):
        if None in (row["generation_id"], row["aspect"], row["value"]) or not np.isfinite(
            row["value"]
        ):
            raise ContractError(f"{source}: row {place} lacks a generation, an aspect or a value")
        if row["generation_id"] == row["other_generation_id"]:
            raise ContractError(f"{source}: row {place} compares a generation with itself")
    turned = _small_first(table)
    keys = list(zip(*(turned[name].to_pylist() for name in _KEY), strict=True))
    if twice := len(keys) - len(set(keys)):
        raise ContractError(f"{source}: {twice} questions are answered twice; keep one answer each")
    return turned.sort_by([(name, "ascending") for name in _KEY])


def _typed(rows: pa.Table, field: pa.Field, source: str) -> pa.ChunkedArray | pa.Array:
    if field.name not in rows.column_names:
        return pa.nulls(rows.num_rows, field.type)
    try:
        return rows[field.name].cast(field.type)
    except pa.ArrowException:
        # Arrow's own words quote what stands there.
        kind = "numbers" if pa.types.is_floating(field.type) else "text"
        raise ContractError(
            f"{source}: column {field.name} holds something else than {kind}; correct it"
        ) from None


def _small_first(rows: pa.Table) -> pa.Table:
    other = rows["other_generation_id"]
    turned = pc.fill_null(pc.greater(rows["generation_id"], other), False)
    table = rows
    for name, column in (
        ("generation_id", pc.if_else(turned, other, rows["generation_id"])),
        ("other_generation_id", pc.if_else(turned, rows["generation_id"], other)),
        ("value", pc.add(pc.if_else(turned, pc.negate(rows["value"]), rows["value"]), 0.0)),
    ):
        table = table.set_column(table.column_names.index(name), name, column)
    return table


def _filled(rows: pa.Table, name: str) -> pa.Table:
    return rows.set_column(rows.column_names.index(name), name, pc.fill_null(rows[name], ""))


def _column(values: FloatArray) -> pa.Array:
    return pa.array(values, from_pandas=True)
