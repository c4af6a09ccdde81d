"""A Dagster job in this process, under the wheel's own Dagster, where `flywheel up` shows it."""

import os
import uuid
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.metrics import Say
from pipelines.orchestrator import dagster_home, free_dead_runs, free_slots, process_tag
from pipelines.watching import Watching


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a run ended."""

    run_id: str
    stopped: bool  # by a signal
    failure: str | None  # the sentence with which it failed; None: it did not, or was stopped
    newest: Mapping[str, Any] | None  # what it told last; None: nothing


def run_here(
    root: Path,
    job: str,
    *,
    run_config: Mapping[str, Any],
    follows: str,
    say: Say,
    waits: Callable[[str], None],
    turn: str | None = None,
    assets: tuple[str, ...] = (),
) -> Ended:
    """Run the job named *job* of the wheel under *root*.

    Args:
        root: of the wheel.
        job: its name in the wheel's definitions.
        run_config: as the launchpad takes it.
        follows: the start of the names under jobs/ whose progress is told.
        say: told how far the run is, and what it measured last.
        waits: told which other run has the accelerator, while this one waits for it.
        turn: partition of a job of assets.
        assets: keys of those that are made, parts joined by `/`; none: all of the job.
    """
    import dagster as dg
    from dagster._core.errors import DagsterExecutionInterruptedError

    root = root.absolute()
    os.environ["DAGSTER_HOME"] = str(dagster_home(root))
    instance, run_id = dg.DagsterInstance.get(), str(uuid.uuid4())
    free_dead_runs(instance)
    if turn is not None:
        instance.add_dynamic_partitions("turn", [turn])
    # The run's log is on its page; here it would break the bar.
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    watching = Watching(root / "jobs", follows, instance, run_id, say=say, waits=waits)
    try:
        with warnings.catch_warnings(), watching:
            warnings.simplefilter("ignore")
            from pipelines.definitions import build_definitions

            result = (
                build_definitions(root)
                .resolve_job_def(job)
                .execute_in_process(
                    instance=instance,
                    partition_key=turn,
                    run_id=run_id,
                    run_config={**run_config, **quiet},
                    asset_selection=[dg.AssetKey(each.split("/")) for each in assets] or None,
                    tags=process_tag(),
                    raise_on_error=False,
                )
            )
    except DagsterExecutionInterruptedError:
        result = None  # the signal came between two steps of the orchestrator
    free_slots(instance, run_id)
    stopped = result is None or _was_interrupted(result)
    if stopped:
        instance.report_run_canceled(instance.get_run_by_id(run_id), "stopped by a signal")
    failed = not stopped and not result.success
    return Ended(
        run_id=run_id,
        stopped=stopped,
        failure=_reason(result) if failed else None,
        newest=watching.newest(),
    )


def _was_interrupted(result: Any) -> bool:
    """Say whether a signal ended a step; in this process Dagster calls that a failure."""
    errors = [event.step_failure_data.error for event in result.get_step_failure_events()]
    return any(e is not None and e.cls_name == "DagsterExecutionInterruptedError" for e in errors)


def _reason(result: Any) -> str:
    """Return the sentence with which the step failed."""
    for event in result.get_step_failure_events():
        failure = event.step_failure_data
        if failure.user_failure_data is not None:
            return str(failure.user_failure_data.description)
        return str(failure.error.message).strip().splitlines()[-1]
    return "see its log"
