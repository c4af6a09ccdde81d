"""The simulated annotators in Label Studio: each signs in as a person would and answers tasks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from annotation.client import LabelStudioClient
from annotation.interfaces.controls import ASPECT, OVERALL, VERDICTS
from pipelines.world.annotators import Crew, compare, rate

_LEAD_S: Final = 8.0  # median of a made-up answer's time
Truth = Mapping[str, Mapping[str, float]]  # aspect -> generation_id -> true value in [0, 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seated:
    """One task before one simulated annotator."""

    server_task: int
    who: int  # place in the crew
    left_id: str  # of a critique the only one
    right_id: str | None  # None: a critique
    aspects: tuple[str, ...]  # that the interface rates


def crew_name(place: int) -> str:
    """Return the id of the annotator at *place* of the crew."""
    return f"a{place:03d}"


def answer_at_desk(
    clients: Mapping[int, LabelStudioClient],
    tasks: Sequence[Seated],
    truth: Truth,
    crew: Crew,
    *,
    rng: np.random.Generator,
    advance: Callable[[int, int], None],
) -> int:
    """Let the crew answer *tasks* through the server, in order; return how many.

    Args:
        clients: signed in as each annotator, by place in the crew.
        tasks: to be answered; nobody answers one twice.
        truth: what the pictures are really worth.
        crew: how well each sees that.
        rng: all randomness.
        advance: told how many of how many were answered.

    Raises:
        FlywheelError: the server is away or refuses.
    """
    advance(0, len(tasks))
    for done, task in enumerate(tasks, start=1):
        lead = float(np.round(rng.lognormal(np.log(_LEAD_S), 0.5), 2))
        clients[task.who].request(
            "POST",
            f"api/tasks/{task.server_task}/annotations/",
            json={"result": _result(task, truth, crew, rng), "lead_time": lead},
        )
        advance(done, len(tasks))
    return len(tasks)


def _result(
    task: Seated, truth: Truth, crew: Crew, rng: np.random.Generator
) -> list[dict[str, Any]]:
    if task.right_id is None:
        return [
            _part(f"{ASPECT}{aspect}", "only", "rating",
                  {"rating": rate(truth[aspect][task.left_id], crew, task.who, rng)})
            for aspect in task.aspects
            if aspect in truth
        ]  # fmt: skip
    values = truth[OVERALL]
    left, right = values[task.left_id], values[task.right_id]
    said = compare(left, right, crew, task.who, first_left=True, rng=rng)
    tie = "both_good" if left + right >= 1.0 else "both_bad"
    chosen = next(v.stored for v in VERDICTS if v.value == said and v.tie_kind in (None, tie))
    return [_part(OVERALL, "left", "choices", {"choices": [chosen]})]


def _part(name: str, to: str, kind: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"id": name, "from_name": name, "to_name": to, "type": kind, "origin": "manual",
            "value": value}  # fmt: skip
