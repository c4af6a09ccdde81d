"""Dagster lands what the door took in: a sensor that looks, and a job that does it.

No `from __future__ import annotations`: Dagster resolves annotations at run time.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import dagster as dg

from pipelines.landing import land_events, waiting_events
from pipelines.resources import Wheel

_OPEN_RUNS: Final = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


@dg.op
def land_journal(context: dg.OpExecutionContext, wheel: Wheel) -> None:
    """Bring the journal's events into the table `events`, and the others into quarantine."""
    for part in land_events(Path(wheel.root), now=datetime.now(UTC), by=f"run {context.run_id}"):
        reasons = "\n".join(f"| {why} | {rows} |" for why, rows in part.quarantined.items())
        context.log_event(
            dg.AssetMaterialization(
                asset_key=["traces", "landed_events"],
                description="Events that came in through the door.",
                metadata={
                    "batch": part.batch,
                    "received": part.received,
                    "accepted": part.accepted,
                    "quarantined": dg.MetadataValue.md(f"| reason | rows |\n|---|---|\n{reasons}"),
                },
            )
        )


@dg.job(executor_def=dg.in_process_executor, description="Journalled events land in `events`.")
def landing() -> None:
    """Land what waits."""
    land_journal()


def landing_sensor(root: Path) -> dg.SensorDefinition:
    """Return a sensor that lands what waits in the journal of the zone under *root*."""

    @dg.sensor(
        job=landing,
        name="journal_waits",
        minimum_interval_seconds=30,
        description="Lands what came in through the door and waits in the journal.",
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def journal_waits(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        waiting = waiting_events(root)
        if waiting == 0:
            return dg.SkipReason("nothing waits in the journal")
        # No run key: a landing that failed is tried again, and one at a time is enough.
        open_runs = dg.RunsFilter(job_name=landing.name, statuses=_OPEN_RUNS)
        if context.instance.get_runs_count(open_runs):
            return dg.SkipReason("a landing is under way")
        return dg.RunRequest()

    return journal_waits
