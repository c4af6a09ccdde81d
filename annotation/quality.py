"""Quality: what a lead must see of each annotator, and how far people agree on each aspect."""

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from annotation.agreement import rating_agreement
from annotation.answer_table import FloatArray, rated_aspects

_INTERVAL: Final = 1.959963984540054  # of a standard normal, 95 %
_HASTY: Final = 0.25  # of the median time that everybody takes for such a question

ANNOTATOR_QUALITY: Final = pa.schema(
    [
        pa.field("annotator_id", pa.string()),
        pa.field("answers", pa.int64()),  # comparisons and ratings with a value
        pa.field("median_s", pa.float64()),  # null: no times
        pa.field("hasty", pa.float64()),  # share given in a quarter of everybody's median time
        pa.field("shared", pa.int64()),  # comparisons that somebody else judged too
        pa.field("agrees", pa.float64()),  # mean share of the others who chose the same side
        pa.field("agrees_low", pa.float64()),  # 95 % interval
        pa.field("agrees_high", pa.float64()),
        pa.field("sided", pa.int64()),  # untied comparisons with a known side
        pa.field("left_share", pa.float64()),  # of those, how often the left one won
        pa.field("left_low", pa.float64()),
        pa.field("left_high", pa.float64()),
        pa.field("drift", pa.float64()),  # the later half's agreement minus the earlier one's
        pa.field("drift_low", pa.float64()),
        pa.field("drift_high", pa.float64()),
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
    for kind, rows in (("rating", annotations), ("comparison", _pairs_as_units(annotations))):
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


def annotator_quality(annotations: pa.Table) -> pa.Table:
    """Return a row per annotator, sorted by id; a figure without evidence is null.

    Agreement is with the others who judged the same pair and aspect, ties left out: nobody is
    held to themselves, and nobody's truth is known. Drift compares the halves of an annotator's
    work, in the order in which it was given, beside everybody's agreement on the same pairs. Two
    that copy one another agree: see `cohorts`.

    Args:
        annotations: rows of the annotation contract.
    """
    judged = annotations.filter(
        pc.and_(
            pc.is_in(annotations["kind"], value_set=pa.array(["rating", "comparison"])),
            pc.and_(pc.is_valid(annotations["value"]), pc.is_valid(annotations["annotator_id"])),
        )
    ).sort_by([("updated_at", "ascending"), ("annotation_id", "ascending")])
    names = sorted(set(judged["annotator_id"].to_pylist()))
    if not names:
        return ANNOTATOR_QUALITY.empty_table()
    who = pc.index_in(judged["annotator_id"], value_set=pa.array(names)).to_numpy().astype(np.int64)
    columns: dict[str, Any] = {"annotator_id": names, "answers": np.bincount(who)}
    columns |= _speed(judged, who, len(names))
    compared = pc.equal(judged["kind"], "comparison").to_numpy().astype(np.bool_)
    columns |= _side(judged.filter(pa.array(compared)), who[compared], len(names))
    columns |= _concurrence(judged.filter(pa.array(compared)), who[compared], len(names))
    return pa.table(
        {
            field.name: pa.array(
                columns[field.name], field.type, from_pandas=pa.types.is_floating(field.type)
            )
            for field in ANNOTATOR_QUALITY
        },
        schema=ANNOTATOR_QUALITY,
    )


def share_interval(share: FloatArray, count: NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    """Return the 95 % Wilson interval of shares of *count* each; NaN where *count* is 0."""
    n = np.where(count > 0, count, np.nan)
    z = _INTERVAL
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return middle - reach, middle + reach


def _pairs_as_units(annotations: pa.Table) -> pa.Table:
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


def _speed(judged: pa.Table, who: Any, people: int) -> dict[str, Any]:
    lead = judged["lead_time_s"].to_numpy().astype(np.float64)
    kind = judged["kind"].to_numpy()
    usual = np.full(len(lead), np.nan)
    for each in np.unique(kind):
        here = (kind == each) & np.isfinite(lead)
        usual[kind == each] = np.median(lead[here]) if here.any() else np.nan
    timed = np.isfinite(lead)
    hasty = timed & (lead < _HASTY * usual)
    count = np.bincount(who, weights=timed, minlength=people)
    middle = [np.median(lead[timed & (who == r)]) if count[r] else np.nan for r in range(people)]
    return {
        "median_s": np.array(middle),
        "hasty": _over(np.bincount(who, weights=hasty, minlength=people), count),
    }


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
    share = _over(np.bincount(who, weights=left_won, minlength=people), count)
    low, high = share_interval(share, count)
    return {"sided": count.astype(np.int64), "left_share": share, "left_low": low,
            "left_high": high}  # fmt: skip


def _concurrence(compared: pa.Table, who: Any, people: int) -> dict[str, Any]:
    """Compare each untied comparison with those of others on the same pair and aspect."""
    units = _pairs_as_units(compared)
    aspect = pc.fill_null(units["aspect"], "overall")
    key = pc.binary_join_element_wise(units["generation_id"], aspect, "\x1f")
    _, unit = np.unique(np.array(key.to_pylist(), dtype=object), return_inverse=True)
    side = np.sign(units["value"].to_numpy())
    untied = side != 0
    who, unit, side = who[untied], unit[untied], side[untied]
    first = np.bincount(unit, weights=side > 0, minlength=int(unit.max(initial=-1)) + 1)
    total = np.bincount(unit, minlength=len(first))
    others = total[unit] - 1
    same = np.where(side > 0, first[unit], total[unit] - first[unit]) - 1
    shared = others > 0
    who, unit, share = who[shared], unit[shared], (same[shared] / others[shared])
    count = np.bincount(who, minlength=people).astype(np.float64)
    mean = _over(np.bincount(who, weights=share, minlength=people), count)
    low, high = share_interval(mean, count)
    # Held against what all agreed on the same pair, or one who drifts would pull all others along.
    usual = _over(np.bincount(unit, weights=share), np.bincount(unit).astype(np.float64))
    apart = share - usual[unit]
    drift = np.array([_drift(apart[who == r]) for r in range(people)]).reshape(people, 3)
    return {
        "shared": count.astype(np.int64), "agrees": mean, "agrees_low": low, "agrees_high": high,
        "drift": drift[:, 0], "drift_low": drift[:, 1], "drift_high": drift[:, 2],
    }  # fmt: skip


def _drift(share: FloatArray) -> tuple[float, float, float]:
    """Return the later half's mean minus the earlier one's, with its 95 % interval."""
    half = len(share) // 2
    if half < 2:
        return (np.nan, np.nan, np.nan)
    early, late = share[:half], share[half:]
    apart = float(late.mean() - early.mean())
    error = float(np.sqrt(early.var(ddof=1) / len(early) + late.var(ddof=1) / len(late)))
    return (apart, apart - _INTERVAL * error, apart + _INTERVAL * error)


def _over(part: NDArray[Any], whole: NDArray[Any]) -> FloatArray:
    return np.asarray(np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0))
