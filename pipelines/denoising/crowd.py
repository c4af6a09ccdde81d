"""Crowd: what models of annotators alone make of the answers, beside the joint fit.

The joint fit hears every answer once, by its own model of annotators. Here the crowd is read
without signals: which model foretells gold best, and whether some hold another view consistently.
Both are reported; neither is mixed into the pairs.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa

from annotation import (
    Answers,
    ChosenLabels,
    choose_labels,
    find_cohorts,
    fit_crowd_bradley_terry,
    index_answers,
    index_comparisons,
)
from pipelines.preferences.answers import LEVELS, read_answers, read_gold
from pipelines.preferences.comparison_model import Comparisons
from pipelines.preferences.kernel import IntArray

Figures = dict[str, Any]
Gold = tuple[IntArray, IntArray]

_SEED: Final = 0  # of MACE's starts and of crowds without cohorts: the same report every time
_NAMED: Final = 20  # members and generations of a cohort that are listed
OUTCOMES: Final = 3


def crowd_figures(annotations: pa.Table, gold: pa.Table, item_ids: pa.Array) -> list[Figures]:
    """Return by aspect and kind of answer the model that explains gold best, and the minorities.

    Args:
        annotations: answers that are heard, copies merged.
        gold: generation_id, aspect, value (a level 1 .. 5).
        item_ids: sorted ids of generations.

    Returns:
        Ready for JSON; the same for any order of rows. *models* is empty where fewer than 20
        questions are known, and the documented default is named.
    """
    answers = read_answers(annotations, item_ids)
    known = read_gold(gold, item_ids)
    found: list[Figures] = []
    for aspect in answers.aspects:
        level = np.full(len(item_ids), -1, dtype=np.int64)
        if aspect in known:
            level[known[aspect][0]] = known[aspect][1]
        if aspect in answers.ratings:
            ratings = answers.ratings[aspect]
            item, task = np.unique(ratings.item, return_inverse=True)
            index = index_answers(
                task.ravel(), ratings.annotator, ratings.label,
                tasks=len(item), annotators=ratings.annotators, classes=LEVELS,
            )  # fmt: skip
            asked = [[name] for name in item_ids.take(pa.array(item)).to_pylist()]
            truth = level[item]
            found.append(
                {"aspect": aspect, "kind": "rating"}
                | _read(index, truth, asked, answers.annotators, ordered=True)
            )
        if aspect in answers.comparisons:
            compared = answers.comparisons[aspect]
            index, pair = _questions(compared)
            names = item_ids.take(pa.array(pair.ravel())).to_pylist()
            asked = [names[n : n + 2] for n in range(0, len(names), 2)]
            first, second = level[pair[:, 0]], level[pair[:, 1]]
            # Equal levels are no tie for sure: a level is a fifth of all generations.
            told = (first >= 0) & (second >= 0) & (first != second)
            truth = np.where(told, np.where(first > second, 2, 0), -1)
            found.append(
                {"aspect": aspect, "kind": "comparison"}
                | _read(index, truth, asked, answers.annotators, ordered=False)
                | {"bradley_terry": _bradley_terry(compared, level)}
            )
    return found


def _read(
    index: Answers,
    truth: IntArray,
    asked: list[list[str]],
    names: tuple[str, ...],
    *,
    ordered: bool,
) -> Figures:
    """Return the choice among models and the cohorts; *asked* names each question's generations."""
    rng = np.random.default_rng(_SEED)
    chosen = choose_labels(index, gold=truth.astype(np.int32), rng=rng, ordered=ordered)
    cohorts = find_cohorts(index, rng=rng)
    return {
        "questions": index.tasks,
        "known_questions": chosen.gold_tasks,
        "method": chosen.method,
        "chosen_on": chosen.chosen_on,
        "temperature": round(chosen.temperature, 4),
        "models": _models(chosen),
        "cohorts": [
            {
                "annotators": [names[n] for n in cohort.members[:_NAMED]],
                "members": len(cohort.members),
                "gain": round(cohort.gain, 2),
                "differs": len(cohort.differs),
                "questions": [asked[n] for n in cohort.differs[:_NAMED]],
            }
            for cohort in cohorts
        ],
    }


def _models(chosen: ChosenLabels) -> list[Mapping[str, Any]]:
    return [
        {
            "method": each.method,
            "right": round(each.accuracy, 4),
            "surprise": round(each.surprise, 4),
            "temperature": round(each.temperature, 4),
            "weight": round(each.weight, 4),
        }
        for each in chosen.candidates
    ]


def _questions(compared: Comparisons) -> tuple[Answers, IntArray]:
    """Index comparisons by unordered pair; the second value is (t, 2) the items of each."""
    low = np.minimum(compared.item, compared.other)
    high = np.maximum(compared.item, compared.other)
    label = np.where(compared.item > compared.other, 2 - compared.outcome, compared.outcome)
    pair, task = np.unique(np.stack([low, high], axis=1), axis=0, return_inverse=True)
    index = index_answers(
        task.ravel(), compared.annotator, label,
        tasks=len(pair), annotators=compared.annotators, classes=OUTCOMES,
    )  # fmt: skip
    return index, pair


def _bradley_terry(compared: Comparisons, level: IntArray) -> Figures:
    """Say how Crowd-Bradley-Terry orders compared generations whose gold levels differ."""
    item, place = np.unique(np.stack([compared.item, compared.other]), return_inverse=True)
    first, second = place.reshape(2, -1)
    fit = fit_crowd_bradley_terry(
        index_comparisons(
            compared.annotator,
            first,
            second,
            compared.outcome - 1,
            compared.left,
            items=len(item),
            annotators=compared.annotators,
        )
    )
    known = np.flatnonzero(level[item] >= 0)
    a, b = np.triu_indices(len(known), 1)
    gap = level[item[known[a]]] - level[item[known[b]]]
    score = fit.score[known[a]] - fit.score[known[b]]
    right = np.where(score == 0, 0.5, (score > 0) == (gap > 0))[gap != 0]
    return {
        "generations": len(item),
        "converged": fit.converged,
        "known_pairs": len(right),
        "right": round(float(right.mean()), 4) if len(right) else None,
    }
