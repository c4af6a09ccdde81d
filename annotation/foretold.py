"""Foretold: how well a consensus predicts the answers of those who had no part in it."""

import numpy as np
from numpy.typing import NDArray

from annotation.answer_table import FloatArray
from annotation.answers import Answers
from annotation.label_fit import LabelFit


def foretold(answers: Answers, fit: LabelFit, member: NDArray[np.bool_]) -> FloatArray:
    """Return (r,) log-likelihoods of everybody's answers, by a consensus they had no part in.

    Args:
        answers: everybody's.
        fit: the consensus, over the same tasks.
        member: (r,) who took part in *fit*; their own answers are divided out again.
    """
    size = answers.classes
    task, who = answers.task, answers.annotator
    chance = fit.confusions[who, :, answers.label]  # (n, c)
    log_others: FloatArray = np.log(np.maximum(fit.posterior[task], 1e-12))
    log_others -= np.where(member[who][:, None], np.log(chance), 0.0)
    others: FloatArray = np.exp(log_others - log_others.max(axis=1, keepdims=True))
    others /= others.sum(axis=1, keepdims=True)
    # How each answers, learned from that consensus too; own answers leave their own cell.
    counts: FloatArray = np.zeros((answers.annotators * size, size))
    np.add.at(counts, answers.cell, others)
    held = counts.reshape(-1, size, size) + 2.0 * _usual(counts, size)
    total = held.sum(axis=1)[who] - others
    said = held[who, answers.label] - others
    told = (others * np.maximum(said, 1e-9) / np.maximum(total, 1e-9)).sum(axis=1)
    log_told = np.log(np.maximum(told, 1e-9))
    summed = np.bincount(who, weights=log_told, minlength=answers.annotators)
    return summed.astype(np.float64)


def _usual(counts: FloatArray, size: int) -> FloatArray:
    pool = counts.reshape(-1, size, size).sum(axis=0) + 1.0 / size
    shares: FloatArray = pool / pool.sum(axis=0)
    return shares
