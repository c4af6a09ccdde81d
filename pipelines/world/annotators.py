"""Simulated annotators of different skill, bias and care, who answer annotation tasks."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_contracts.schemas import ANNOTATION

Floats = npt.NDArray[np.float64]

HONEST, CARELESS, REVERSED = 0, 1, 2
CUTS: Final = np.array([0.35, 0.55, 0.75, 0.92])  # true aspect in [0, 1] -> rating 1 .. 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """Annotators; every array is (annotators,)."""

    kind: npt.NDArray[np.int64]
    noise: Floats  # standard deviation of a perceived aspect
    shift: Floats  # severity
    left_bias: Floats  # readiness to prefer what is shown on the left

    def __len__(self) -> int:
        return len(self.kind)


def draw_crew(annotators: int, *, rng: np.random.Generator) -> Crew:
    """Draw a crew: most are honest, about one in ten answers at random, one in twelve reversed."""
    return Crew(
        kind=rng.choice(3, annotators, p=[0.82, 0.10, 0.08]),
        noise=rng.uniform(0.08, 0.25, annotators),
        shift=rng.normal(0.0, 0.06, annotators),
        left_bias=rng.normal(0.0, 0.03, annotators),
    )


def answer_tasks(
    tasks: pa.Table,
    truth: dict[str, dict[str, float]],
    crew: Crew,
    *,
    answers_per_task: int,
    batch: str,
    start: datetime,
    rng: np.random.Generator,
) -> pa.Table:
    """Let *answers_per_task* different annotators answer each task.

    Args:
        tasks: task_id, kind (rating or comparison), generation_id, other_generation_id, aspect.
        truth: aspect -> generation_id -> true value in [0, 1].
        crew: who answers.
        answers_per_task: overlap, at most the crew's size.
        batch: makes annotation ids unique between turns of the wheel.
        start: UTC; when work begins.
        rng: all randomness.

    Returns:
        Rows in the contract of annotations.
    """
    rows: list[dict[str, object]] = []
    overlap = min(answers_per_task, len(crew))
    for task in tasks.sort_by("task_id").to_pylist():
        who = rng.choice(len(crew), size=overlap, replace=False)
        for j in sorted(int(w) for w in who):
            value, left = _answer(task, truth[task["aspect"]], crew, j, rng)
            rows.append(
                {
                    "annotation_id": f"an_{batch}_{len(rows):06d}",
                    "task_id": task["task_id"],
                    "annotator_id": f"a{j:03d}",
                    "kind": task["kind"],
                    "generation_id": task["generation_id"],
                    "other_generation_id": task["other_generation_id"],
                    "aspect": task["aspect"],
                    "value": value,
                    "scale": "1..5" if task["kind"] == "rating" else "-2..2",
                    "shown_left": left,
                    "lead_time_s": float(np.round(rng.lognormal(2.0, 0.5), 2)),
                    "origin": "simulated",
                    "is_gold": False,
                    "updated_at": start + timedelta(seconds=len(rows)),
                }
            )
    return pa.Table.from_pylist(rows, schema=ANNOTATION)


def rate(true: float, crew: Crew, j: int, rng: np.random.Generator) -> int:
    """Let annotator *j* rate what is truly worth *true*: 1 .. 5."""
    seen = true + crew.shift[j] + crew.noise[j] * rng.normal()
    level = int(np.searchsorted(CUTS, seen)) + 1
    if crew.kind[j] == CARELESS:
        level = int(rng.integers(1, 6))
    return 6 - level if crew.kind[j] == REVERSED else level


def compare(
    first: float, second: float, crew: Crew, j: int, *, first_left: bool, rng: np.random.Generator
) -> float:
    """Let annotator *j* compare what is truly worth *first* with its rival: -2 .. 2, 2 for it."""
    gap = first - second
    gap += crew.noise[j] * rng.normal() + crew.left_bias[j] * (1 if first_left else -1)
    choice = float(np.sign(gap) * np.searchsorted([0.04, 0.2], abs(gap)))
    if crew.kind[j] == CARELESS:
        choice = float(rng.integers(-2, 3))
    if crew.kind[j] == REVERSED:
        choice = -choice
    return choice + 0.0  # a tie is 0, never -0


def _answer(
    task: dict[str, str], truth: dict[str, float], crew: Crew, j: int, rng: np.random.Generator
) -> tuple[float, str | None]:
    one, other = task["generation_id"], task["other_generation_id"]
    if task["kind"] == "rating":
        return float(rate(truth[one], crew, j, rng)), None
    first_left = bool(rng.random() < 0.5)
    said = compare(truth[one], truth[other], crew, j, first_left=first_left, rng=rng)
    return said, one if first_left else other
