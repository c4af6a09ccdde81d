"""Refusals: answers that cannot be, each with its row and reason."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_contracts.aspects import ASPECT_TABLE
from data_contracts.errors import ContractError
from data_contracts.vocabulary import ASPECTS

BoolArray = NDArray[np.bool_]
REFUSED: Final = pa.schema(
    [
        pa.field("row", pa.int64()),  # counted from 0 in the table that came in
        pa.field("annotation_id", pa.string()),
        pa.field("reason", pa.string()),
    ]
)
_SCALE: Final = re.compile(r"^\s*(-?\d+(?:\.\d+)?)\s*(?:\.\.|-|to|:)\s*(-?\d+(?:\.\d+)?)\s*$")
_SHOWN: Final = 20  # rows named in an error


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """Answers that can be, and those that cannot, with the first reason of each."""

    accepted: pa.Table
    refused: pa.Table  # REFUSED


def screen_answers(
    annotations: pa.Table, *, generation_ids: Collection[str] | None = None
) -> Screened:
    """Part ratings and comparisons that can be from those that cannot; other kinds pass.

    Refused are ratings without a finite value on their scale (the column "scale" such as 1..5,
    else the aspect's levels), comparisons with themselves, without a rival, or off -2 .. 2, a
    side that is neither of the two, an annotation_id used for different answers, negative lead
    times, aspects that nobody has named (none at all is "overall"), and, where *generation_ids*
    are given, generations that nobody knows. A comparison without a value is no refusal: the
    annotator could not judge.

    Raises:
        ContractError: a column is missing.
    """
    missing = {"annotation_id", "kind", "generation_id"} - set(annotations.column_names)
    if missing:
        raise ContractError(
            f"annotations: column {', '.join(sorted(missing))} missing; the contract requires it"
        )
    size = annotations.num_rows
    reasons = np.full(size, "", dtype=object)

    def refuse(wrong: BoolArray, reason: str) -> None:
        reasons[wrong & (reasons == "")] = reason

    kind, mine = _text(annotations, "kind"), _text(annotations, "generation_id")
    rival, left = _text(annotations, "other_generation_id"), _text(annotations, "shown_left")
    value, blank = _number(annotations, "value")
    rating, comparison = kind == "rating", kind == "comparison"
    judged = rating | (comparison & ~blank)
    named = np.isin(_text(annotations, "aspect").astype(str), ("", *ASPECTS))
    refuse((rating | comparison) & ~named, "aspect is not known")
    least, most = _bounds(annotations)
    refuse(judged & ~np.isfinite(value), "value is missing or not a number")
    refuse(rating & ((value < least) | (value > most)), "rating is off its scale")
    odd = ~np.isin(value, (-2.0, -1.0, 0.0, 1.0, 2.0))
    refuse(comparison & ~blank & odd, "comparison is not one of -2 .. 2")
    refuse(comparison & (rival == ""), "rival missing")
    refuse(comparison & (rival == mine), "compared with itself")
    stray = (left != "") & (left != mine) & (left != rival)
    refuse(comparison & stray, "shown_left is neither of the two")
    lead, _ = _number(annotations, "lead_time_s")
    refuse(np.nan_to_num(lead, nan=0.0) < 0, "lead_time_s is negative")
    if generation_ids is not None:
        known = pa.array(sorted(generation_ids), pa.string())
        for name, ids in (("generation_id", mine), ("other_generation_id", rival)):
            among = pc.is_in(pa.array(ids.tolist(), pa.string()), value_set=known)
            stranger = ~among.to_numpy(zero_copy_only=False) & (ids != "")
            refuse((rating | comparison) & stranger, f"{name} is not known")
    refuse(_contradicting(annotations), "annotation_id is used for different answers")
    bad = np.flatnonzero(reasons != "")
    refused = pa.table(
        {
            "row": bad,
            "annotation_id": annotations["annotation_id"].take(pa.array(bad)).cast(pa.string()),
            "reason": pa.array(reasons[bad].tolist(), pa.string()),
        },
        schema=REFUSED,
    )
    return Screened(accepted=annotations.filter(pa.array(reasons == "")), refused=refused)


def require_possible(
    annotations: pa.Table, *, generation_ids: Collection[str] | None = None
) -> None:
    """Accept *annotations*, or name every answer that cannot be.

    Raises:
        ContractError: some cannot; the first rows by id, then a count.
    """
    refused = screen_answers(annotations, generation_ids=generation_ids).refused
    if not refused.num_rows:
        return
    lines = [
        f"  row {row['row']} (annotation {row['annotation_id']}): {row['reason']}"
        for row in refused.slice(0, _SHOWN).to_pylist()
    ]
    if refused.num_rows > _SHOWN:
        lines.append(f"  and {refused.num_rows - _SHOWN} more")
    head = f"annotations: {refused.num_rows} of {annotations.num_rows} rows refused"
    raise ContractError("\n".join([head, *lines]))


def _text(table: pa.Table, name: str) -> NDArray[np.object_]:
    """Return a column as text, "" where it is null or absent."""
    if name not in table.column_names:
        return np.full(table.num_rows, "", dtype=object)
    column = pc.fill_null(table[name].cast(pa.string()), "")
    return np.array(column.to_pylist(), dtype=object)


def _number(table: pa.Table, name: str) -> tuple[NDArray[np.float64], BoolArray]:
    """Return a column as numbers, NaN where it is null or absent, and where it was."""
    if name not in table.column_names:
        return np.full(table.num_rows, np.nan), np.ones(table.num_rows, dtype=bool)
    column = table[name].cast(pa.float64())
    blank = column.is_null().to_numpy()
    return pc.fill_null(column, float("nan")).to_numpy().astype(np.float64), blank


def _bounds(table: pa.Table) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each row's least and greatest rating; infinite where no scale is known."""
    levels = {aspect.name: aspect.levels for aspect in ASPECT_TABLE}
    aspect, scale = _text(table, "aspect"), _text(table, "scale")
    both = np.array([f"{a}\0{s}" for a, s in zip(aspect, scale, strict=True)], dtype=object)
    names, place = np.unique(both.astype(str), return_inverse=True)
    ends = []
    for name in names.tolist():
        of_aspect, _, written = name.partition("\0")
        found = _SCALE.match(written)
        if found:
            ends.append((float(found[1]), float(found[2])))
        elif written:
            ends.append((-np.inf, np.inf))
        else:
            ends.append((1.0, float(levels.get(of_aspect or "overall", np.inf))))
    table_of_ends = np.array(ends, dtype=np.float64).reshape(-1, 2)[place]
    return table_of_ends[:, 0], table_of_ends[:, 1]


def _contradicting(table: pa.Table) -> BoolArray:
    """Mark rows whose annotation_id also stands for another answer; exact repeats are fine."""
    names = [n for n in ("annotator_id", "kind", "generation_id", "other_generation_id", "aspect",
                         "value") if n in table.column_names]  # fmt: skip
    rows = table.select(["annotation_id", *names])
    distinct = rows.group_by(["annotation_id", *names], use_threads=False).aggregate([])
    counts = distinct.group_by("annotation_id", use_threads=False).aggregate([([], "count_all")])
    many = counts.filter(pc.greater(counts["count_all"], 1))["annotation_id"]
    marked: BoolArray = pc.is_in(table["annotation_id"], value_set=many.combine_chunks()).to_numpy()
    return marked
