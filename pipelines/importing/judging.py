"""How far the people of a public set agree, and who they are in numbers; no content."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annotation import (
    pairwise_agreement,
    rated_aspects,
    rating_agreement,
    read_ratings,
)

Figures = dict[str, Any]


def agreement_figures(annotations: pa.Table, *, resamples: int, seed: int) -> list[Figures]:
    """Return ordinal alpha with its interval for every rated aspect, from raw answers."""
    found = []
    for aspect in rated_aspects(annotations):
        measured = rating_agreement(
            annotations, aspect=aspect, resamples=resamples, rng=np.random.default_rng(seed)
        )
        found.append(
            {
                "aspect": aspect,
                "level": "ordinal",
                "alpha": measured.alpha,
                "low": measured.low,
                "high": measured.high,
                "answers": measured.answers,
                "generations": measured.generations,
                "annotators": measured.annotators,
            }
        )
    return found


def rating_figures(annotations: pa.Table, reliability: pa.Table) -> list[Figures]:
    """Return for every rated aspect the spread of answers, by annotator too, and who agrees."""
    trust = {(r["annotator_id"], r["aspect"]): r for r in reliability.to_pylist()}
    found = []
    for aspect in rated_aspects(annotations):
        ratings = read_ratings(annotations, aspect=aspect)
        values = np.unique(ratings.value)
        shape = (len(ratings.annotators), len(values))
        at = np.searchsorted(values, ratings.value)
        counts = np.zeros(shape, np.int64)
        np.add.at(counts, (ratings.annotator, at), 1)
        pairs = pairwise_agreement(ratings).to_pylist()
        found.append(
            {
                "aspect": aspect,
                "values": values.tolist(),
                "counts": counts.sum(axis=0).tolist(),
                "annotators": [
                    {
                        "annotator_id": name,
                        "answers": int(row.sum()),
                        "mean": float((row * values).sum() / row.sum()),
                        "counts": row.tolist(),
                        "accuracy": trust[name, aspect]["accuracy"],
                        "within_one": trust[name, aspect]["within_one"],
                        "kappa": _mean_kappa(name, pairs),
                    }
                    for name, row in zip(ratings.annotators, counts, strict=True)
                ],
                "pairwise": pairs,
            }
        )
    return found


def comparison_figures(annotations: pa.Table) -> Figures | None:
    """Return how often pairs were compared, tied, and compared twice; None: never."""
    rows = annotations.filter(pc.equal(annotations["kind"], "comparison"))
    if rows.num_rows == 0:
        return None
    sides = (rows[name].to_pylist() for name in ("generation_id", "other_generation_id"))
    times: dict[frozenset[str], int] = {}
    for pair in zip(*sides, strict=True):
        times[frozenset(pair)] = times.get(frozenset(pair), 0) + 1
    return {
        "comparisons": rows.num_rows,
        "pairs": len(times),
        "pairs_compared_twice": sum(count > 1 for count in times.values()),
        "ties": pc.sum(pc.equal(rows["value"], 0.0).cast(pa.int64())).as_py(),
        "unnamed_judges": rows["annotator_id"].null_count,
    }


def _mean_kappa(name: str, pairs: list[Figures]) -> float | None:
    """Return the mean of Cohen's kappa with every other annotator; None where undefined."""
    mine = [
        pair["kappa"]
        for pair in pairs
        if name in (pair["annotator_id"], pair["other_annotator_id"]) and pair["kappa"] is not None
    ]
    return float(np.mean(mine)) if mine else None
