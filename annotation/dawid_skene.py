"""Dawid-Skene with a pooled prior: labels and annotators' confusions from answers alone."""

from dataclasses import dataclass

import numpy as np

from annotation.answer_table import FloatArray, IntArray
from data_contracts.errors import ContractError


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFit:
    """Posterior labels, how they were learned, and whether the fit converged.

    Axes: t tasks, c classes, r annotators.
    """

    posterior: FloatArray  # (t, c)
    confusions: FloatArray  # (r, c, c)
    class_shares: FloatArray  # (c,)
    iterations: int
    converged: bool


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

    Each annotator's confusion is held by *pool_strength* pseudo-answers a class to the confusion
    of all together, so one with few answers is taken for an average one. A task without answers
    keeps the class shares.

    Raises:
        ContractError: a label is outside 0 .. classes - 1, or a size is not positive.

    Source:
        Dawid & Skene (1979); the pooled Dirichlet prior is ours.
    """
    if classes < 1 or (len(label) and (label.min() < 0 or label.max() >= classes)):
        raise ContractError(f"labels must be 0 .. {classes - 1}; number the classes from 0")
    cell = annotator * classes + label
    votes = np.bincount(task * classes + label, minlength=tasks * classes).astype(np.float64)
    start = votes.reshape(tasks, classes) + 1e-2
    posterior: FloatArray = start / start.sum(axis=1, keepdims=True)
    diagonal = np.eye(classes) + 0.1
    confusions = np.tile(diagonal / diagonal.sum(axis=1, keepdims=True), (annotators, 1, 1))
    shares: FloatArray = np.full(classes, 1 / classes)
    steps, change = 0, np.inf
    while steps < max_iterations and change >= tolerance:
        counts = np.stack(
            [
                np.bincount(cell, weights=posterior[task, c], minlength=annotators * classes)
                for c in range(classes)
            ],
            axis=1,
        )
        counts = counts.reshape(annotators, classes, classes).transpose(0, 2, 1)
        pool = counts.sum(axis=0) + diagonal
        pool = pool / pool.sum(axis=1, keepdims=True)
        confusions = counts + pool_strength * pool
        confusions = confusions / confusions.sum(axis=2, keepdims=True)
        total = posterior.sum(axis=0) + 1.0
        shares = total / total.sum()
        log_rows = np.log(confusions)[annotator, :, label]
        heard = np.stack(
            [np.bincount(task, weights=column, minlength=tasks) for column in log_rows.T], axis=1
        )
        log_posterior = np.log(shares) + heard
        fresh = np.exp(log_posterior - log_posterior.max(axis=1, keepdims=True))
        fresh /= fresh.sum(axis=1, keepdims=True)
        change = float(np.abs(fresh - posterior).max(initial=0.0))
        posterior = fresh
        steps += 1
    return LabelFit(
        posterior=posterior,
        confusions=confusions,
        class_shares=shares,
        iterations=steps,
        converged=change < tolerance,
    )
