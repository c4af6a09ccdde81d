"""Quality: what a lead must see of each annotator, and how far people agree on each aspect."""

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annotation.agreement import rating_agreement
from annotation.answer_table import FloatArray, rated_aspects
from annotation.concurrence import (
    INTERVAL,
    Concurrence,
    apart_with_interval,
    concurrence,
    judged_answers,
    mean_of_tasks,
    over,
    pairs_as_units,
    share_interval,
    tasks_each,
    tasks_of_rows,
)
from annotation.gold import GOLD, gold_answers
from annotation.habits import anchoring, pace
from annotation.weeks import weeks_since

_LEAST_WEEKS: Final = 2.0  # of work without which no trend is told

ANNOTATOR_QUALITY: Final = pa.schema(
    [
        pa.field("annotator_id", pa.string()),
        pa.field("answers", pa.int64()),  # comparisons and ratings with a value
        pa.field("median_s", pa.float64()),  # null: no times
        pa.field("hasty", pa.float64()),  # share given in a quarter of everybody's median time
        pa.field("pace", pa.float64()),  # median time over everybody's for such a question
        pa.field("pace_low", pa.float64()),  # 95 % interval, here and below
        pa.field("pace_high", pa.float64()),
        pa.field("shared", pa.int64()),  # comparisons that somebody else judged too
        pa.field("agrees", pa.float64()),  # mean share of the others who chose the same side
        pa.field("agrees_low", pa.float64()),
        pa.field("agrees_high", pa.float64()),
        pa.field("sided", pa.int64()),  # untied comparisons with a known side
        pa.field("left_share", pa.float64()),  # of those, how often the left one won
        pa.field("left_low", pa.float64()),
        pa.field("left_high", pa.float64()),
        pa.field("drift", pa.float64()),  # the later half's agreement minus the earlier one's
        pa.field("drift_low", pa.float64()),
        pa.field("drift_high", pa.float64()),
        pa.field("trend", pa.float64()),  # of agreement a week; null: less than two weeks
        pa.field("trend_low", pa.float64()),
        pa.field("trend_high", pa.float64()),
        pa.field("predicted", pa.int64()),  # answers that a prediction had filled in
        pa.field("kept", pa.float64()),  # share of those that were left as they were
        pa.field("kept_low", pa.float64()),
        pa.field("kept_high", pa.float64()),
        pa.field("anchored", pa.float64()),  # agreement lost where a prediction was kept
        pa.field("anchored_low", pa.float64()),
        pa.field("anchored_high", pa.float64()),
        pa.field("gold", pa.int64()),  # answers to questions whose answer is known
        pa.field("gold_right", pa.float64()),  # share
        pa.field("gold_low", pa.float64()),
        pa.field("gold_high", pa.float64()),
    ]
)
ASPECT_AGREEMENT: Final = pa.schema(
    [
        pa.field("kind", pa.string()),
        pa.field("aspect", pa.string()),
        pa.field("alpha", pa.float64()),  # Krippendorff's; null where undefined
        pa.field("low", pa.float64()),
        pa.field("high", pa.float64()),
        pa.field("answers", pa.int64()),
        pa.field("shared", pa.int64()),  # generations or pairs with at least two answers
        pa.field("annotators", pa.int64()),
    ]
)


def aspect_agreement(annotations: pa.Table, *, rng: np.random.Generator) -> pa.Table:
    """Return a row per kind of answer and aspect: agreement beyond chance, with its interval."""
    found: list[dict[str, Any]] = []
    for kind, rows in (("rating", annotations), ("comparison", pairs_as_units(annotations))):
        for aspect in rated_aspects(rows):
            agreed = rating_agreement(rows, aspect=aspect, rng=rng)
            found.append(
                {
                    "kind": kind, "aspect": aspect, "alpha": agreed.alpha, "low": agreed.low,
                    "high": agreed.high, "answers": agreed.answers,
                    "shared": agreed.generations, "annotators": agreed.annotators,
                }
            )  # fmt: skip
    return pa.Table.from_pylist(found, schema=ASPECT_AGREEMENT)


