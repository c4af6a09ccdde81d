"""Reliability: how far each annotator can be trusted; reports for people, never fed back."""

from dataclasses import replace
from typing import Final

import numpy as np
import pyarrow as pa

from annotation.answer_table import RatingTable, rated_aspects, read_comparisons, read_ratings
from annotation.answers import index_answers
from annotation.dawid_skene import fit_dawid_skene
from annotation.dependence import find_dependence, merge_voices
from annotation.label_fit import LabelFit

RELIABILITY: Final = pa.schema(
    [
        pa.field("annotator_id", pa.string()),
        pa.field("aspect", pa.string()),
        pa.field("answers", pa.int64()),
        pa.field("accuracy", pa.float64()),  # chance of naming the true level
        pa.field("within_one", pa.float64()),  # chance of a level at most one off
    ]
)
SIDES: Final = pa.schema(
    [
        pa.field("annotator_id", pa.string()),
        pa.field("comparisons", pa.int64()),
        pa.field("ties", pa.float64()),  # share
        pa.field("left_share", pa.float64()),  # of untied ones with a known side; null: none
    ]
)
ASPECT_LABEL: Final = pa.schema(
    [
        pa.field("generation_id", pa.string()),
        pa.field("aspect", pa.string()),
        pa.field("answers", pa.int64()),
        pa.field("level", pa.float64()),  # likeliest value, on the scale as given
        pa.field("mean", pa.float64()),  # expected value
        pa.field("confidence", pa.float64()),  # chance of the likeliest
    ]
)


def annotator_reliability(annotations: pa.Table) -> pa.Table:
    """Return a row per annotator and aspect: how many answers, how often right.

    "Right" is judged by Dawid-Skene over all annotators of the aspect, so it says how far one
    agrees with what the others imply, not with the truth itself. Answers are counted as given;
    for the judgement, annotators who copy one another count as one.
    """
    parts = [RELIABILITY.empty_table()]
    for aspect in rated_aspects(annotations):
        ratings = read_ratings(annotations, aspect=aspect)
        if not len(ratings.value):
            continue
        fit, _ = _fit(ratings)
        classes = len(fit.class_shares)
        near = np.abs(np.subtract.outer(np.arange(classes), np.arange(classes))) <= 1
        parts.append(
            pa.table(
                {
                    "annotator_id": pa.array(ratings.annotators, pa.string()),
                    "aspect": pa.array([aspect] * len(ratings.annotators), pa.string()),
                    "answers": np.bincount(ratings.annotator, minlength=len(ratings.annotators)),
                    "accuracy": np.einsum("c,rcc->r", fit.class_shares, fit.confusions),
                    "within_one": np.einsum("c,rcl,cl->r", fit.class_shares, fit.confusions, near),
                },
                schema=RELIABILITY,
            )
        )
    return pa.concat_tables(parts).sort_by([("annotator_id", "ascending"), ("aspect", "ascending")])


def side_bias(annotations: pa.Table) -> pa.Table:
    """Return a row per annotator who compared: ties, and how often the left one won."""
    rows = read_comparisons(annotations).to_pydict()
    names = np.array([name or "(pool)" for name in rows["annotator_id"]], dtype=object)
    annotators, who = np.unique(names, return_inverse=True)
    value = np.array(rows["value"], dtype=np.float64)
    left = np.array(rows["shown_left"], dtype=object)
    first_left = left == np.array(rows["generation_id"], dtype=object)
    other_left = left == np.array(rows["other_generation_id"], dtype=object)
    untied = (value != 0) & (first_left | other_left) & (left != None)  # noqa: E711 - elementwise
    left_won = untied & ((value > 0) == first_left)
    size = len(annotators)
    total = np.bincount(who, minlength=size).astype(np.float64)
    clear = np.bincount(who, weights=untied, minlength=size)
    won = np.bincount(who, weights=left_won, minlength=size)
    share = np.where(clear > 0, won / np.maximum(clear, 1), np.nan)
    return pa.table(
        {
            "annotator_id": pa.array(annotators.tolist(), pa.string()),
            "comparisons": total.astype(np.int64),
            "ties": np.bincount(who, weights=value == 0, minlength=size) / np.maximum(total, 1),
            "left_share": pa.array(share, mask=np.isnan(share)),
        },
        schema=SIDES,
    )


def aspect_labels(annotations: pa.Table) -> pa.Table:
    """Return the aggregated label of every rated generation and aspect, for people to read.

    It is never fed back: the intent model takes the raw answers, or they would count twice.
    """
    parts = [ASPECT_LABEL.empty_table()]
    for aspect in rated_aspects(annotations):
        ratings = read_ratings(annotations, aspect=aspect)
        if not len(ratings.value):
            continue
        fit, values = _fit(ratings)
        best = fit.posterior.argmax(axis=1)
        parts.append(
            pa.table(
                {
                    "generation_id": pa.array(ratings.generations, pa.string()),
                    "aspect": pa.array([aspect] * len(ratings.generations), pa.string()),
                    "answers": np.bincount(ratings.generation, minlength=len(ratings.generations)),
                    "level": values[best],
                    "mean": fit.posterior @ values,
                    "confidence": fit.posterior.max(axis=1),
                },
                schema=ASPECT_LABEL,
            )
        )
    return pa.concat_tables(parts).sort_by(
        [("generation_id", "ascending"), ("aspect", "ascending")]
    )


def _fit(
    ratings: RatingTable,
) -> tuple[LabelFit, np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    values, label = np.unique(ratings.value, return_inverse=True)
    answers = index_answers(
        ratings.generation,
        ratings.annotator,
        label.astype(np.int64),
        tasks=len(ratings.generations),
        annotators=len(ratings.annotators),
        classes=len(values),
    )
    # Copies have one voice, or they would make each other right; each is told as that voice.
    voice = find_dependence(answers).group
    fit = fit_dawid_skene(merge_voices(answers, voice))
    return replace(fit, confusions=fit.confusions[voice]), values
