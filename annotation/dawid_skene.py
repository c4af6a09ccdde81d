"""Dawid-Skene with a pooled prior: labels and annotators' confusions from answers alone."""

from functools import partial

import numpy as np

from annotation.answer_table import FloatArray, IntArray
from annotation.answers import Answers, index_answers
from annotation.label_fit import NO_GOLD, EmSettings, GoldArray, LabelFit, run_em


def fit_labels(
    task: IntArray,
    annotator: IntArray,
    label: IntArray,
    *,
    tasks: int,
    annotators: int,
    classes: int,
    pool_strength: float = 4.0,
    max_iterations: int = 100,
    tolerance: float = 1e-6,
) -> LabelFit:
    """Infer the class of every task from all answers at once.

    A task without answers keeps the class shares; see `fit_dawid_skene` for the model.

    Raises:
        ContractError: a label is outside 0 .. classes - 1, or a size is not positive.
    """
    answers = index_answers(
        task, annotator, label, tasks=tasks, annotators=annotators, classes=classes
    )
    return fit_dawid_skene(
        answers,
        pool_strength=pool_strength,
        settings=EmSettings(max_iterations=max_iterations, tolerance=tolerance),
    )


def fit_dawid_skene(
    answers: Answers,
    *,
    pool_strength: float = 4.0,
    gold: GoldArray = NO_GOLD,
    settings: EmSettings | None = None,
) -> LabelFit:
    """Infer labels where every annotator has a confusion matrix of their own.

    Each annotator's confusion is held by *pool_strength* pseudo-answers a class to the confusion
    of all together, so one with few answers is taken for an average one. With 0 there is no
    prior at all: the classic estimate, in which a cell that was seen keeps at least 1e-10.

    Source:
        Dawid & Skene (1979); the pooled Dirichlet prior is ours.
    """
    step = partial(_pooled, strength=pool_strength) if pool_strength > 0 else _Classic(answers)
    return run_em(answers, step, gold=gold, settings=settings)


def _pooled(counts: FloatArray, *, strength: float) -> FloatArray:
    """Return chances held to those of all annotators together, (r, l, c)."""
    pool = counts.sum(axis=0) + np.eye(counts.shape[1]) + 0.1
    pool /= pool.sum(axis=0)
    held = counts + strength * pool
    held /= held.sum(axis=1, keepdims=True)
    return held


class _Classic:
    """The M-step without a prior; it remembers which cells were seen."""

    def __init__(self, answers: Answers) -> None:
        cells = np.bincount(answers.cell, minlength=answers.annotators * answers.classes)
        self._seen = (cells > 0).reshape(answers.annotators, answers.classes, 1)

    def __call__(self, counts: FloatArray) -> FloatArray:
        kept = np.where(self._seen, np.maximum(counts, 1e-10), 0.0)
        total = kept.sum(axis=1, keepdims=True)
        return np.where(total > 0, kept / np.where(total > 0, total, 1), 1 / counts.shape[1])
