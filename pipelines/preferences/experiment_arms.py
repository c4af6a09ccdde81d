"""Experiment arms: pairs as other wheels would make them, to be compared with ours.

None of these is for production: the naive arm believes every click, the shuffled arm knows
nothing, the oracle arm reads the simulated truth.
"""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.errors import ContractError
from data_contracts.schemas import PREFERENCE_PAIR
from pipelines.preferences.intent import naive_scores
from pipelines.preferences.pairs import (
    CANDIDATE,
    Pairs,
    PairSettings,
    candidate_table,
    finish_pairs,
    pairs_apart,
)
from pipelines.signals.query import conform

QUALITY: Final = pa.schema(
    [pa.field("generation_id", pa.string()), pa.field("quality", pa.float64())]
)


def naive_pairs(
    exposures: pa.Table,
    prompts: pa.Table,
    generations: pa.Table,
    evidence: pa.Table,
    *,
    settings: PairSettings | None = None,
) -> Pairs:
    """Take likes and downloads per impression for quality; the higher of two is chosen."""
    scores = naive_scores(exposures)
    quality = scores.rename_columns(["generation_id", "quality"])
    return pairs_from_quality(
        quality, prompts, generations, evidence, settings=settings, stage="naive"
    )


def at_face_value(exposures: pa.Table) -> pa.Table:
    """Return *exposures* as the naive arm believes them: bots and voters for hire count in full."""
    at = exposures.schema.get_field_index("weight")
    return exposures.set_column(at, "weight", pa.array(np.ones(exposures.num_rows)))


def pairs_from_quality(
    quality: pa.Table,
    prompts: pa.Table,
    generations: pa.Table,
    evidence: pa.Table | None = None,
    *,
    settings: PairSettings | None = None,
    stage: str = "oracle",
) -> Pairs:
    """Choose the generation of higher quality, surely; equals are undecided.

    Args:
        quality: generation_id, quality (any scale, higher is better).
        prompts: prompt contract; decides the split.
        generations: prompt contract's generations; those without a quality give no pairs.
        evidence: what pairs point back to; None: nothing, as for simulated truth.
        settings: cap and splits; thresholds do not matter for sure pairs.
        stage: under which name drops are counted.
    """
    settings = settings or PairSettings()
    known = conform(quality, QUALITY, what="quality")
    ids = tuple(known["generation_id"].to_pylist())
    value = known["quality"].to_numpy()
    if len(set(ids)) != len(ids):
        raise ContractError("quality: a generation has two rows; keep one")
    rows, index, first, second = candidate_table(generations, ids, what="generations")
    inside = (index[first] >= 0) & (index[second] >= 0)
    first, second = first[inside], second[inside]
    difference = value[index[first]] - value[index[second]]
    difference = np.where(np.isnan(difference), 0.0, difference)
    names = np.array(rows["generation_id"].to_pylist(), dtype=object)
    prompt = np.array(rows["prompt_id"].to_pylist(), dtype=object)
    wins, sure = difference >= 0, difference != 0
    candidates = pa.table(
        {
            "prompt_id": pa.array(prompt[first].tolist(), pa.string()),
            "chosen_id": pa.array(names[np.where(wins, first, second)].tolist(), pa.string()),
            "rejected_id": pa.array(names[np.where(wins, second, first)].tolist(), pa.string()),
            "aspect": pa.array(["overall"] * len(first), pa.string()),
            "probability": np.where(sure, 1.0, 0.5),
            "target": np.ones(len(first)),
            "weight": sure.astype(np.float64),
            "kept": sure,
            "known": np.ones(len(first), dtype=bool),
        },
        schema=CANDIDATE,
    )
    from_what = evidence if evidence is not None else _NO_EVIDENCE
    return finish_pairs(
        candidates,
        prompts,
        from_what,
        settings=settings,
        stage=stage,
        apart=pairs_apart(generations, ids),
    )


def shuffled_pairs(pairs: pa.Table, rng: np.random.Generator) -> pa.Table:
    """Give every pair's direction by a fair coin; ids, weights and splits stay.

    Coins fall in the order of pair_id, so the order of rows does not matter.
    """
    rows = conform(pairs, PREFERENCE_PAIR, what="pairs").sort_by("pair_id")
    turn = pa.array(rng.random(rows.num_rows) < 0.5)
    chosen = pc.if_else(turn, rows["rejected_id"], rows["chosen_id"])
    rejected = pc.if_else(turn, rows["chosen_id"], rows["rejected_id"])
    at = rows.schema.get_field_index
    rows = rows.set_column(at("chosen_id"), "chosen_id", chosen)
    rows = rows.set_column(at("rejected_id"), "rejected_id", rejected)
    order = [(name, "ascending") for name in ("prompt_id", "aspect", "chosen_id", "rejected_id")]
    return rows.sort_by(order).cast(PREFERENCE_PAIR)


_NO_EVIDENCE: Final = pa.table(
    {
        "generation_id": pa.array([], pa.string()),
        "source": pa.array([], pa.string()),
        "ids": pa.array([], pa.list_(pa.string())),
    }
)
