"""Measured ratings: pairs where the set states how exact each rating is."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.special import ndtr

from pipelines.preferences.evidence import EVIDENCE
from pipelines.preferences.pairs import (
    CANDIDATE,
    Pairs,
    PairSettings,
    candidate_table,
    finish_pairs,
)
from pipelines.preferences.target import targets


def measured_pairs(
    annotations: pa.Table,
    stated_errors: pa.Table,
    prompts: pa.Table,
    generations: pa.Table,
    evidence: pa.Table,
    *,
    settings: PairSettings,
) -> Pairs:
    """Compare all generations of one prompt by ratings with a stated standard error.

    The chance that one is better is that of a normal difference with both errors. No fit is
    needed: reading such a rating at five levels would throw its exactness away.

    Args:
        annotations: one rating a generation and aspect.
        stated_errors: in the STATED_ERROR schema, one for each of them.
        prompts: prompt contract; decides the split.
        generations: generation contract.
        evidence: from `gather_evidence`.
        settings: aspects, thresholds, cap, splits.

    Returns:
        As `pipelines.preferences.make_pairs`.
    """
    rows = annotations.join(stated_errors, "annotation_id").combine_chunks()
    parts = [CANDIDATE.empty_table()]
    for aspect in settings.aspects:
        mine = rows.filter(pc.equal(rows["aspect"], aspect)).sort_by("generation_id")
        ids = tuple(mine["generation_id"].to_pylist())
        value, error = (mine[name].to_numpy() for name in ("value", "standard_error"))
        made, index, first, second = candidate_table(generations, ids, what="generations")
        inside = (index[first] >= 0) & (index[second] >= 0)
        first, second = first[inside], second[inside]
        apart = value[index[first]] - value[index[second]]
        spread = np.hypot(error[index[first]], error[index[second]])
        chance = np.round(ndtr(apart / spread), 12)
        wins, probability = chance >= 0.5, np.maximum(chance, 1 - chance)
        aimed = targets(probability, settings=settings.target)
        names = np.array(made["generation_id"].to_pylist(), dtype=object)
        prompt = np.array(made["prompt_id"].to_pylist(), dtype=object)
        parts.append(
            pa.table(
                {
                    "prompt_id": prompt[first],
                    "chosen_id": names[np.where(wins, first, second)],
                    "rejected_id": names[np.where(wins, second, first)],
                    "aspect": pa.array([aspect] * len(first), pa.string()),
                    "probability": probability,
                    "target": aimed.target,
                    "weight": aimed.weight,
                    "kept": aimed.kept,
                    "known": np.ones(len(first), dtype=bool),
                },
                schema=CANDIDATE,
            )
        )
    return finish_pairs(
        pa.concat_tables(parts), prompts, evidence.cast(EVIDENCE), settings=settings,
        stage="preferences",
    )  # fmt: skip
