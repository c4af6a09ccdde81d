"""Answers: annotations as arrays by aspect, every row used or counted under its reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.errors import ContractError
from data_contracts.schemas import ANNOTATION
from data_contracts.vocabulary import ASPECTS
from pipelines.preferences.comparison_model import Comparisons
from pipelines.preferences.kernel import IntArray
from pipelines.preferences.rating_model import Ratings
from pipelines.signals.drops import drops_table
from pipelines.signals.query import conform, query, subset

POOL: Final = "(pool)"  # answers whose annotator is not known count as one pool's
LEVELS: Final = 5

_COLUMNS: Final = (
    "annotation_id", "annotator_id", "kind", "generation_id", "other_generation_id", "aspect",
    "value", "scale", "shown_left",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Usable answers by aspect, the annotators' names, and what was left out."""

    ratings: Mapping[str, Ratings]
    comparisons: Mapping[str, Comparisons]
    annotators: tuple[str, ...]
    used: IntArray  # (annotators,) answers used
    drops: pa.Table

    @property
    def aspects(self) -> tuple[str, ...]:
        """Aspects with answers, in the order of the contract, unknown ones last."""
        found = set(self.ratings) | set(self.comparisons)
        return tuple([a for a in ASPECTS if a in found] + sorted(found - set(ASPECTS)))


def read_answers(annotations: pa.Table | None, item_ids: pa.Array) -> Answers:
    """Encode ratings and comparisons of known items; order of rows does not matter.

    A rating's scale is 1 to 5 unless its *scale* column says otherwise ("1..7", "0-10"); it is
    read at five levels. On a scale that cannot be read ("percent") 5 may be little: it is dropped.
    Comparisons keep the direction of -2 .. 2, not yet the strength.

    Drops: not_an_answer (other kinds), cannot_judge, unknown_generation, unknown_scale, off_scale,
    repeated_answer (one annotator, one task: the last annotation_id counts; the two orders of a
    pair are two tasks), compared_with_itself.
    """
    if annotations is None:
        annotations = subset(ANNOTATION, _COLUMNS).empty_table()
    rows = conform(annotations, subset(ANNOTATION, _COLUMNS), what="annotations")
    judged = query(_JUDGE, annotations=rows, known=pa.table({"generation_id": item_ids}))
    counts = judged.group_by("reason").aggregate([("annotation_id", "count")]).to_pylist()
    reasons = {row["reason"]: row["annotation_id_count"] for row in counts}
    reasons.pop("kept", None)
    kept = judged.filter(pc.equal(judged["reason"], "kept"))
    names = pa.array(sorted(set(kept["annotator"].to_pylist())), pa.string())
    annotator = pc.index_in(kept["annotator"], value_set=names).to_numpy().astype(np.int64)
    item = pc.index_in(kept["generation_id"], value_set=item_ids).to_numpy().astype(np.int64)
    other = (
        pc.fill_null(pc.index_in(kept["other_generation_id"], value_set=item_ids), -1)
        .to_numpy()
        .astype(np.int64)
    )
    is_rating = pc.equal(kept["kind"], "rating").to_numpy()
    label = pc.fill_null(kept["label"], 0).to_numpy().astype(np.int64)
    left = kept["left_side"].to_numpy().astype(np.int64)
    aspect = np.array(kept["aspect"].to_pylist(), dtype=object)
    ratings, comparisons = {}, {}
    for name in sorted(set(aspect.tolist())):
        mine = (aspect == name) & is_rating
        if mine.any():
            ratings[name] = Ratings(
                item=item[mine], annotator=annotator[mine], label=label[mine],
                levels=LEVELS, items=len(item_ids), annotators=len(names),
            )  # fmt: skip
        mine = (aspect == name) & ~is_rating
        if mine.any():
            comparisons[name] = Comparisons(
                item=item[mine], other=other[mine], annotator=annotator[mine],
                outcome=label[mine], left=left[mine],
                items=len(item_ids), annotators=len(names),
            )  # fmt: skip
    return Answers(
        ratings=ratings,
        comparisons=comparisons,
        annotators=tuple(names.to_pylist()),
        used=np.bincount(annotator, minlength=len(names)).astype(np.int64),
        drops=drops_table("annotations", reasons),
    )


