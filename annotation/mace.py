"""MACE: each annotator either knows or spams, and spams in a way of their own."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

from annotation.answer_table import FloatArray
from annotation.answers import Answers
from annotation.label_fit import NO_GOLD, EmSettings, GoldArray, LabelFit, run_em, vote_shares
from annotation.label_kernel import label_e_step


class _KnowOrSpam:
    """The M-step; it remembers the last parameters, which split what was right by luck."""

    def __init__(self, know: FloatArray, habit: FloatArray) -> None:
        self.know, self.habit = know, habit  # (r,), (r, l)

    def chances(self) -> FloatArray:
        """(r, l, c)."""
        size = self.habit.shape[1]
        spam = (1 - self.know)[:, None, None] * self.habit[:, :, None]
        table: FloatArray = np.repeat(spam, size, axis=2)
        table[:, np.arange(size), np.arange(size)] += self.know[:, None]
        return table

    def __call__(self, counts: FloatArray) -> FloatArray:
        right = np.einsum("rll->rl", counts)
        lucky = (1 - self.know)[:, None] * self.habit
        knew = right * self.know[:, None] / np.maximum(self.know[:, None] + lucky, 1e-300)
        spammed = counts.sum(axis=2) - knew
        # Variational Bayes with the priors of the paper: Beta(1/2, 1/2) and Dirichlet(10).
        yes, no = _mean_log(knew.sum(axis=1) + 0.5), _mean_log(spammed.sum(axis=1) + 0.5)
        self.know = yes / (yes + no)
        habit = _mean_log(spammed + 10.0)
        self.habit = habit / habit.sum(axis=1, keepdims=True)
        return self.chances()


def fit_mace(
    answers: Answers,
    *,
    rng: np.random.Generator,
    starts: int = 10,
    gold: GoldArray = NO_GOLD,
    settings: EmSettings | None = None,
) -> LabelFit:
    """Infer labels from whoever seems to know; the likeliest of several starts is kept.

    The first start is the vote; each of the others draws its own parameters from *rng*, for
    annotators ordered by how many answers they gave and how often they sided with the vote, so
    that a renaming draws the same. A few steps of every start decide which one is finished.

    Source:
        Hovy, Berg-Kirkpatrick, Vaswani & Hovy (2013), "Learning Whom to Trust with MACE".
    """
    chosen = settings or EmSettings()
    trial = EmSettings(max_iterations=min(10, chosen.max_iterations), tolerance=chosen.tolerance)
    order = _canonical(answers)
    best: tuple[float, FloatArray, _KnowOrSpam] | None = None
    for n in range(max(starts, 1)):
        know, habit = np.full(answers.annotators, 0.5), np.ones((answers.annotators, 1))
        if n:
            know[order] = rng.uniform(0.1, 0.9, answers.annotators)
        step = _KnowOrSpam(know, habit / answers.classes + np.zeros((1, answers.classes)))
        first = None if n == 0 else _informed(answers, step)
        tried = run_em(answers, step, start=first, gold=gold, settings=trial)
        if best is None or tried.log_likelihood > best[0] + 1e-9:
            best = (tried.log_likelihood, tried.posterior, step)
    assert best is not None
    return run_em(answers, best[2], start=best[1], gold=gold, settings=chosen)


def _informed(answers: Answers, step: _KnowOrSpam) -> FloatArray:
    """Return the posterior that the drawn parameters imply."""
    size = answers.classes
    posterior = np.empty((answers.tasks, size))
    chances = np.ascontiguousarray(step.chances()).reshape(-1, size)
    shares = np.full(size, 1 / size)
    label_e_step(
        answers.start, answers.cell, chances, shares, NO_GOLD, posterior, np.zeros(chances.shape)
    )
    return posterior


def _canonical(answers: Answers) -> NDArray[np.int64]:
    votes = vote_shares(answers, smoothing=0.0)
    sided = np.bincount(
        answers.annotator,
        weights=votes[answers.task, answers.label],
        minlength=answers.annotators,
    )
    return np.lexsort((sided.round(9), answers.answers_of))


def _mean_log(pseudo: FloatArray) -> FloatArray:
    found: FloatArray = np.exp(digamma(np.maximum(pseudo, 1e-3)))
    return found
