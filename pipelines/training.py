"""The process that trains: started by Dagster as a Pipes subprocess, one model a process.

    python -m pipelines.training JOB.json

It reads a validated snapshot, trains, stores the checkpoint whole or not at all, and reports
through Pipes. torch lives here, not in the orchestrator. Stopped or killed, the same run goes on
from its last state when it is started again.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from data_contracts.errors import FlywheelError
from data_contracts.ids import CheckpointId, Digest, SnapshotId
from pipelines.bundle import SnapshotBundle, learned_aspects
from pipelines.code_version import code_version
from pipelines.metrics import LiveMetrics, Say, silent
from pipelines.piped import run_under_pipes
from pipelines.stores import CheckpointFields, Parent, Stores, open_stores
from pipelines.stores.digests import json_digest
from pipelines.unfinished import (
    asked_to_stop,
    catch_stop_signals,
    unfinished_folder,
    unfinished_run,
)

if TYPE_CHECKING:
    from reward_models.watch import Watch


class TrainingJob(BaseModel):
    """One training run, resolved: what, from what, with which settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["sft", "dpo", "reward", "aspects"]
    root: Path
    snapshot_id: str
    prompts: str  # digest of the prompts' table
    generations: str  # digest of the generations' table
    # Digest of the skills' table. Where there are none the run is named as if there never were.
    skills: str | None = Field(default=None, exclude_if=lambda digest: digest is None)
    # Digest of where people pointed. Where nobody did the run is named as if nobody could.
    critiques: str | None = Field(default=None, exclude_if=lambda digest: digest is None)
    policy: str  # checkpoint that training starts from
    reference: str | None = None  # the policy released last; for dpo
    configuration: dict[str, Any]
    pointer: str  # where the new checkpoint is announced

    @property
    def digest(self) -> str:
        """Return what names this run: configuration, snapshot, parents and code."""
        told = self.model_dump(mode="json", exclude={"root", "pointer"})
        return json_digest({**told, "code": code_version()})


