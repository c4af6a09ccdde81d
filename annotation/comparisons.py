"""Comparisons as arrays: who found which of two items better, indexed once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.answer_table import IntArray
from annotation.comparison_kernel import index_by_annotator
from data_contracts.errors import ContractError, ShapeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparisons:
    """Comparisons sorted by annotator, seen from the smaller item; nine bytes each.

    Annotator r gave rows start[r] .. start[r + 1] - 1.
    """

    start: IntArray  # (r + 1,)
    low: NDArray[np.int32]  # (n,) item
    high: NDArray[np.int32]  # (n,) its rival, low < high
    said: NDArray[np.int8]  # (n,) outcome + 1 + 3 * (side + 1)
    items: int
    annotators: int

    @property
    def annotator(self) -> IntArray:
        """(n,) who compared."""
        return np.repeat(np.arange(self.annotators, dtype=np.int64), np.diff(self.start))

    @property
    def outcome(self) -> NDArray[np.int8]:
        """(n,) 1 the smaller item was better, -1 its rival, 0 a tie."""
        return self.said % 3 - 1

    @property
    def side(self) -> NDArray[np.int8]:
        """(n,) 1 the smaller item was on the left, -1 on the right, 0 not known."""
        return self.said // 3 - 1


def index_comparisons(
    annotator: NDArray[Any],
    first: NDArray[Any],
    second: NDArray[Any],
    outcome: NDArray[Any],
    side: NDArray[Any] | None = None,
    *,
    items: int,
    annotators: int,
) -> Comparisons:
    """Index comparisons given as equally long arrays of integers.

    Every row counts: whoever knows that two rows are one answer leaves one of them out.

    Args:
        annotator: (n,) who compared.
        first: (n,) item.
        second: (n,) its rival, another.
        outcome: (n,) 1 the first was better, -1 the second, 0 a tie.
        side: (n,) 1 the first was on the left, -1 on the right, 0 not known; None: all 0.
        items: how many items there are.
        annotators: how many annotators there are.

    Raises:
        ShapeError: the arrays differ in length.
        ContractError: a number is out of range, or an item is compared with itself.
    """
    if side is None:
        side = np.broadcast_to(np.int8(0), len(first))
    lengths = {len(annotator), len(first), len(second), len(outcome), len(side)}
    if len(lengths) > 1:
        raise ShapeError(f"comparisons: columns of {sorted(lengths)} rows; give equally many")
    for name, values, least, most in (
        ("annotators", annotator, 0, annotators - 1), ("items", first, 0, items - 1),
        ("items", second, 0, items - 1), ("outcomes", outcome, -1, 1), ("sides", side, -1, 1),
    ):  # fmt: skip
        if not np.issubdtype(values.dtype, np.integer):
            raise ContractError(f"comparisons: {name} are {values.dtype}; give integers")
        if len(values) and (int(values.min()) < least or int(values.max()) > most):
            wrong = int(np.flatnonzero((values < least) | (values > most))[0])
            raise ContractError(f"comparisons: {name} must be {least} .. {most}, row {wrong} isn't")
    if len(first) and bool((first == second).any()):
        wrong = int(np.flatnonzero(first == second)[0])
        raise ContractError(f"comparisons: row {wrong} compares an item with itself; leave it out")
    start, low, high, said = index_by_annotator(annotator, first, second, outcome, side, annotators)
    return Comparisons(
        start=start, low=low, high=high, said=said, items=items, annotators=annotators
    )
