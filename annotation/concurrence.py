"""Concurrence: how many of the others chose the same side, comparison by comparison."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from annotation.answer_table import FloatArray, IntArray

INTERVAL: Final = 1.959963984540054  # of a standard normal, 95 %
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Concurrence:
    """The untied comparisons that somebody else judged too; each array is (n,).

    Of several answers of one annotator about one pair and aspect the last counts.
    """

    row: IntArray  # of the comparisons that were given
    share: FloatArray  # of the others who chose the same side, in [0, 1]
    apart: FloatArray  # share minus how far those others agree among themselves; NaN: one other


def judged_answers(annotations: pa.Table) -> pa.Table:
    """Return ratings and comparisons with a value and an annotator, in the order of giving."""
    kept = pc.and_(
        pc.is_in(annotations["kind"], value_set=pa.array(["rating", "comparison"])),
        pc.and_(pc.is_valid(annotations["value"]), pc.is_valid(annotations["annotator_id"])),
    )
    order = [("updated_at", "ascending"), ("annotation_id", "ascending")]
    return annotations.filter(kept).sort_by(order)


def pairs_as_units(annotations: pa.Table) -> pa.Table:
    """Return comparisons as ratings of their pair, seen from the smaller id."""
    rows = annotations.filter(
        pc.and_(
            pc.equal(annotations["kind"], "comparison"),
            pc.is_valid(annotations["other_generation_id"]),
        )
    )
    turned = pc.greater(rows["generation_id"], rows["other_generation_id"])
    one = pc.if_else(turned, rows["other_generation_id"], rows["generation_id"])
    other = pc.if_else(turned, rows["generation_id"], rows["other_generation_id"])
    value = pc.if_else(turned, pc.negate(rows["value"]), rows["value"])
    changed = {
        "generation_id": pc.binary_join_element_wise(one, other, "\x1f"),
        "value": pc.add(value, 0.0),  # never -0, which would be a value of its own
        "kind": pa.array(["rating"] * rows.num_rows, pa.string()),
    }
    names = ("annotation_id", "annotator_id", "aspect")
    return pa.table({**{name: rows[name] for name in names}, **changed})


def sides_of_pairs(compared: pa.Table) -> tuple[IntArray, IntArray]:
    """Return (n,) the pair and aspect that each comparison is about, and the side it took.

    Sides are 1 for the smaller id, -1 for the larger one, 0 for a tie.
    """
    units = pairs_as_units(compared)
    aspect = pc.fill_null(units["aspect"], "overall")
    key = pc.binary_join_element_wise(units["generation_id"], aspect, "\x1f")
    unit = pc.dictionary_encode(key).combine_chunks().indices.to_numpy().astype(np.int64)
    return unit, np.sign(units["value"].to_numpy(zero_copy_only=False)).astype(np.int64)


def concurrence(compared: pa.Table, who: IntArray) -> Concurrence:
    """Hold each untied comparison against those of others on the same pair and aspect.

    Args:
        compared: (n) judged comparisons with a rival, in the order of giving.
        who: (n,) annotator of each, from 0.
    """
    unit, side = sides_of_pairs(compared)
    row = np.flatnonzero((side != 0) & last_of_each(unit, who))
    unit, side = unit[row], side[row]
    size = int(unit.max(initial=-1)) + 1
    first = np.bincount(unit, weights=side > 0, minlength=size)
    total = np.bincount(unit, minlength=size)
    others = total[unit] - 1
    same = np.where(side > 0, first[unit], total[unit] - first[unit]) - 1
    shared = others > 0
    row, same, others = row[shared], same[shared], others[shared]
    # Their own agreement, which this annotator has no part in: two of them, drawn at random.
    differ = others - same
    alike = over(
        same * (same - 1) + differ * (differ - 1), (others * (others - 1)).astype(np.float64)
    )
    share = same / others
    return Concurrence(row=row, share=share, apart=share - alike)


def tasks_of_rows(rows: pa.Table) -> IntArray:
    """Return (n,) the task that each row answers, numbered from 0."""
    coded = pc.dictionary_encode(rows["task_id"]).combine_chunks()
    return np.asarray(coded.indices.to_numpy(), dtype=np.int64)


def tasks_each(place: IntArray, task: IntArray, size: int) -> FloatArray:
    """Return (size,) how many tasks lie at each place: what somebody says of one hangs together."""
    met = np.unique(np.column_stack([place, task]), axis=0)
    return np.bincount(met[:, 0], minlength=size).astype(np.float64)


def mean_of_tasks(values: FloatArray, task: IntArray) -> FloatArray:
    """Return the mean of each task's values, tasks in the order of their first one."""
    _, begins, place = np.unique(task, return_index=True, return_inverse=True)
    means = over(np.bincount(place, weights=values), np.bincount(place))
    return means[np.argsort(begins)]


def last_of_each(unit: IntArray, who: IntArray) -> BoolArray:
    """Return (n,) whether a row is its annotator's last about its unit, rows being in order."""
    pair = unit * (int(who.max(initial=0)) + 1) + who
    _, place = np.unique(pair[::-1], return_index=True)
    last = np.zeros(len(pair), np.bool_)
    last[len(pair) - 1 - place] = True
    return last


def share_interval(share: FloatArray, count: NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    """Return the 95 % Wilson interval of shares of *count* each; NaN where *count* is 0."""
    n = np.where(count > 0, count, np.nan)
    z = INTERVAL
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return middle - reach, middle + reach


def apart_with_interval(later: FloatArray, earlier: FloatArray) -> tuple[float, float, float]:
    """Return the mean of *later* minus that of *earlier* with its 95 % interval; NaN if too few."""
    if min(len(later), len(earlier)) < 2:
        return (np.nan, np.nan, np.nan)
    apart = float(later.mean() - earlier.mean())
    error = float(np.sqrt(later.var(ddof=1) / len(later) + earlier.var(ddof=1) / len(earlier)))
    return (apart, apart - INTERVAL * error, apart + INTERVAL * error)


def over(part: NDArray[Any], whole: NDArray[Any]) -> FloatArray:
    """Divide; NaN where *whole* is 0."""
    return np.asarray(
        np.divide(part, whole, out=np.full(len(part), np.nan), where=np.asarray(whole) > 0)
    )