def read_gold(gold: pa.Table | None, item_ids: pa.Array) -> dict[str, tuple[IntArray, IntArray]]:
    """Return by aspect the items whose class is known, and their levels 0 .. 4.

    Raises:
        ContractError: a gold value is not a level 1 .. 5, or one item has two.
    """
    if gold is None or gold.num_rows == 0:
        return {}
    values = gold["value"].cast(pa.float64()).to_numpy()
    wrong = ~np.isin(values, np.arange(1, LEVELS + 1))
    if wrong.any():
        names = gold["generation_id"].filter(pa.array(wrong)).to_pylist()[:5]
        raise ContractError(
            f"gold: {wrong.sum()} of {len(values)} values are no level 1 .. {LEVELS} "
            f"({', '.join(names)} ...); round them first"
        )
    item = pc.fill_null(pc.index_in(gold["generation_id"], value_set=item_ids), -1).to_numpy()
    aspect = np.array(gold["aspect"].to_pylist(), dtype=object)
    found: dict[str, tuple[IntArray, IntArray]] = {}
    for name in sorted(set(aspect.tolist())):
        mine = (aspect == name) & (item >= 0)
        items, first = np.unique(item[mine], return_index=True)
        if len(np.unique(np.stack([item[mine], values[mine]]), axis=1).T) != len(items):
            raise ContractError(f"gold: a generation has two values for aspect {name}; keep one")
        found[name] = (items.astype(np.int64), (values[mine][first] - 1).astype(np.int64))
    return found


def fitted_aspects(
    annotations: pa.Table | None, gold: pa.Table | None, item_ids: pa.Array
) -> tuple[str, ...]:
    """Return the aspects that a fit of these answers and this gold knows, *overall* always."""
    found = {"overall", *read_answers(annotations, item_ids).aspects, *read_gold(gold, item_ids)}
    return tuple(aspect for aspect in ASPECTS if aspect in found)


_SCALE: Final = r"^\s*(-?[0-9.]+)\s*(?:\.\.|-|to|:)\s*(-?[0-9.]+)\s*$"
_JUDGE: Final = f"""
WITH read AS (
    SELECT annotations.*, coalesce(annotator_id, '{POOL}') AS annotator,
        CASE WHEN coalesce(trim(scale), '') = '' THEN 1 ELSE
            try_cast(nullif(regexp_extract(scale, '{_SCALE}', 1), '') AS DOUBLE) END AS low,
        CASE WHEN coalesce(trim(scale), '') = '' THEN 5 ELSE
            try_cast(nullif(regexp_extract(scale, '{_SCALE}', 2), '') AS DOUBLE) END AS high,
        generation_id IN (SELECT generation_id FROM known) AS item_known,
        other_generation_id IN (SELECT generation_id FROM known) AS other_known,
        CASE WHEN annotator_id IS NULL THEN 1 ELSE row_number() OVER (
            PARTITION BY annotator_id, kind, coalesce(aspect, 'overall'), coalesce(shown_left, ''),
                least(generation_id, coalesce(other_generation_id, generation_id)),
                greatest(generation_id, coalesce(other_generation_id, generation_id))
            ORDER BY annotation_id DESC) END AS age
    FROM annotations
)
SELECT annotation_id, annotator, kind, generation_id, other_generation_id,
    coalesce(aspect, 'overall') AS aspect,
    CASE WHEN kind = 'rating' THEN
        try_cast(least(round((value - low) / (high - low) * {LEVELS - 1}), {LEVELS - 1}) AS BIGINT)
        ELSE try_cast(sign(value) + 1 AS BIGINT) END AS label,
    CASE WHEN shown_left = generation_id THEN 1
         WHEN shown_left = other_generation_id THEN -1 ELSE 0 END AS left_side,
    reason
FROM (
    SELECT *, CASE
        WHEN kind NOT IN ('rating', 'comparison') THEN 'not_an_answer'
        WHEN value IS NULL OR isnan(value) THEN 'cannot_judge'
        WHEN NOT item_known THEN 'unknown_generation'
        WHEN kind = 'comparison' AND NOT coalesce(other_known, false) THEN 'unknown_generation'
        WHEN kind = 'comparison' AND other_generation_id = generation_id
            THEN 'compared_with_itself'
        WHEN kind = 'rating' AND (low IS NULL OR high IS NULL) THEN 'unknown_scale'
        WHEN kind = 'rating' AND (high <= low OR value < low OR value > high) THEN 'off_scale'
        WHEN kind = 'comparison' AND abs(value) > 2 THEN 'off_scale'
        WHEN age > 1 THEN 'repeated_answer'
        ELSE 'kept' END AS reason
    FROM read
)
ORDER BY aspect, kind, generation_id, other_generation_id NULLS FIRST, annotator, annotation_id
"""
