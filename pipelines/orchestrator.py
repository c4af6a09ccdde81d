"""A wheel's Dagster home: no telemetry, one training on the accelerator at a time, no dead claims.

A run that is killed cannot give its place in the pool back. Each run therefore says which process
it is, and whoever starts next frees the places of processes that are gone.
"""

import os
from pathlib import Path
from typing import Any, Final

from annotation.server.birth import birth

POOL: Final = "gpu"  # what trains or samples claims it, with a GPU or without
PROCESS_TAG: Final = "flywheel/process"
_CONFIGURATION: Final = f"""\
# Written by flywheel; yours to change. Nothing is sent anywhere.
telemetry:
  enabled: false
nux:
  enabled: false
# How many steps of the pool "{POOL}" run at once on this wheel. The page Deployment,
# Concurrency shows who has a place and who waits.
concurrency:
  pools:
    granularity: op
    default_limit: 1
run_monitoring:
  enabled: true
  free_slots_after_run_end_seconds: 10
"""


def dagster_home(root: Path) -> Path:
    """Return Dagster's home under *root*, made where it is absent; a dagster.yaml there is kept."""
    home = (root / "dagster").absolute()
    home.mkdir(parents=True, exist_ok=True)
    file = home / "dagster.yaml"
    if not file.exists():
        file.write_text(_CONFIGURATION, "utf-8")
    return home


def process_tag() -> dict[str, str]:
    """Return the run tag that says which process this is, beyond the reuse of its number."""
    return {PROCESS_TAG: f"{os.getpid()} {birth(os.getpid())}"}


def free_dead_runs(instance: Any) -> list[str]:
    """Mark runs whose process is gone as failed and give their places back; return their ids.

    Args:
        instance: a DagsterInstance. Runs that say no process are left alone.
    """
    from dagster import DagsterRunStatus, RunsFilter

    open_now = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
    runs = {run.run_id: run for run in instance.get_runs(RunsFilter(statuses=open_now))}
    claimed = list(instance.event_log_storage.get_concurrency_run_ids())
    if claimed:
        runs |= {run.run_id: run for run in instance.get_runs(RunsFilter(run_ids=claimed))}
    dead = [run for run in runs.values() if _is_gone(run.tags.get(PROCESS_TAG))]
    for run in dead:
        if not run.is_finished:
            instance.report_run_failed(run, "the process of this run was killed")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return sorted(run.run_id for run in dead)


def free_slots(instance: Any, run_id: str) -> None:
    """Give back the places of a run that has ended, however it ended."""
    instance.event_log_storage.free_concurrency_slots_for_run(run_id)


def holder(instance: Any, *, besides: str) -> str | None:
    """Return the run that has the pool's place, if it is another than *besides*."""
    slots = instance.event_log_storage.get_concurrency_info(POOL).claimed_slots
    return next((slot.run_id for slot in slots if slot.run_id != besides), None)


def _is_gone(told: str | None) -> bool:
    if told is None:
        return False
    number, _, born = told.partition(" ")
    return birth(int(number)) != born
