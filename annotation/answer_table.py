"""Answers as arrays: one rating per annotator, generation and aspect, in canonical order."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_contracts.errors import ContractError

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

_KEY = ("aspect", "generation_id", "annotator_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingTable:
    """Ratings of one aspect; *value* is on the scale as given."""

    generation: IntArray
    annotator: IntArray
    value: FloatArray
    generations: tuple[str, ...]
    annotators: tuple[str, ...]


def rated_aspects(annotations: pa.Table) -> tuple[str, ...]:
    """Return the aspects with ratings, sorted; null counts as overall."""
    rows = _of_kind(annotations, "rating")
    return tuple(sorted(set(rows["aspect"].to_pylist())))


def read_ratings(annotations: pa.Table, *, aspect: str) -> RatingTable:
    """Return the ratings of *aspect*; of two by one annotator the last annotation_id counts.

    Answers without a value or annotator are left out: nobody can be held to them.

    Raises:
        ContractError: a column is missing.
    """
    rows = _of_kind(annotations, "rating")
    rows = rows.filter(pc.and_(pc.equal(rows["aspect"], aspect), pc.is_valid(rows["annotator_id"])))
    rows = rows.sort_by([*((name, "ascending") for name in _KEY), ("annotation_id", "descending")])
    generations, generation = _encode(rows["generation_id"])
    annotators, annotator = _encode(rows["annotator_id"])
    pair = generation * max(len(annotators), 1) + annotator
    first = np.ones(len(pair), dtype=bool)
    first[1:] = pair[1:] != pair[:-1]
    return RatingTable(
        generation=generation[first],
        annotator=annotator[first],
        value=rows["value"].to_numpy()[first].astype(np.float64),
        generations=generations,
        annotators=annotators,
    )


def read_comparisons(annotations: pa.Table) -> pa.Table:
    """Return comparisons that were judged, sorted by annotation_id."""
    return _of_kind(annotations, "comparison").sort_by("annotation_id")


def _of_kind(annotations: pa.Table, kind: str) -> pa.Table:
    needed = ("annotation_id", "generation_id", "kind")
    missing = [name for name in needed if name not in annotations.column_names]
    if missing:
        raise ContractError(
            f"annotations: column {', '.join(missing)} missing; the contract requires it"
        )
    columns = {}
    for name in (*needed, "annotator_id", "other_generation_id", "aspect", "shown_left"):
        columns[name] = (
            annotations[name].cast(pa.string())
            if name in annotations.column_names
            else pa.nulls(annotations.num_rows, pa.string())
        )
    columns["aspect"] = pc.fill_null(columns["aspect"], "overall")
    columns["value"] = (
        annotations["value"].cast(pa.float64())
        if "value" in annotations.column_names
        else pa.nulls(annotations.num_rows, pa.float64())
    )
    rows = pa.table(columns)
    judged = pc.and_(pc.is_valid(rows["value"]), pc.invert(pc.is_nan(rows["value"])))
    return rows.filter(pc.and_(pc.equal(rows["kind"], kind), pc.fill_null(judged, False)))


def _encode(values: pa.ChunkedArray) -> tuple[tuple[str, ...], IntArray]:
    names = sorted(set(values.to_pylist()))
    index = pc.index_in(values, value_set=pa.array(names, pa.string()))
    return tuple(names), index.to_numpy().astype(np.int64)
