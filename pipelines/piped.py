"""How a working process speaks to Dagster: progress in the log, one result, one-line errors."""

from collections.abc import Callable
from typing import Any

from data_contracts.errors import FlywheelError

Progress = Callable[[int, int], None]


def run_under_pipes(what: str, work: Callable[[Progress], dict[str, Any]]) -> int:
    """Run *work* and report its result through Dagster Pipes; return the exit code."""
    from dagster_pipes import open_dagster_pipes

    with open_dagster_pipes() as pipes:
        tenth = -1

        def progress(done: int, total: int) -> None:
            nonlocal tenth
            if done * 10 // max(total, 1) != tenth:
                tenth = done * 10 // max(total, 1)
                pipes.log.info(f"{what}: {done} of {total}")

        try:
            result = work(progress)
        except FlywheelError as error:
            pipes.log.error(str(error))
            return 1
        pipes.report_custom_message(result)
    return 0
