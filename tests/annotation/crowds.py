"""Simulated crowds for tests: small, seeded, with a known truth."""

import numpy as np

from annotation.answers import index_answers


def skilled_crowd(*, tasks=400, annotators=12, classes=3, per_task=5, seed=0, low=0.4, high=0.95):
    """Return truth and (task, annotator, label); each has a skill of their own."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, tasks)
    skill = rng.uniform(low, high, annotators)
    task = np.repeat(np.arange(tasks), per_task)
    annotator = np.concatenate(
        [rng.choice(annotators, per_task, replace=False) for _ in range(tasks)]
    )
    right = rng.random(len(task)) < skill[annotator]
    other = (truth[task] + rng.integers(1, max(classes, 2), len(task))) % classes
    return truth, (task, annotator, np.where(right, truth[task], other))


def indexed(rows, *, tasks, annotators, classes):
    """Return the rows as Answers."""
    task, annotator, label = (np.asarray(column, dtype=np.int64) for column in rows)
    return index_answers(
        task, annotator, label, tasks=tasks, annotators=annotators, classes=classes
    )
