"""One post-training run from a job file: previewed, or run just as Dagster's launchpad would."""

import json
import os
import tempfile
import threading
import uuid
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from data_contracts.errors import FlywheelError
from data_contracts.ids import Digest, SnapshotId
from pipelines.bundle import SnapshotBundle
from pipelines.post_training import ASSETS, JobFile, newest_turn, resolve_job
from pipelines.settings import read_resolved
from pipelines.stores import open_stores
from pipelines.training import TrainingJob

Advance = Callable[[int, int], None]


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
    """Return what the launchpad of the job *post_training* takes for the same run."""
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


def run(job: JobFile, *, advance: Advance) -> Mapping[str, Any]:
    """Run the job in this process under the wheel's own Dagster, where `flywheel up` shows it.

    Args:
        job: the file's content.
        advance: called with (steps done, all steps).

    Raises:
        FlywheelError: as `resolved`, or training failed.
    """
    import dagster as dg

    from pipelines.wheel import dagster_home

    turn, wanted = resolved(job)
    root = job.wheel.absolute()
    os.environ["DAGSTER_HOME"] = str(dagster_home(root))
    instance, run_id = dg.DagsterInstance.get(), str(uuid.uuid4())
    key = dg.AssetKey(ASSETS[job.kind].split("/"))
    instance.add_dynamic_partitions("turn", [turn])
    # The run's log is on its page; here it would break the bar.
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with warnings.catch_warnings(), _watching(root, turn, key.path[-1], advance):
        warnings.simplefilter("ignore")
        from pipelines.definitions import build_definitions

        result = (
            build_definitions(root)
            .resolve_job_def("post_training")
            .execute_in_process(
                instance=instance,
                partition_key=turn,
                run_id=run_id,
                run_config=launchpad_config(job) | quiet,
                asset_selection=[key],
                raise_on_error=False,
            )
        )
    if not result.success:
        raise FlywheelError(
            f"{job.kind} on {turn} failed; `flywheel up --root {job.wheel.name}` shows run "
            f"{run_id[:8]} with its log"
        )
    file = root / "jobs" / f"{turn}-{key.path[-1]}.result.json"
    told: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return {"turn": turn, "run": run_id, "snapshot": wanted.snapshot_id, **told}


class _watching:  # a context manager reads as a verb
    """Follows the progress file of a training process while the block runs."""

    def __init__(self, root: Path, turn: str, name: str, advance: Advance) -> None:
        self._pattern = (root / "jobs", f"{turn}-{name}-*.progress.json")
        self._before = self._newest()
        self._advance = advance
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _newest(self) -> tuple[int, Path] | None:
        folder, pattern = self._pattern
        return max(((f.stat().st_mtime_ns, f) for f in folder.glob(pattern)), default=None)

    def _follow(self) -> None:
        while not self._done.wait(0.3):
            newest = self._newest()
            if newest is not None and newest != self._before:
                told = json.loads(newest[1].read_text("utf-8") or "null")
                if told:
                    self._advance(told["done"], told["total"])
