"""Dagster's job *evaluate*: an engineer measures any policy against any other, releasing nothing.

No `from __future__ import annotations`: Dagster resolves annotations at run time.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from data_contracts.errors import FlywheelError
from pipelines.evaluation_run import JOB, STEP, EvaluationRequest, measure, resolved, verdict_of
from pipelines.orchestrator import POOL, process_tag
from pipelines.resources import Wheel


class EvaluationConfig(dg.Config):
    """What is measured; everything but the candidate may be left out."""

    candidate: str
    against: str = ""
    turn: str = ""
    prompts: int | None = None
    samples: int | None = None
    seed: int | None = None
    reward_model: str = ""
    out: str | None = None


@dg.op(name=STEP, pool=POOL, tags={"dagster/compute_kind": "torch"})
def evaluation(context: dg.OpExecutionContext, config: EvaluationConfig, wheel: Wheel) -> None:
    """Sample both policies on held-out prompts, score, judge; card and report are written."""
    told = config.model_dump() | {"out": None if config.out is None else Path(config.out)}
    context.instance.add_run_tags(context.run_id, process_tag())
    tenth = -1

    def say(done: int, total: int, values: Mapping[str, float] | None = None) -> None:
        nonlocal tenth
        if done * 10 // max(total, 1) != tenth:
            tenth = done * 10 // max(total, 1)
            context.log.info(f"{done} of {total} samples")

    try:
        result = measure(resolved(EvaluationRequest(root=Path(wheel.root), **told)), say)
    except FlywheelError as error:
        raise dg.Failure(str(error)) from None
    context.add_output_metadata(shown(result, Path(wheel.root)))


def shown(result: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """Return what Dagster's page shows of a report: who, the gate's rules, figures, the card."""
    rows = "\n".join(
        f"| {f['rule']} | {verdict_of(f) if f['passed'] else '**failed**'} | {f['detail']} |"
        for f in result["findings"]
    )
    skills = {"quality by skill": dg.MetadataValue.md(skills_table(result))}
    return {
        **(skills if result.get("skills") else {}),
        "candidate": result["candidate"],
        "champion": result["champion"],
        "passed": result["passed"],
        "gate": dg.MetadataValue.md(f"| rule | verdict | measured |\n|---|---|---|\n{rows}"),
        "measured": dg.MetadataValue.json(result["measured"]),
        "comparison card": dg.MetadataValue.path(str(root / result["card"])),
    }


def skills_table(result: Mapping[str, Any]) -> str:
    """Return a report's figures by skill as a Markdown table; skills by id."""
    rows = [
        f"| {row['skill_id'] or 'no skill'} | {row['prompts']} | {_range(row['win_rate'])} | "
        f"{row['says']} |"
        for row in result["skills"]
    ]
    return "\n".join(["| skill | prompts | win rate | says |", "|---|---|---|---|", *rows])


def _range(found: Mapping[str, float] | None) -> str:
    if found is None:
        return "-"
    return f"{found['mean']:.3f} ({found['low']:.3f} to {found['high']:.3f})"


@dg.job(name=JOB, executor_def=dg.in_process_executor)
def evaluate_job() -> None:
    """Any candidate against any champion, with the gate's samples, scorer and report."""
    evaluation()
