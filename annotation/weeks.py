"""Weeks: how each annotator's work changes from week to week."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annotation.answer_table import FloatArray
from annotation.concurrence import (
    concurrence,
    judged_answers,
    over,
    share_interval,
    tasks_each,
    tasks_of_rows,
)
from annotation.gold import GOLD, gold_answers

_WEEK_S: Final = 7 * 24 * 3600.0
_MONDAY: Final = datetime(1970, 1, 5, tzinfo=UTC).timestamp()

ANNOTATOR_WEEKS: Final = pa.schema(
    [
        pa.field("annotator_id", pa.string()),
        pa.field("week", pa.date32()),  # its Monday, UTC
        pa.field("answers", pa.int64()),  # comparisons and ratings with a value
        pa.field("median_s", pa.float64()),
        pa.field("shared", pa.int64()),
        pa.field("agrees", pa.float64()),  # mean share of the others who chose the same side
        pa.field("agrees_low", pa.float64()),  # 95 % interval
        pa.field("agrees_high", pa.float64()),
        pa.field("gold", pa.int64()),
        pa.field("gold_right", pa.float64()),
        pa.field("gold_low", pa.float64()),
        pa.field("gold_high", pa.float64()),
    ]
)


def annotator_weeks(annotations: pa.Table, *, gold: pa.Table | None = None) -> pa.Table:
    """Return a row per annotator and week with an answer; a figure without evidence is null.

    Args:
        annotations: rows of the annotation contract; those without a time are left out.
        gold: rows of `annotation.gold.GOLD`; None: nothing is known.
    """
    dated = annotations.filter(pc.is_valid(annotations["updated_at"]))
    judged = judged_answers(dated)
    names = sorted(set(judged["annotator_id"].to_pylist()))
    if not names:
        return ANNOTATOR_WEEKS.empty_table()

    def cells(rows: pa.Table) -> Any:
        """Return (n, 2): the annotator's place and the week's number of each row."""
        who = pc.index_in(rows["annotator_id"], value_set=pa.array(names)).to_numpy()
        return np.column_stack([who, np.floor(_weeks(rows["updated_at"]))]).astype(np.int64)

    at = cells(judged)
    cell, place = np.unique(at, axis=0, return_inverse=True)
    place = place.reshape(-1)
    columns: dict[str, Any] = {
        "annotator_id": [names[who] for who in cell[:, 0].tolist()],
        "week": [_monday(number) for number in cell[:, 1].tolist()],
        "answers": np.bincount(place),
        "median_s": _medians(judged["lead_time_s"].to_numpy(), place, len(cell)),
    }
    pairs = pc.equal(judged["kind"], "comparison").to_numpy().astype(np.bool_)
    compared = judged.filter(pa.array(pairs))
    held = concurrence(compared, at[pairs, 0])
    columns |= _shares(
        "shared", "agrees", "agrees", held.share, place[pairs][held.row],
        tasks_of_rows(compared)[held.row], len(cell),
    )  # fmt: skip
    found = gold_answers(dated, GOLD.empty_table() if gold is None else gold)
    found = found.filter(pc.is_in(found["annotator_id"], value_set=pa.array(names)))
    number = {(who, week): n for n, (who, week) in enumerate(cell.tolist())}
    known = [number.get((who, week), -1) for who, week in cells(found).tolist()]
    of_cell = np.array(known, np.int64)
    kept = of_cell >= 0
    right = found["right"].to_numpy().astype(np.float64)[kept]
    columns |= _shares(
        "gold", "gold_right", "gold", right, of_cell[kept], tasks_of_rows(found)[kept], len(cell)
    )
    return pa.table(
        {
            field.name: pa.array(
                columns[field.name], field.type, from_pandas=pa.types.is_floating(field.type)
            )
            for field in ANNOTATOR_WEEKS
        },
        schema=ANNOTATOR_WEEKS,
    )


def weeks_since(moments: pa.ChunkedArray) -> FloatArray:
    """Return (n,) weeks since the first of *moments*; NaN where there is none."""
    weeks = _weeks(moments)
    known = np.isfinite(weeks)
    return weeks - (float(weeks[known].min()) if known.any() else 0.0)


def _weeks(moments: pa.ChunkedArray) -> FloatArray:
    seconds = pc.divide(pc.cast(pc.cast(moments, pa.int64()), pa.float64()), 1e6)
    found: FloatArray = (seconds.to_numpy().astype(np.float64) - _MONDAY) / _WEEK_S
    return found


def _monday(number: int) -> date:
    return (datetime.fromtimestamp(_MONDAY, UTC) + timedelta(weeks=number)).date()


def _shares(
    count: str, share: str, edges: str, values: FloatArray, place: Any, task: Any, size: int
) -> dict[str, Any]:
    n = np.bincount(place, minlength=size).astype(np.float64)
    mean = over(np.bincount(place, weights=values, minlength=size), n)
    low, high = share_interval(mean, tasks_each(place, task, size))
    return {count: n.astype(np.int64), share: mean, f"{edges}_low": low, f"{edges}_high": high}


def _medians(values: Any, place: Any, size: int) -> FloatArray:
    numbers = np.asarray(values, dtype=np.float64)
    timed = np.isfinite(numbers)
    found = [numbers[timed & (place == n)] for n in range(size)]
    return np.array([np.median(each) if len(each) else np.nan for each in found])