def run_job(job: TrainingJob, watch: "Watch") -> dict[str, Any]:
    """Train as *job* says, store the checkpoint and return what Dagster shows of it.

    Raises:
        TrainingStopped: *watch* asked for it; no checkpoint was stored and no pointer moved.
    """
    from reward_models.watch import TrainingStopped

    stores = open_stores(job.root)
    bundle = SnapshotBundle(
        stores,
        snapshot_id=SnapshotId(job.snapshot_id),
        prompts=Digest(job.prompts),
        generations=Digest(job.generations),
        skills=None if job.skills is None else Digest(job.skills),
        aspects=learned_aspects(job.kind),
        critiques=None if job.critiques is None else Digest(job.critiques),
    )
    save, seen, figures = TRAINERS[job.kind](job, stores, bundle, watch)
    if _rank():
        return {}  # one process of a run stores and reports
    if watch.stop():
        raise TrainingStopped("stopped before the checkpoint was stored; start it again")
    parents = [job.policy, *([job.reference] if job.reference else [])]
    manifest = stores.checkpoints.manifest(CheckpointId(job.policy))
    evidence = [job.snapshot_id, *([job.critiques] if job.critiques else [])]
    # A table may have been made again since the snapshot was: training read what stands now.
    read = [job.prompts, job.generations, *([job.skills] if job.skills else [])]
    learned = [stores.catalogue.object(each) for each in (*evidence, *read)]
    fields = CheckpointFields(
        kind=job.kind,
        parents=tuple(sorted({*parents, *evidence})),
        label=tuple(sorted(set(manifest.label).union(*(each.label.owners for each in learned)))),
        label_epoch=max(manifest.label_epoch, *(each.label_epoch for each in learned)),
        code_version=code_version(),
        configuration_digest=job.digest,
        modalities=manifest.modalities,
        samples_seen=json_digest(seen),
    )
    with stores.checkpoints.writer(fields) as writer:
        save(writer.folder)
        (writer.folder / "samples_seen.json").write_text(json.dumps(seen), "utf-8")
    stores.catalogue.register(
        writer.checkpoint_id,
        "checkpoint",
        [*parents, *read, *(Parent(each, "evidence") for each in evidence)],
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


def _train_sft(job: TrainingJob, stores: Stores, bundle: SnapshotBundle, watch: "Watch") -> Trained:
    from finetune.config import SftConfig
    from finetune.sft_trainer import train_sft
    from pipelines.policies import stored_policy
    from pipelines.reading import read_once

    policy, config = stored_policy(stores, job.policy), SftConfig(**job.configuration)
    run = train_sft(
        bundle,
        policy=policy,
        config=config,
        watch=watch,
        sequences=read_once(stores, bundle, policy, max_length=config.max_length),
    )
    return run.backbone.save, _names(run.samples_seen), _figures(run.curves, run.seconds)


def _train_dpo(job: TrainingJob, stores: Stores, bundle: SnapshotBundle, watch: "Watch") -> Trained:
    from finetune.config import DpoConfig
    from finetune.dpo_trainer import train_dpo
    from pipelines.policies import stored_policy
    from pipelines.reading import read_once

    if job.reference is None:
        raise FlywheelError("a dpo job needs a reference: the policy released last")
    policy, config = stored_policy(stores, job.policy), DpoConfig(**job.configuration)
    run = train_dpo(
        bundle,
        policy=policy,
        reference=stored_policy(stores, job.reference),
        config=config,
        watch=watch,
        sequences=read_once(stores, bundle, policy, max_length=config.max_length),
    )
    return run.backbone.save, _names(run.samples_seen), _figures(run.curves, run.seconds)


def _train_reward(
    job: TrainingJob, stores: Stores, bundle: SnapshotBundle, watch: "Watch"
) -> Trained:
    from pipelines.policies import stored_policy
    from pipelines.reading import read_once
    from reward_models.config import RewardConfig
    from reward_models.trainer import train_reward

    policy, config = stored_policy(stores, job.policy), RewardConfig(**job.configuration)
    run = train_reward(
        bundle,
        backbone=policy,
        config=config,
        watch=watch,
        sequences=read_once(stores, bundle, policy, max_length=config.max_length),
    )
    validation = None if run.validation is None else asdict(run.validation)
    figures = _figures(run.curves, run.seconds) | {
        "validation": validation,
        "validation_pairs": run.validation_pairs,
    }
    return run.scorer.save, _names(run.samples_seen), figures


def _train_aspects(
    job: TrainingJob, stores: Stores, bundle: SnapshotBundle, watch: "Watch"
) -> Trained:
    from pipelines.judging.result import aspect_result, save_aspects
    from pipelines.policies import stored_policy
    from pipelines.reading import read_once
    from reward_models.config import AspectConfig
    from reward_models.ensemble_trainer import train_ensemble

    policy, config = stored_policy(stores, job.policy), AspectConfig(**job.configuration)
    run = train_ensemble(
        bundle,
        backbone=policy,
        config=config,
        watch=watch,
        sequences=read_once(stores, bundle, policy, max_length=config.max_length),
    )
    curves = {
        f"{name}{'' if number == 1 else f' of {number}'}": points
        for number, member in enumerate(run.members, start=1)
        for name, points in member.curves.items()
    }
    seen = [names for member in run.members for names in _names(member.samples_seen)]
    figures = _figures(curves, sum(member.seconds for member in run.members))
    return partial(save_aspects, run), seen, figures | aspect_result(run)


Trainer = Callable[[TrainingJob, Stores, SnapshotBundle, "Watch"], Trained]
TRAINERS: Final[Mapping[str, Trainer]] = {
    "sft": _train_sft,
    "dpo": _train_dpo,
    "reward": _train_reward,
    "aspects": _train_aspects,
}


def _names(samples: Any) -> list[list[str]]:
    return [list(names) for _, names in samples]


def _figures(curves: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    points = {name: [[int(s), float(v)] for s, v in curve] for name, curve in curves.items()}
    return {"curves": points, "seconds": round(seconds, 2)}


def run_file(file: Path, say: Say) -> dict[str, Any]:
    """Run the resolved job in *file*; its progress and metrics lie beside it for whoever watches.

    Raises:
        TrainingStopped: a signal asked for it, or who started us is gone.
    """
    from reward_models.watch import Watch

    job = TrainingJob.model_validate_json(file.read_text("utf-8"))
    metrics = LiveMetrics(file, say)
    folder = unfinished_folder(job.root, job.digest)
    # The first process of a run holds the folder for all of them.
    with nullcontext(folder) if _rank() else unfinished_run(job.root, job.digest) as states:
        try:
            watch = Watch(
                progress=metrics.progress,
                metrics=metrics.measured,
                stop=asked_to_stop,
                folder=states,
            )
            return run_job(job, watch)
        finally:
            metrics.close()


def _rank() -> int:
    """Return which of the run's processes this is, as torchrun tells it."""
    return int(os.environ.get("RANK", "0"))


def main(arguments: list[str]) -> int:
    """Run the job named on the command line, speaking to Dagster Pipes where there is one."""
    catch_stop_signals()
    file = Path(arguments[0])
    if _rank():
        try:
            run_file(file, silent)
        except FlywheelError:
            return 1  # the first process says why
        return 0
    return run_under_pipes(file, lambda say: run_file(file, say))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
