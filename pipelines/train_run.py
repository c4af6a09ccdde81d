"""One post-training run from a job file: previewed, or run just as Dagster's launchpad would."""

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from data_contracts.errors import FlywheelError
from data_contracts.ids import Digest, SnapshotId
from pipelines.bundle import SnapshotBundle, learned_aspects
from pipelines.metrics import Say
from pipelines.post_training import ASSETS, JobFile, dagster_job, newest_turn, resolve_job
from pipelines.run_here import run_here
from pipelines.settings import read_resolved
from pipelines.stores import open_stores
from pipelines.training import TrainingJob


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


def launchpad_text(job: JobFile) -> str:
    """Return what is pasted into the launchpad for the same run: YAML, what it cannot hold said.

    The launchpad's fields do not name a partition, and on another partition the same fields are
    another run; so the comments name the partition to choose, and the digest that shows it.

    Raises:
        FlywheelError: as `resolved`.
    """
    import yaml

    turn, wanted = resolved(job)
    name = dagster_job(job.kind, read_resolved(job.wheel).scorer)
    told = [
        f"# for the launchpad of the job {name}",
        f"# partition: {turn}",
        f"# asset: {ASSETS[job.kind]}",
        f"# digest: {wanted.digest}",
    ]
    return "\n".join([*told, yaml.safe_dump(launchpad_config(job), sort_keys=True)])


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
        skills=None if run.skills is None else Digest(run.skills),
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
    turn, wanted = resolved(job)
    asset = ASSETS[job.kind]
    name = f"{turn}-{asset.rsplit('/', 1)[-1]}"
    ended = run_here(
        job.wheel,
        dagster_job(job.kind, read_resolved(job.wheel).scorer),
        run_config=launchpad_config(job),
        follows=name,
        say=say,
        waits=waits,
        turn=turn,
        assets=(asset,),
    )
    if ended.stopped:
        raise KeyboardInterrupt(stopped_sentence(job.kind, ended.newest))
    if ended.failure is not None:
        raise FlywheelError(
            f"{job.kind} on {turn} failed: {ended.failure} (its log: `flywheel up --root "
            f"{job.wheel.name}`, run {ended.run_id[:8]})"
        )
    file = job.wheel / "jobs" / f"{name}.result.json"
    told: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return {"turn": turn, "run": ended.run_id, "snapshot": wanted.snapshot_id, **told}


def stopped_sentence(kind: str, newest: Mapping[str, Any] | None) -> str:
    """Say how far a stopped run came, and what to do."""
    if newest is None:
        return f"{kind} stopped before its first step; nothing was stored"
    return (
        f"{kind} stopped after step {newest['done']} of {newest['total']}; no checkpoint was "
        "stored; the same command goes on from there"
    )
