"""Two small models of a crowd: everybody is equally good, or each has one chance to be right."""

import numpy as np

from annotation.answer_table import FloatArray
from annotation.answers import Answers
from annotation.label_fit import (
    NO_GOLD,
    EmSettings,
    GoldArray,
    LabelFit,
    checked_gold,
    clamp,
    class_shares,
    run_em,
    vote_shares,
)


def fit_majority(
    answers: Answers, *, smoothing: float = 0.0, gold: GoldArray = NO_GOLD
) -> LabelFit:
    """Take each task's share of votes for its posterior; a task without answers has equal ones.

    *smoothing* pseudo-votes a class keep few votes from being sure. The confusions say how each
    annotator answers where the votes stand so.
    """
    gold = checked_gold(gold, answers)
    posterior = clamp(vote_shares(answers, smoothing=smoothing), gold)
    size = answers.classes
    counts = np.zeros((answers.annotators * size, size))
    np.add.at(counts, answers.cell, posterior[answers.task])
    seen = counts.reshape(answers.annotators, size, size) + (np.eye(size) + 0.1)
    return LabelFit(
        posterior=posterior,
        confusions=(seen / seen.sum(axis=1, keepdims=True)).transpose(0, 2, 1),
        class_shares=class_shares(posterior, 1.0),
        iterations=0,
        converged=True,
    )


def fit_one_coin(
    answers: Answers,
    *,
    pool_strength: float = 4.0,
    gold: GoldArray = NO_GOLD,
    settings: EmSettings | None = None,
) -> LabelFit:
    """Infer labels where each annotator is right with one chance, and else names any other class.

    The chance is held by *pool_strength* pseudo-answers to that of all annotators together.

    Source:
        Zhang, Chen, Zhou & Jordan (2014), the one-coin Dawid-Skene; the pooled prior is ours.
    """
    size = answers.classes

    def m_step(counts: FloatArray) -> FloatArray:
        right = np.einsum("rcc->r", counts)
        total = counts.sum(axis=(1, 2))
        pool = (right.sum() + 1.0) / (total.sum() + 2.0)
        chance = (right + pool_strength * pool) / (total + pool_strength)
        wrong = (1 - chance) / max(size - 1, 1)
        chances = np.repeat(wrong, size * size).reshape(-1, size, size)
        chances[:, np.arange(size), np.arange(size)] = chance[:, None]
        return chances

    return run_em(answers, m_step, gold=gold, settings=settings)
