"""Answers: who gave which label to which task, indexed once for every aggregation model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from annotation.answer_table import IntArray
from annotation.label_kernel import index_by_task
from data_contracts.errors import ContractError, ShapeError

SmallIntArray = NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Answers sorted by task, annotator, label; a repeated answer counts once.

    Task t has cells start[t] .. start[t + 1] - 1; a cell is annotator * classes + label.
    Twelve bytes hold an answer at five answers a task: four for the cell, eight a task.
    """

    start: IntArray  # (t + 1,)
    cell: SmallIntArray  # (n,)
    tasks: int
    annotators: int
    classes: int

    @property
    def annotator(self) -> IntArray:
        """(n,) who answered."""
        return self.cell.astype(np.int64) // self.classes

    @property
    def label(self) -> IntArray:
        """(n,) what was answered."""
        return self.cell.astype(np.int64) % self.classes

    @property
    def task(self) -> IntArray:
        """(n,) what was asked."""
        return np.repeat(np.arange(self.tasks, dtype=np.int64), np.diff(self.start))

    @property
    def answers_of(self) -> IntArray:
        """(r,) how many answers each annotator gave."""
        return np.bincount(self.annotator, minlength=self.annotators)


def index_answers(
    task: NDArray[Any],
    annotator: NDArray[Any],
    label: NDArray[Any],
    *,
    tasks: int,
    annotators: int,
    classes: int,
) -> Answers:
    """Index answers given as three equally long arrays of integers.

    An annotator who gives a task the same label again is heard once; one who gives it two
    labels is heard with both. Row order does not matter.

    Raises:
        ShapeError: the three arrays differ in length.
        ContractError: a number lies outside its range, or there are too many annotators.
    """
    if not len(task) == len(annotator) == len(label):
        raise ShapeError(
            f"answers: {len(task)} tasks, {len(annotator)} annotators and {len(label)} labels; "
            "give one of each per answer"
        )
    for name, values, size in (
        ("tasks", task, tasks), ("annotators", annotator, annotators), ("labels", label, classes)
    ):  # fmt: skip
        if size < 0 or (name == "labels" and size < 1):
            raise ContractError(f"answers: {size} {name} cannot be; number them from 0")
        if not np.issubdtype(values.dtype, np.integer):
            raise ContractError(f"answers: {name} are {values.dtype}; number them from 0")
        if len(values) and (int(values.min()) < 0 or int(values.max()) >= size):
            wrong = int(np.flatnonzero((values < 0) | (values >= size))[0])
            raise ContractError(
                f"answers: {name} must be 0 .. {size - 1}, row {wrong} is not; number them from 0"
            )
    if annotators * classes > np.iinfo(np.int32).max:
        raise ContractError(
            f"answers: {annotators} annotators of {classes} classes do not fit 31 bits; "
            "split the tasks"
        )
    start, cell = index_by_task(task, annotator, label, tasks, classes)
    return Answers(start=start, cell=cell, tasks=tasks, annotators=annotators, classes=classes)


def number_names(
    values: pa.ChunkedArray | pa.Array | Sequence[str],
) -> tuple[tuple[str, ...], IntArray]:
    """Return the sorted distinct names, and each row's place among them.

    Raises:
        ContractError: a name is missing.
    """
    column = values if isinstance(values, pa.ChunkedArray | pa.Array) else pa.array(values)
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if column.null_count:
        raise ContractError(f"names: {column.null_count} missing; leave those rows out first")
    coded = column.dictionary_encode()
    found = coded.dictionary.to_pylist()
    order = sorted(range(len(found)), key=found.__getitem__)
    place = np.empty(len(found), dtype=np.int32)
    place[order] = np.arange(len(found), dtype=np.int32)
    return tuple(found[n] for n in order), place[coded.indices.to_numpy()]
