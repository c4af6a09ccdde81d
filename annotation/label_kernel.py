"""The E-step over labels as one compiled loop; its counts add over any partition by task."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SAFE = 22  # answers whose product, at 1e-12 each and shares of 1e-10, does not underflow


@numba.njit(cache=True)
def index_by_task(
    task: NDArray[Any], annotator: NDArray[Any], label: NDArray[Any], tasks: int, classes: int
) -> tuple[IntArray, NDArray[np.int32]]:
    """Return (t + 1,) starts and the cells of each task, ascending and without repetition."""
    start = np.zeros(tasks + 1, np.int64)
    for i in range(len(task)):
        start[task[i] + 1] += 1
    for t in range(tasks):
        start[t + 1] += start[t]
    cell = np.empty(len(task), np.int32)
    free = start[:-1].copy()
    for i in range(len(task)):
        t = task[i]
        cell[free[t]] = annotator[i] * classes + label[i]
        free[t] += 1
    kept, first = 0, 0
    for t in range(tasks):
        last = start[t + 1]
        here = cell[first:last]
        here.sort()
        begin = kept
        for j in range(first, last):
            if kept == begin or cell[j] != cell[kept - 1]:
                cell[kept] = cell[j]
                kept += 1
        first = last
        start[t + 1] = kept
    return start, cell if kept == len(cell) else cell[:kept].copy()


@numba.njit(cache=True)
def label_e_step(  # noqa: PLR0912 - one loop, so that nothing is kept per answer
    start: IntArray,
    cell: NDArray[np.int32],
    chances: FloatArray,
    shares: FloatArray,
    gold: NDArray[np.int32],
    posterior: FloatArray,
    counts: FloatArray,
) -> tuple[float, float]:
    """Infer every task's class and count what each annotator says of which class.

    Axes: t tasks, c classes, m = annotators * classes cells.

    Args:
        start: (t + 1,) where each task's answers begin.
        cell: (n,) annotator * classes + label of each answer.
        chances: (m, c) chance that the annotator gives the label to a task of class c, > 0.
        shares: (c,) chance of each class before any answer.
        gold: (t,) the class where it is known, else -1; shorter (or empty): unknown.
        posterior: (t, c), overwritten.
        counts: (m, c), added to.

    Returns:
        The largest change of a posterior, and the log-likelihood of the answers.
    """
    classes = len(shares)
    row = np.empty(classes)
    change, log_likelihood, product = 0.0, 0.0, 1.0
    for t in range(len(start) - 1):
        for c in range(classes):
            row[c] = shares[c]
        first, last = start[t], start[t + 1]
        for j in range(first, min(last, first + SAFE)):
            for c in range(classes):
                row[c] *= chances[cell[j], c]
        if last - first > SAFE:
            log_likelihood += _hear_the_rest(cell[first + SAFE : last], chances, row)
        total = 0.0
        for c in range(classes):
            total += row[c]
        # One logarithm for many tasks: a product is cheap until it comes near underflow.
        if total < 1e-120:
            log_likelihood += np.log(total)
        else:
            product *= total
        if product < 1e-180:
            log_likelihood += np.log(product)
            product = 1.0
        known = t < len(gold) and gold[t] >= 0
        for c in range(classes):
            value = row[c] / total
            if known:
                value = 1.0 if c == gold[t] else 0.0
            change = max(change, abs(value - posterior[t, c]))
            posterior[t, c] = value
            row[c] = value
        for j in range(start[t], start[t + 1]):
            at = cell[j]
            for c in range(classes):
                counts[at, c] += row[c]
    return change, log_likelihood + np.log(product)


@numba.njit(cache=True)
def count_labels(
    start: IntArray, cell: NDArray[np.int32], posterior: FloatArray, counts: FloatArray
) -> None:
    """Add to (m, c) *counts* what each annotator says of which class."""
    for t in range(len(start) - 1):
        for j in range(start[t], start[t + 1]):
            for c in range(posterior.shape[1]):
                counts[cell[j], c] += posterior[t, c]


@numba.njit(cache=True)
def count_votes(start: IntArray, cell: NDArray[np.int32], votes: FloatArray) -> None:
    """Add to (t, c) *votes* how often each task was given each label."""
    for t in range(len(start) - 1):
        for j in range(start[t], start[t + 1]):
            votes[t, cell[j] % votes.shape[1]] += 1.0


@numba.njit(cache=True)
def _hear_the_rest(cell: NDArray[np.int32], chances: FloatArray, row: FloatArray) -> float:
    """Multiply (c,) *row* by the chances of more answers, scaled by the returned logarithm."""
    logs = np.log(row)
    for begin in range(0, len(cell), SAFE):
        row[:] = 1.0
        for j in range(begin, min(len(cell), begin + SAFE)):
            for c in range(len(row)):
                row[c] *= chances[cell[j], c]
        logs += np.log(row)
    largest = logs.max()
    row[:] = np.exp(logs - largest)
    return largest
