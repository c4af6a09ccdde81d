"""Habits: how fast an annotator answers, and how far they follow what a prediction filled in."""

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import binom

from annotation.answer_table import FloatArray, IntArray
from annotation.concurrence import (
    apart_with_interval,
    last_of_each,
    mean_of_tasks,
    over,
    share_interval,
    sides_of_pairs,
    tasks_each,
    tasks_of_rows,
)

_HASTY: Final = 0.25  # of the median time that everybody takes for such a question
_LEAST_S: Final = 1e-3  # a shorter time is a clock's, not a person's
_PREDICTED: Final = ("prediction", "prediction-changed")


def pace(judged: pa.Table, who: IntArray, people: int) -> dict[str, Any]:
    """Return *median_s*, *hasty*, *pace*, *pace_low* and *pace_high*, each (people,).

    One answer may judge several aspects; it took its time once. Pace is the median of an
    answer's time over everybody's median for that kind, its interval by order statistics, so
    that a coffee break says nothing.

    Args:
        judged: ratings and comparisons, in the order in which they were given.
        who: annotator of each row, from 0.
        people: how many there are.
    """
    once = last_of_each(tasks_of_rows(judged), who)
    lead = judged["lead_time_s"].to_numpy().astype(np.float64)
    kind = judged["kind"].to_numpy()
    timed = once & np.isfinite(lead)
    ratio = np.full(len(lead), np.nan)
    for each in np.unique(kind):
        here = timed & (kind == each)
        if here.any():
            usual = max(float(np.median(lead[here])), _LEAST_S)
            ratio[here] = np.maximum(lead[here], _LEAST_S) / usual
    count = np.bincount(who, weights=timed, minlength=people)
    hasty = np.bincount(who, weights=timed & (ratio < _HASTY), minlength=people)
    middle = [np.median(lead[timed & (who == r)]) if count[r] else np.nan for r in range(people)]
    edges = np.array([_median_interval(ratio[timed & (who == r)]) for r in range(people)])
    return {
        "median_s": np.array(middle), "hasty": over(hasty, count),
        "pace": edges[:, 0], "pace_low": edges[:, 1], "pace_high": edges[:, 2],
    }  # fmt: skip


def anchoring(judged: pa.Table, who: IntArray, people: int) -> dict[str, Any]:
    """Return how annotators treat predictions that had filled in their answer, each (people,).

    *predicted* counts such answers, *kept* is the share left as they were. *anchored* is an
    annotator's agreement where they answered themselves minus that where they kept a prediction,
    both with others who answered themselves: above 0, predictions pull them away from what
    people say on their own. It is fair where chance decides what gets a prediction.

    Args:
        judged: ratings and comparisons, in the order in which they were given.
        who: annotator of each row, from 0.
        people: how many there are.
    """
    origin = judged["origin"]
    predicted = pc.is_in(origin, value_set=pa.array(_PREDICTED)).to_numpy().astype(np.bool_)
    kept = pc.fill_null(pc.equal(origin, "prediction"), False).to_numpy().astype(np.bool_)
    count = np.bincount(who, weights=predicted, minlength=people)
    share = over(np.bincount(who, weights=kept, minlength=people), count)
    low, high = share_interval(
        share, tasks_each(who[predicted], tasks_of_rows(judged)[predicted], people)
    )
    lost = _agreement_lost(judged, who, people, predicted=predicted, kept=kept)
    return {
        "predicted": count.astype(np.int64), "kept": share, "kept_low": low, "kept_high": high,
        "anchored": lost[:, 0], "anchored_low": lost[:, 1], "anchored_high": lost[:, 2],
    }  # fmt: skip


def _agreement_lost(
    judged: pa.Table, who: IntArray, people: int, *, predicted: Any, kept: Any
) -> FloatArray:
    """Return (people, 3): agreement unaided minus agreement with a kept prediction, interval."""
    compared = pc.equal(judged["kind"], "comparison").to_numpy().astype(np.bool_)
    unit, side = sides_of_pairs(judged.filter(pa.array(compared)))
    by, kept, own = who[compared], kept[compared], ~predicted[compared]
    task, counts = tasks_of_rows(judged)[compared], (side != 0) & last_of_each(unit, by)
    unit, side, by, kept, own, task = (each[counts] for each in (unit, side, by, kept, own, task))
    size = int(unit.max(initial=-1)) + 1
    unaided = np.bincount(unit, weights=own, minlength=size)
    first = np.bincount(unit, weights=own & (side > 0), minlength=size)
    same = np.where(side > 0, first[unit], unaided[unit] - first[unit]) - own
    share = over(same, unaided[unit] - own)
    known = np.isfinite(share)
    found: list[tuple[float, float, float]] = []
    for r in range(people):
        alone, aided = (known & of & (by == r) for of in (own, kept))
        found.append(
            apart_with_interval(
                *(mean_of_tasks(share[each], task[each]) for each in (alone, aided))
            )
        )
    return np.array(found, dtype=np.float64).reshape(-1, 3)


def _median_interval(values: FloatArray) -> tuple[float, float, float]:
    """Return the median with its 95 % interval by order statistics, of values in any order."""
    if not len(values):
        return (np.nan, np.nan, np.nan)
    ordered = np.sort(values)
    place = int(binom.ppf(0.025, len(ordered), 0.5))
    low, high = max(place - 1, 0), min(len(ordered) - place, len(ordered) - 1)
    return (float(np.median(ordered)), float(ordered[low]), float(ordered[high]))
