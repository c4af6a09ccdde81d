"""Confusion: what an annotator says where the answer is known, or where the others agree."""

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annotation.answer_table import IntArray
from annotation.concurrence import last_of_each, sides_of_pairs
from annotation.gold import GOLD, gold_answers

ANNOTATOR_CONFUSION: Final = pa.schema(
    [
        pa.field("annotator_id", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("aspect", pa.string()),
        pa.field("against", pa.string()),  # gold, or others: what most of them said
        pa.field("truth", pa.string()),  # left, same, right; of a rating its level
        pa.field("said", pa.string()),  # likewise, or cannot judge
        pa.field("answers", pa.int64()),
    ]
)
_SIDES: Final = np.array(["right", "same", "left"], dtype=object)  # by -1, 0, 1
_UNABLE: Final = "cannot judge"


def annotator_confusion(annotations: pa.Table, *, gold: pa.Table | None = None) -> pa.Table:
    """Return a row per annotator and combination that occurred, sorted.

    Comparisons are told by the side of the screen, so that who favours one shows. Beside gold, an
    annotator is held to what most others chose on the same pair and aspect, ties left out, the
    annotator's own answer never among them.

    Args:
        annotations: rows of the annotation contract.
        gold: rows of `annotation.gold.GOLD`; None: nothing is known.
    """
    known = gold_answers(annotations, GOLD.empty_table() if gold is None else gold)
    rated = known.filter(pc.equal(known["kind"], "rating"))
    rows = [*_against_gold(known), *_rated(rated), *_against_others(annotations)]
    names = ("annotator_id", "kind", "aspect", "against", "truth", "said")
    told = pa.Table.from_pylist(
        [dict(zip(names, row, strict=True)) for row in rows],
        schema=pa.schema([ANNOTATOR_CONFUSION.field(name) for name in names]),
    )
    counted = told.group_by(list(names)).aggregate([([], "count_all")])
    counted = counted.rename_columns([*names, "answers"])
    return counted.sort_by([(name, "ascending") for name in names]).cast(ANNOTATOR_CONFUSION)


def _against_gold(known: pa.Table) -> list[tuple[Any, ...]]:
    rows = known.filter(pc.equal(known["kind"], "comparison"))
    left, sided = _left_of(rows)
    truth = _SIDES[(np.sign(rows["known"].to_numpy()) * left).astype(np.int64) + 1]
    said = _said(rows, left)
    return _listed(rows, "gold", truth, said, sided)


def _rated(rows: pa.Table) -> list[tuple[Any, ...]]:
    levels = (
        [f"{level:g}" for level in rows[name].to_pylist() if level is not None]
        for name in ("known", "value")
    )
    return [
        (who, "rating", aspect, "gold", truth, said)
        for who, aspect, truth, said in zip(
            rows["annotator_id"].to_pylist(), rows["aspect"].to_pylist(), *levels, strict=True
        )
    ]


def _against_others(annotations: pa.Table) -> list[tuple[Any, ...]]:
    compared = pc.and_(
        pc.equal(annotations["kind"], "comparison"),
        pc.and_(pc.is_valid(annotations["annotator_id"]),
                pc.is_valid(annotations["other_generation_id"])),
    )  # fmt: skip
    rows = annotations.filter(compared).sort_by(
        [("updated_at", "ascending"), ("annotation_id", "ascending")]
    )
    if not rows.num_rows:
        return []
    judged = pc.is_valid(rows["value"]).to_numpy().astype(np.bool_)
    unit, side = sides_of_pairs(
        rows.set_column(rows.column_names.index("value"), "value", pc.fill_null(rows["value"], 0.0))
    )
    who = pc.dictionary_encode(rows["annotator_id"]).combine_chunks().indices.to_numpy()
    last = last_of_each(unit, who.astype(np.int64))
    votes = np.bincount(unit, weights=side * last, minlength=int(unit.max(initial=-1)) + 1)
    others = np.sign(votes[unit] - side * judged).astype(np.int64)
    left, sided = _left_of(rows)
    # Sides are seen from the smaller id, the screen from whichever stands left.
    turned = pc.greater(rows["generation_id"], rows["other_generation_id"]).to_numpy()
    on_screen = others * np.where(turned.astype(np.bool_), -left, left)
    return _listed(
        rows, "others", _SIDES[on_screen + 1], _said(rows, left), sided & last & (others != 0)
    )


def _left_of(rows: pa.Table) -> tuple[IntArray, Any]:
    """Return 1 where *generation_id* stood left and -1 where its rival did; and where we know."""
    first, other = (
        pc.fill_null(pc.equal(rows["shown_left"], rows[name]), False).to_numpy().astype(np.bool_)
        for name in ("generation_id", "other_generation_id")
    )
    return np.where(first, 1, -1).astype(np.int64), first | other


def _said(rows: pa.Table, left: IntArray) -> Any:
    value = rows["value"].to_numpy().astype(np.float64)
    judged = np.isfinite(value)
    side = np.sign(np.where(judged, value, 0.0)).astype(np.int64) * left
    return np.where(judged, _SIDES[side + 1], _UNABLE)


def _listed(
    rows: pa.Table, against: str, truth: Any, said: Any, kept: Any
) -> list[tuple[Any, ...]]:
    who = rows["annotator_id"].to_pylist()
    aspect = pc.fill_null(rows["aspect"], "overall").to_pylist()
    return [
        (who[n], "comparison", aspect[n], against, truth[n], said[n])
        for n in np.flatnonzero(kept).tolist()
    ]
