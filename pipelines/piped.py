"""How a working process speaks to Dagster: progress in the log, one answer, one-line errors.

The answer lies in a file beside the job. Pipes carries it too, for the page, but its reader may
stop before the last message of a process that has ended.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from data_contracts.errors import FlywheelError
from pipelines.metrics import Say, metrics_line

_NOTHING: Mapping[str, float] = MappingProxyType({})


def answer_file(job: Path) -> Path:
    """Return where the answer to the job in the file *job* lies."""
    return job.with_suffix(".answer.json")


def run_under_pipes(job: Path, work: Callable[[Say], dict[str, Any]]) -> int:
    """Run *work*, put its answer beside *job* and report through Dagster Pipes.

    Returns:
        The exit code of the process.
    """
    from dagster_pipes import open_dagster_pipes

    with open_dagster_pipes() as pipes:
        tenth = -1

        def progress(done: int, total: int, values: Mapping[str, float] = _NOTHING) -> None:
            nonlocal tenth
            if done * 10 // max(total, 1) != tenth:
                tenth = done * 10 // max(total, 1)
                pipes.log.info(f"{job.stem}: {done} of {total}  {metrics_line(values)}".rstrip())

        try:
            result = work(progress)
        except FlywheelError as error:
            pipes.log.error(str(error))
            _answer(job, {"refused": str(error)})
            return 1
        _answer(job, result)
        pipes.report_custom_message(result)
    return 0


def _answer(job: Path, told: Mapping[str, Any]) -> None:
    fresh = answer_file(job).with_suffix(".tmp")
    fresh.write_text(json.dumps(told), "utf-8")
    fresh.replace(answer_file(job))
