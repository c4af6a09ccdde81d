"""The process that trains: started by Dagster as a Pipes subprocess, one model a process.

    python -m pipelines.training JOB.json

It reads a validated snapshot, trains, stores the checkpoint whole or not at all, and reports
through Pipes. torch lives here, not in the orchestrator.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from data_contracts.errors import FlywheelError
from data_contracts.ids import CheckpointId, Digest, SnapshotId
from pipelines.bundle import SnapshotBundle
from pipelines.code_version import code_version
from pipelines.piped import Progress, run_under_pipes
from pipelines.stores import CheckpointFields, Parent, Stores, open_stores
from pipelines.stores.digests import json_digest

_TELL_EVERY: Final = 0.3  # seconds


class TrainingJob(BaseModel):
    """One training run, resolved: what, from what, with which settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["sft", "dpo", "reward"]
    root: Path
    snapshot_id: str
    prompts: str  # digest of the prompts' table
    generations: str  # digest of the generations' table
    policy: str  # checkpoint that training starts from
    reference: str | None = None  # the policy released last; for dpo
    configuration: dict[str, Any]
    pointer: str  # where the new checkpoint is announced

    @property
    def digest(self) -> str:
        """Return what names this run: configuration, snapshot, parents and code."""
        told = self.model_dump(mode="json", exclude={"root", "pointer"})
        return json_digest({**told, "code": code_version()})


def run_job(job: TrainingJob, progress: Progress) -> dict[str, Any]:
    """Train as *job* says, store the checkpoint and return what Dagster shows of it."""
    stores = open_stores(job.root)
    bundle = SnapshotBundle(
        stores,
        snapshot_id=SnapshotId(job.snapshot_id),
        prompts=Digest(job.prompts),
        generations=Digest(job.generations),
    )
    save, seen, figures = TRAINERS[job.kind](job, stores, bundle, progress)
    if _rank():
        return {}  # one process of a run stores and reports
    parents = [job.policy, *([job.reference] if job.reference else [])]
    manifest = stores.checkpoints.manifest(CheckpointId(job.policy))
    snapshot = stores.catalogue.object(job.snapshot_id)
    fields = CheckpointFields(
        kind=job.kind,
        parents=tuple(sorted({*parents, job.snapshot_id})),
        label=tuple(sorted(snapshot.label.owners | set(manifest.label))),
        label_epoch=max(snapshot.label_epoch, manifest.label_epoch),
        code_version=code_version(),
        configuration_digest=job.digest,
        modalities=("image", "text"),
        samples_seen=json_digest(seen),
    )
    with stores.checkpoints.writer(fields) as writer:
        save(writer.folder)
        (writer.folder / "samples_seen.json").write_text(json.dumps(seen), "utf-8")
    stores.catalogue.register(
        writer.checkpoint_id, "checkpoint", [*parents, Parent(job.snapshot_id, "evidence")]
    )
    stores.catalogue.swap_pointer(
        job.pointer,
        expected=stores.catalogue.pointer(job.pointer),
        new=writer.checkpoint_id,
        reason=f"trained ({job.kind})",
        by="training",
        at=datetime.now(UTC),
    )
    return {"checkpoint": writer.checkpoint_id, "configuration_digest": job.digest, **figures}


Trained = tuple[Callable[[Path], None], list[list[str]], dict[str, Any]]


def _train_sft(
    job: TrainingJob, stores: Stores, bundle: SnapshotBundle, progress: Progress
) -> Trained:
    from finetune.config import SftConfig
    from finetune.sft_trainer import train_sft
    from pipelines.reading import read_once

    policy, config = _load_policy(stores, job.policy), SftConfig(**job.configuration)
    run = train_sft(
        bundle,
        policy=policy,
        config=config,
        progress=progress,
        sequences=read_once(stores, bundle, policy, max_length=config.max_length),
    )
    return run.backbone.save, _names(run.samples_seen), _figures(run.curves, run.seconds)


def _train_dpo(
    job: TrainingJob, stores: Stores, bundle: SnapshotBundle, progress: Progress
) -> Trained:
    from finetune.config import DpoConfig
    from finetune.dpo_trainer import train_dpo
    from pipelines.reading import read_once

    if job.reference is None:
        raise FlywheelError("a dpo job needs a reference: the policy released last")
    policy, config = _load_policy(stores, job.policy), DpoConfig(**job.configuration)
    run = train_dpo(
        bundle,
        policy=policy,
        reference=_load_policy(stores, job.reference),
        config=config,
        progress=progress,
        sequences=read_once(stores, bundle, policy, max_length=config.max_length),
    )
    return run.backbone.save, _names(run.samples_seen), _figures(run.curves, run.seconds)


def _train_reward(
    job: TrainingJob, stores: Stores, bundle: SnapshotBundle, progress: Progress
) -> Trained:
    from pipelines.reading import read_once
    from reward_models.config import RewardConfig
    from reward_models.trainer import train_reward

    policy, config = _load_policy(stores, job.policy), RewardConfig(**job.configuration)
    run = train_reward(
        bundle,
        backbone=policy,
        config=config,
        progress=progress,
        sequences=read_once(stores, bundle, policy, max_length=config.max_length),
    )
    validation = None if run.validation is None else asdict(run.validation)
    figures = _figures(run.curves, run.seconds) | {
        "validation": validation,
        "validation_pairs": run.validation_pairs,
    }
    return run.scorer.save, _names(run.samples_seen), figures


Trainer = Callable[[TrainingJob, Stores, SnapshotBundle, Progress], Trained]
TRAINERS: Final[Mapping[str, Trainer]] = {
    "sft": _train_sft,
    "dpo": _train_dpo,
    "reward": _train_reward,
}


def _load_policy(stores: Stores, checkpoint: str) -> Any:
    from backbone.emu3 import Emu3Backbone

    stores.checkpoints.verify(CheckpointId(checkpoint))
    return Emu3Backbone.load(stores.checkpoints.path(CheckpointId(checkpoint)))


def _names(samples: Any) -> list[list[str]]:
    return [list(names) for _, names in samples]


def _figures(curves: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    points = {name: [[int(s), float(v)] for s, v in curve] for name, curve in curves.items()}
    return {"curves": points, "seconds": round(seconds, 2)}


def run_file(file: Path, progress: Progress) -> dict[str, Any]:
    """Run the resolved job in *file*; its progress lies beside it for whoever watches."""
    beside = file.with_suffix(".progress.json")
    last = 0.0

    def tell(done: int, total: int) -> None:
        nonlocal last
        progress(done, total)
        if done == total or time.monotonic() - last > _TELL_EVERY:
            last = time.monotonic()
            fresh = beside.with_suffix(".tmp")
            fresh.write_text(json.dumps({"done": done, "total": total}), "utf-8")
            fresh.replace(beside)

    return run_job(TrainingJob.model_validate_json(file.read_text("utf-8")), tell)


def _rank() -> int:
    """Return which of the run's processes this is, as torchrun tells it."""
    return int(os.environ.get("RANK", "0"))


def main(arguments: list[str]) -> int:
    """Run the job named on the command line, speaking to Dagster Pipes where there is one."""
    if _rank():
        run_file(Path(arguments[0]), lambda done, total: None)
        return 0
    file = Path(arguments[0])
    return run_under_pipes(file, lambda say: run_file(file, say))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
