"""How far those who judged a public set agree, and who they are in numbers; no content."""

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from annotation import pairwise_agreement, rating_agreement, read_ratings
from pipelines.importing.intervals import mean_interval
from pipelines.importing.questions import Question, questions

Figures = dict[str, Any]

POOL: Final = "(pool)"
_SEVERAL: Final = 8  # up to so many annotators, every two of them are compared
_LEVELS: Final = 12  # up to so many values are counted one by one


def agreement_figures(annotations: pa.Table, *, resamples: int, seed: int) -> list[Figures]:
    """Return for each question how far those who answered it agree, from raw answers.

    Ordinal alpha with its interval, and *same*: how often two answers to the same are equal.
    Both are None where nothing was answered twice. An unnamed answer is taken as somebody's own:
    nobody of a pool answered twice, as far as anybody can know.
    """
    found = []
    for question in questions(annotations):
        rows = question.as_ratings()
        units = np.unique(rows["generation_id"].to_numpy(), return_inverse=True)[1]
        several = np.bincount(units) >= 2
        told: Figures = {
            "aspect": question.aspect,
            "question": question.name,
            "kind": question.kind,
            "by": question.by,
            "level": "ordinal",
            "answers": rows.num_rows,
            "annotators": question.annotators,
            "generations": int(several.sum()),
            **dict.fromkeys(("alpha", "low", "high", "same", "same_low", "same_high")),
        }
        if several.any():
            rng = np.random.default_rng(seed)
            measured = rating_agreement(rows, aspect=question.aspect, resamples=resamples, rng=rng)
            same = mean_interval(_same(units, rows["value"].to_numpy()), resamples, rng)
            told |= {"alpha": measured.alpha, "low": measured.low, "high": measured.high}
            told |= {"same": same.mean, "same_low": same.low, "same_high": same.high}
        found.append(told)
    return found


def rating_figures(annotations: pa.Table, reliability: pa.Table) -> list[Figures]:
    """Return for each rated question the spread of answers, by annotator too, and who agrees."""
    trust = {(r["annotator_id"], r["aspect"]): r for r in reliability.to_pylist()}
    found = []
    for question in questions(annotations):
        if question.kind != "rating":
            continue
        values, at = _levels(question.rows["value"].to_numpy())
        names = pc.fill_null(question.rows["annotator_id"], POOL).to_numpy(zero_copy_only=False)
        annotators, who = np.unique(names.astype(object), return_inverse=True)
        counts = np.zeros((len(annotators), len(values)), np.int64)
        np.add.at(counts, (who, at), 1)
        named = question.annotators > 0
        few = len(annotators) <= _SEVERAL and named
        ratings = read_ratings(question.rows, aspect=question.aspect)
        pairs = pairwise_agreement(ratings).to_pylist() if few else []
        nobody = {"accuracy": None, "within_one": None}
        found.append(
            {
                "aspect": question.aspect,
                "question": question.name,
                "values": values.tolist(),
                "counts": counts.sum(axis=0).tolist(),
                "annotators": [
                    {
                        "annotator_id": name,
                        "answers": int(row.sum()),
                        "mean": float(question.rows["value"].to_numpy()[who == n].mean()),
                        "counts": row.tolist(),
                        "accuracy": trust.get((name, question.aspect), nobody)["accuracy"],
                        "within_one": trust.get((name, question.aspect), nobody)["within_one"],
                        "kappa": _mean_kappa(name, pairs),
                    }
                    for n, (name, row) in enumerate(zip(annotators, counts, strict=True))
                ],
                "pairwise": pairs,
            }
        )
    return found


def comparison_figures(annotations: pa.Table) -> Figures | None:
    """Return how often pairs were compared, tied, and compared twice; None: never."""
    compared = [each for each in questions(annotations) if each.kind == "comparison"]
    if not compared:
        return None
    times: dict[tuple[str, str], int] = {}
    for question in compared:
        for pair in question.as_ratings()["generation_id"].to_pylist():
            key = (question.aspect, pair)
            times[key] = times.get(key, 0) + 1
    rows = pa.concat_tables([each.rows for each in compared])
    return {
        "comparisons": rows.num_rows,
        "pairs": len({pair for _, pair in times}),
        "pairs_compared_twice": sum(count > 1 for count in times.values()),
        "ties": int((rows["value"].to_numpy() == 0).sum()),
        "unnamed_judges": rows["annotator_id"].null_count,
    }


def agreement_by_name(figures: list[Figures]) -> dict[str, float | None]:
    """Return alpha under the name of each question, for the snapshot's card."""
    return {Question.title(f["aspect"], f["question"], f["by"]): f["alpha"] for f in figures}


def _same(units: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each unit with two answers the share of its pairs of answers that are equal."""
    levels, at = np.unique(values, return_inverse=True)
    counts = np.bincount(units * len(levels) + at, minlength=(units.max() + 1) * len(levels))
    counts = counts.reshape(-1, len(levels)).astype(np.float64)
    total = counts.sum(axis=1)
    equal = (counts * (counts - 1)).sum(axis=1)
    shares: NDArray[np.float64] = equal[total >= 2] / (total * (total - 1))[total >= 2]
    return shares


def _levels(
    values: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the levels that answers are counted by: as given, or whole numbers if too many."""
    levels, at = np.unique(values, return_inverse=True)
    if len(levels) > _LEVELS:
        levels, at = np.unique(np.round(values), return_inverse=True)
    return levels, at.astype(np.int64)


def _mean_kappa(name: str, pairs: list[Figures]) -> float | None:
    """Return the mean of Cohen's kappa with every other annotator; None where undefined."""
    mine = [
        pair["kappa"]
        for pair in pairs
        if name in (pair["annotator_id"], pair["other_annotator_id"]) and pair["kappa"] is not None
    ]
    return float(np.mean(mine)) if mine else None
