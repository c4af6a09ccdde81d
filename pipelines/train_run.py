"""One post-training run from a job file: previewed, or run just as Dagster's launchpad would."""

import json
import os
import tempfile
import uuid
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from data_contracts.errors import FlywheelError
from data_contracts.ids import Digest, SnapshotId
from pipelines.bundle import SnapshotBundle, learned_aspects
from pipelines.metrics import Say
from pipelines.orchestrator import dagster_home, free_dead_runs, free_slots, process_tag
from pipelines.post_training import ASSETS, JobFile, dagster_job, newest_turn, resolve_job
from pipelines.settings import read_resolved
from pipelines.stores import open_stores
from pipelines.training import TrainingJob
from pipelines.watching import Watching


def resolved(job: JobFile) -> tuple[str, TrainingJob]:
    """Return the turn whose snapshot is used, and exactly what will run.

    Raises:
        FlywheelError: there is no such wheel or turn, or something does not stand yet.
    """
    settings = read_resolved(job.wheel)
    stores = open_stores(job.wheel)
    turn = job.turn or newest_turn(stores)
    return turn, resolve_job(stores, settings, kind=job.kind, turn=turn, told=job.settings)


def launchpad_config(job: JobFile) -> dict[str, Any]:
    """Return what the launchpad of Dagster's job takes for the same run."""
    step = ASSETS[job.kind].replace("/", "__")
    return {"ops": {step: {"config": dict(job.settings)}}}


def preview(job: JobFile) -> dict[str, Any]:
    """Say what a run would see, need and take; a few steps are rehearsed, nothing is stored.

    Raises:
        FlywheelError: as `resolved`, or the rehearsal failed.
    """
    from pipelines.rehearsal import rehearse

    turn, run = resolved(job)
    bundle = SnapshotBundle(
        open_stores(job.wheel),
        snapshot_id=SnapshotId(run.snapshot_id),
        prompts=Digest(run.prompts),
        generations=Digest(run.generations),
        aspects=learned_aspects(run.kind),
    )
    pairs = {split: len(bundle.pairs(split)) for split in ("train", "validation", "test")}
    with tempfile.TemporaryDirectory() as folder:
        measured = rehearse(run, Path(folder), dict(os.environ))
    steps, rows = run.configuration["max_steps"], run.configuration["batch_size"]
    return {
        "kind": run.kind,
        "turn": turn,
        "snapshot": run.snapshot_id,
        "starts_from": run.policy,
        "reference": run.reference,
        "digest": run.digest,
        "pairs": pairs,
        "steps": steps,
        "rows_seen": steps * rows,
        **measured,
    }


def run(job: JobFile, *, say: Say, waits: Callable[[str], None]) -> Mapping[str, Any]:
    """Run the job in this process under the wheel's own Dagster, where `flywheel up` shows it.

    A run that was stopped or killed before goes on from its last state.

    Args:
        job: the file's content.
        say: told how far the run is, and what it measured last.
        waits: told which other run has the accelerator, while this one waits for it.

    Raises:
        FlywheelError: as `resolved`, or training failed; the sentence is the training's own.
        KeyboardInterrupt: a signal stopped it; its argument says how far the run came.
    """
    import dagster as dg
    from dagster._core.errors import DagsterExecutionInterruptedError

    turn, wanted = resolved(job)
    root = job.wheel.absolute()
    os.environ["DAGSTER_HOME"] = str(dagster_home(root))
    instance, run_id = dg.DagsterInstance.get(), str(uuid.uuid4())
    free_dead_runs(instance)
    key = dg.AssetKey(ASSETS[job.kind].split("/"))
    instance.add_dynamic_partitions("turn", [turn])
    # The run's log is on its page; here it would break the bar.
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    name = f"{turn}-{key.path[-1]}"
    watching = Watching(root / "jobs", name, instance, run_id, say=say, waits=waits)
    try:
        with warnings.catch_warnings(), watching:
            warnings.simplefilter("ignore")
            from pipelines.definitions import build_definitions

            result = (
                build_definitions(root)
                .resolve_job_def(dagster_job(job.kind, read_resolved(root).scorer))
                .execute_in_process(
                    instance=instance,
                    partition_key=turn,
                    run_id=run_id,
                    run_config=launchpad_config(job) | quiet,
                    asset_selection=[key],
                    tags=process_tag(),
                    raise_on_error=False,
                )
            )
    except DagsterExecutionInterruptedError:
        result = None  # the signal came between two steps of the orchestrator
    free_slots(instance, run_id)
    if result is None or _was_interrupted(result):
        instance.report_run_canceled(instance.get_run_by_id(run_id), "stopped by a signal")
        raise KeyboardInterrupt(stopped_sentence(job.kind, watching.newest()))
    if not result.success:
        raise FlywheelError(
            f"{job.kind} on {turn} failed: {_reason(result)} (its log: `flywheel up --root "
            f"{job.wheel.name}`, run {run_id[:8]})"
        )
    file = root / "jobs" / f"{name}.result.json"
    told: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return {"turn": turn, "run": run_id, "snapshot": wanted.snapshot_id, **told}


def stopped_sentence(kind: str, newest: Mapping[str, Any] | None) -> str:
    """Say how far a stopped run came, and what to do."""
    if newest is None:
        return f"{kind} stopped before its first step; nothing was stored"
    return (
        f"{kind} stopped after step {newest['done']} of {newest['total']}; no checkpoint was "
        "stored; the same command goes on from there"
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