def annotator_quality(annotations: pa.Table, *, gold: pa.Table | None = None) -> pa.Table:
    """Return a row per annotator, sorted by id; a figure without evidence is null.

    Agreement is with the others who judged the same pair and aspect, ties left out: nobody is
    held to themselves, and nobody's truth is known. Drift compares the halves of an annotator's
    work, in the order in which it was given, beside how far the others agree among themselves on
    the same pairs; the trend is its slope over weeks. Intervals count tasks, not rows: what
    somebody says of one pair's aspects hangs together. Two that copy one another agree: see
    `cohorts`.

    Args:
        annotations: rows of the annotation contract.
        gold: rows of `annotation.gold.GOLD`; None: nothing is known.
    """
    judged = judged_answers(annotations)
    names = sorted(set(judged["annotator_id"].to_pylist()))
    if not names:
        return ANNOTATOR_QUALITY.empty_table()
    who = pc.index_in(judged["annotator_id"], value_set=pa.array(names)).to_numpy().astype(np.int64)
    people = len(names)
    columns: dict[str, Any] = {"annotator_id": names, "answers": np.bincount(who)}
    columns |= pace(judged, who, people)
    compared = pc.equal(judged["kind"], "comparison").to_numpy().astype(np.bool_)
    pairs, by = judged.filter(pa.array(compared)), who[compared]
    columns |= _side(pairs, by, people)
    columns |= _together(pairs, by, concurrence(pairs, by), people)
    columns |= anchoring(judged, who, people)
    columns |= _known(annotations, GOLD.empty_table() if gold is None else gold, names)
    return pa.table(
        {
            field.name: pa.array(
                columns[field.name], field.type, from_pandas=pa.types.is_floating(field.type)
            )
            for field in ANNOTATOR_QUALITY
        },
        schema=ANNOTATOR_QUALITY,
    )


def _side(compared: pa.Table, who: Any, people: int) -> dict[str, Any]:
    value = compared["value"].to_numpy()
    left_first, left_other = (
        pc.fill_null(pc.equal(compared["shown_left"], compared[name]), False)
        .to_numpy().astype(np.bool_)
        for name in ("generation_id", "other_generation_id")
    )  # fmt: skip
    sided = (value != 0) & (left_first | left_other)
    left_won = sided & ((value > 0) == left_first)
    count = np.bincount(who, weights=sided, minlength=people)
    share = over(np.bincount(who, weights=left_won, minlength=people), count)
    tasks = tasks_each(who[sided], tasks_of_rows(compared)[sided], people)
    low, high = share_interval(share, tasks)
    return {"sided": count.astype(np.int64), "left_share": share, "left_low": low,
            "left_high": high}  # fmt: skip


def _together(compared: pa.Table, who: Any, held: Concurrence, people: int) -> dict[str, Any]:
    by, week = who[held.row], weeks_since(compared["updated_at"])[held.row]
    task = tasks_of_rows(compared)[held.row]
    count = np.bincount(by, minlength=people).astype(np.float64)
    mean = over(np.bincount(by, weights=held.share, minlength=people), count)
    low, high = share_interval(mean, tasks_each(by, task, people))
    drift: list[tuple[float, float, float]] = []
    trend: list[tuple[float, float, float]] = []
    for r in range(people):
        own = (by == r) & np.isfinite(held.apart)
        apart, when = (mean_of_tasks(each[own], task[own]) for each in (held.apart, week))
        drift.append(_halves(apart))
        trend.append(_slope(when, apart))
    return {
        "shared": count.astype(np.int64), "agrees": mean, "agrees_low": low, "agrees_high": high,
        **_with_edges("drift", drift), **_with_edges("trend", trend),
    }  # fmt: skip


def _known(annotations: pa.Table, gold: pa.Table, names: list[str]) -> dict[str, Any]:
    found = gold_answers(annotations, gold)
    who = pc.index_in(found["annotator_id"], value_set=pa.array(names)).drop_null()
    # Somebody who could judge nothing at all has no row here, and no gold to be held to.
    known = found.filter(pc.is_in(found["annotator_id"], value_set=pa.array(names)))
    place, right = who.to_numpy().astype(np.int64), known["right"].to_numpy().astype(np.float64)
    count = np.bincount(place, minlength=len(names)).astype(np.float64)
    share = over(np.bincount(place, weights=right, minlength=len(names)), count)
    tasks = tasks_each(place, tasks_of_rows(known), len(names))
    low, high = share_interval(share, tasks)
    return {"gold": count.astype(np.int64), "gold_right": share, "gold_low": low,
            "gold_high": high}  # fmt: skip


def _halves(apart: FloatArray) -> tuple[float, float, float]:
    """Return the later half's mean minus the earlier one's, with its 95 % interval."""
    half = len(apart) // 2
    return apart_with_interval(apart[half:], apart[:half])


def _slope(week: FloatArray, apart: FloatArray) -> tuple[float, float, float]:
    """Return by how much agreement changes a week, by least squares, with its 95 % interval."""
    dated = np.isfinite(week)
    week, apart = week[dated], apart[dated]
    if len(week) < 4 or float(np.ptp(week)) < _LEAST_WEEKS:
        return (np.nan, np.nan, np.nan)
    centred = week - week.mean()
    spread = float(centred @ centred)
    slope = float(centred @ apart) / spread
    rest = apart - apart.mean() - slope * centred
    error = float(np.sqrt(rest @ rest / (len(week) - 2) / spread))
    return (slope, slope - INTERVAL * error, slope + INTERVAL * error)


def _with_edges(name: str, found: list[tuple[float, float, float]]) -> dict[str, FloatArray]:
    each = np.array(found, dtype=np.float64).reshape(-1, 3)
    return {name: each[:, 0], f"{name}_low": each[:, 1], f"{name}_high": each[:, 2]}
