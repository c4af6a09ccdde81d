"""Expectation maximisation over labels: one loop, in which models differ by their M-step."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotation.answer_table import FloatArray
from annotation.answers import Answers
from annotation.label_kernel import count_labels, count_votes, label_e_step
from data_contracts.errors import ContractError, ShapeError

GoldArray = NDArray[np.int32]
# From (r, l, c) expected counts to (r, l, c) chances of giving label l to a task of class c.
MStep = Callable[[FloatArray], FloatArray]

LEAST: Final = 1e-12  # no chance is smaller: the kernel multiplies them, and counts on it
NO_GOLD: Final[GoldArray] = np.zeros(0, dtype=np.int32)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFit:
    """Posterior labels, how they were learned, and whether the fit converged.

    Axes: t tasks, c classes, r annotators. Confusions run from class to label.
    """

    posterior: FloatArray  # (t, c)
    confusions: FloatArray  # (r, c, c)
    class_shares: FloatArray  # (c,)
    iterations: int
    converged: bool
    log_likelihood: float = float("nan")  # of the answers, nats; without priors


@dataclass(frozen=True, slots=True, kw_only=True)
class EmSettings:
    """When to stop, and what holds the class shares."""

    max_iterations: int = 100
    tolerance: float | None = 1e-6  # largest change of a posterior; None: run all iterations
    share_smoothing: float = 1.0  # pseudo-tasks a class
    vote_smoothing: float = 1e-2  # pseudo-votes a class at the start


def run_em(
    answers: Answers,
    m_step: MStep,
    *,
    start: FloatArray | None = None,
    gold: GoldArray = NO_GOLD,
    settings: EmSettings | None = None,
) -> LabelFit:
    """Alternate the E-step and *m_step* until no posterior moves.

    Args:
        answers: the indexed answers.
        m_step: the model.
        start: (t, c) first posterior; None: smoothed vote shares.
        gold: (t,) the class where it is known, else -1; empty: none is.
        settings: None for the defaults.

    Raises:
        ShapeError: *start* or *gold* do not fit the tasks.
        ContractError: gold names a class that is none.
    """
    chosen = settings or EmSettings()
    gold = checked_gold(gold, answers)
    posterior = vote_shares(answers, smoothing=chosen.vote_smoothing) if start is None else start
    if posterior.shape != (answers.tasks, answers.classes):
        raise ShapeError(
            f"start is {posterior.shape} but there are {answers.tasks} tasks of "
            f"{answers.classes} classes"
        )
    posterior = clamp(posterior, gold)
    shape = (answers.annotators, answers.classes, answers.classes)
    flat = (answers.annotators * answers.classes, answers.classes)
    counts = np.zeros(flat)
    count_labels(answers.start, answers.cell, posterior, counts)
    steps, change, log_likelihood = 0, np.inf, float("nan")
    while True:
        shares = class_shares(posterior, chosen.share_smoothing)
        chances = np.ascontiguousarray(np.maximum(m_step(counts.reshape(shape)), LEAST))
        enough = chosen.tolerance is not None and change < chosen.tolerance
        if steps >= chosen.max_iterations or enough:
            break
        counts = np.zeros(flat)
        change, log_likelihood = label_e_step(
            answers.start, answers.cell, chances.reshape(flat), shares, gold, posterior, counts
        )
        steps += 1
    return LabelFit(
        posterior=posterior,
        confusions=chances.transpose(0, 2, 1),
        class_shares=shares,
        iterations=steps,
        converged=chosen.tolerance is not None and change < chosen.tolerance,
        log_likelihood=log_likelihood,
    )


def label_posterior(
    answers: Answers, confusions: FloatArray, shares: FloatArray, *, gold: GoldArray = NO_GOLD
) -> FloatArray:
    """Return (t, c) posteriors with everything about the annotators fixed.

    Args:
        answers: what was answered.
        confusions: (r, c, l) chance of label l for a task of class c.
        shares: (c,) chance of each class before any answer.
        gold: (t,) the class where it is known, else -1; empty: none is.

    Raises:
        ShapeError: *confusions* or *shares* do not fit the answers.
    """
    size = answers.classes
    if confusions.shape != (answers.annotators, size, size) or shares.shape != (size,):
        raise ShapeError(
            f"confusions are {confusions.shape} and shares {shares.shape} but there are "
            f"{answers.annotators} annotators and {size} classes"
        )
    by_label = np.maximum(confusions.transpose(0, 2, 1), LEAST).reshape(-1, size)
    posterior = np.empty((answers.tasks, size))
    label_e_step(
        answers.start,
        answers.cell,
        np.ascontiguousarray(by_label),
        shares,
        checked_gold(gold, answers),
        posterior,
        np.zeros(by_label.shape),
    )
    return posterior


def vote_shares(answers: Answers, *, smoothing: float) -> FloatArray:
    """Return (t, c) shares of the votes; equal shares where nobody voted."""
    shares = np.full((answers.tasks, answers.classes), smoothing, dtype=np.float64)
    count_votes(answers.start, answers.cell, shares)
    total = shares.sum(axis=1)
    shares[total <= 0] = 1.0
    total[total <= 0] = answers.classes
    shares /= total[:, None]
    return shares


def class_shares(posterior: FloatArray, smoothing: float) -> FloatArray:
    """Return (c,) how common each class is; equal shares where nothing is known."""
    total = posterior.sum(axis=0) + smoothing
    if total.sum() <= 0:
        return np.full(posterior.shape[1], 1 / posterior.shape[1])
    shares: FloatArray = np.maximum(total / total.sum(), 1e-10)
    return shares


def checked_gold(gold: GoldArray, answers: Answers) -> GoldArray:
    """Return *gold* as 32-bit integers once it fits the tasks and classes."""
    if len(gold) == 0:
        return NO_GOLD
    if len(gold) != answers.tasks:
        raise ShapeError(f"gold covers {len(gold)} tasks but there are {answers.tasks}")
    if int(gold.max()) >= answers.classes or int(gold.min()) < -1:
        wrong = int(np.flatnonzero((gold >= answers.classes) | (gold < -1))[0])
        raise ContractError(
            f"gold: task {wrong} has a class outside 0 .. {answers.classes - 1}; "
            "use -1 where it is unknown"
        )
    return gold.astype(np.int32)


def clamp(posterior: FloatArray, gold: GoldArray) -> FloatArray:
    """Return a copy of (t, c) *posterior* that is certain wherever gold is known."""
    sure = posterior.copy()
    known = np.flatnonzero(gold >= 0) if len(gold) else np.zeros(0, dtype=np.int64)
    sure[known] = 0.0
    sure[known, gold[known] if len(known) else known] = 1.0
    return sure
