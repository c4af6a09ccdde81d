"""A rehearsal: a few real steps of a resolved run, so that time and memory are measured.

    python -m pipelines.rehearsal JOB.json

Nothing of it is stored. Prints one JSON object.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from data_contracts.errors import FlywheelError
from data_contracts.ids import CheckpointId, Digest, SnapshotId
from pipelines.bundle import SnapshotBundle, learned_aspects
from pipelines.memory import KEEP_MEMORY
from pipelines.stores import Stores, open_stores
from pipelines.training import TrainingJob

STEPS: Final = 4  # the first warms up and is not counted


def rehearse(job: TrainingJob, folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Run a rehearsal in a process of its own, whose memory is the run's alone.

    Args:
        job: the run, resolved.
        folder: for the job's file; the caller throws it away.
        environment: of the process.

    Raises:
        FlywheelError: the run could not even start; the sentence is the run's own.
    """
    file = folder / "rehearsal.json"
    file.write_text(job.model_dump_json(), "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.rehearsal", str(file)],
        capture_output=True,
        text=True,
        check=False,
        env=environment | KEEP_MEMORY,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise FlywheelError(f"the rehearsal failed: {last[0]}")
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def run_file(file: Path) -> dict[str, Any]:
    """Train a few steps of the job in *file*; return seconds and megabytes."""
    from pipelines import training
    from reward_models.watch import Watch

    job = TrainingJob.model_validate_json(file.read_text("utf-8"))
    told = job.configuration
    # One process's share: the others would do the same beside it.
    share = {
        "max_steps": min(STEPS, told["max_steps"]),
        "batch_size": told["batch_size"] // told["expected_world_size"],
        "expected_world_size": 1,
        # Of several models one is rehearsed: the others take as long, and stay in memory too.
        **({"members": 1} if "members" in told else {}),
    }
    short = job.model_copy(update={"configuration": told | share})
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
    started, ends = time.perf_counter(), []
    watch = Watch(progress=lambda done, total: ends.append(time.perf_counter()))
    training.TRAINERS[job.kind](short, stores, bundle, watch)
    seconds = time.perf_counter() - started
    step = (ends[-1] - ends[0]) / max(len(ends) - 1, 1)
    around = seconds - (ends[-1] - ends[0])
    members = told.get("members", 1)
    kept = (members - 1) * _weights_mb(stores, job.policy)
    device = _device_memory_mb()
    return {
        "seconds_a_step": step,
        "seconds": members * (around + step * told["max_steps"]),
        "processes": told["expected_world_size"],
        "members": members,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        + (kept if device is None else 0.0),
        "device_memory_mb": None if device is None else device + kept,
    }


def _device_memory_mb() -> float | None:
    import torch

    return torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else None


def _weights_mb(stores: Stores, policy: str) -> float:
    files = stores.checkpoints.path(CheckpointId(policy)).rglob("*.safetensors")
    return sum(file.stat().st_size for file in files) / 2**20


def main(arguments: list[str]) -> int:
    """Rehearse the job named on the command line."""
    try:
        answer = run_file(Path(arguments[0]))
    except FlywheelError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
