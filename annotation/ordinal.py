"""Ordinal answers: each annotator leans up or down the scale, and scatters about the truth."""

import numpy as np
from scipy.special import ndtr

from annotation.answer_table import FloatArray
from annotation.answers import Answers
from annotation.label_fit import NO_GOLD, EmSettings, GoldArray, LabelFit, run_em

_SCATTER = (0.2, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 1e6)  # levels; the last says nothing
_LEAN = 2.0  # levels, either way
_LEAN_STEPS = 17


def fit_ordinal(
    answers: Answers,
    *,
    strength: float = 1.0,
    gold: GoldArray = NO_GOLD,
    settings: EmSettings | None = None,
) -> LabelFit:
    """Infer the level of every task; classes are levels in ascending order.

    An annotator gives the level into which truth + lean + noise falls, cut halfway between
    levels. Lean, scatter and direction (some read the scale upside down) lie on a grid; how
    common each point of it is, is learned from all annotators together, and everybody's
    confusion is the mean over their own posterior on the grid. One without answers is therefore
    the average annotator.

    Args:
        answers: the indexed answers.
        strength: pseudo-annotators spread over the grid, > 0, which favour the middle of it.
        gold: (t,) the level where it is known, else -1; empty: none is.
        settings: None for the defaults.

    Source:
        A grouped-normal confusion (compare Lakshminarayanan & Teh, 2013, "Inferring ground truth
        from multi-annotator ordinal data"); the grid prior is ours.
    """
    table, prior = _grid(answers.classes)
    log_table = np.log(table).reshape(len(table), -1)
    common = strength * prior
    memory = {"common": prior}

    def m_step(counts: FloatArray) -> FloatArray:
        log_weight = counts.reshape(len(counts), -1) @ log_table.T + np.log(memory["common"])
        weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True, initial=-np.inf))
        weight /= weight.sum(axis=1, keepdims=True)
        active = counts.sum(axis=(1, 2)) > 0  # who gave no answer says nothing of the others
        pooled = weight[active].sum(axis=0) + common
        memory["common"] = pooled / pooled.sum()
        return np.einsum("rg,glc->rlc", weight, table)

    return run_em(answers, m_step, gold=gold, settings=settings)


def _grid(classes: int) -> tuple[FloatArray, FloatArray]:
    """Return (g, l, c) chances at every point of the grid, and (g,) how likely it is at first."""
    lean, scatter, direction = (
        axis.ravel()
        for axis in np.meshgrid(
            np.linspace(-_LEAN, _LEAN, _LEAN_STEPS), np.array(_SCATTER), np.array([1.0, -1.0]),
            indexing="ij",
        )
    )  # fmt: skip
    level = np.arange(classes, dtype=np.float64)
    mean = np.where(direction[:, None] > 0, level, classes - 1 - level) + lean[:, None]
    cuts = np.concatenate([[-np.inf], level[:-1] + 0.5, [np.inf]])
    below = ndtr((cuts[None, :, None] - mean[:, None, :]) / scatter[:, None, None])
    chances = np.diff(below, axis=1)
    chances[scatter > 1e3] = 1 / classes
    # Anyone slips now and then: no single answer may settle a task.
    chances = 0.99 * chances + 0.01 / classes
    prior = np.exp(-0.5 * lean**2) * np.where(direction > 0, 1.0, 0.02)
    return chances, prior / prior.sum()
