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
from data_contracts.ids import Digest, SnapshotId
from pipelines.bundle import SnapshotBundle, learned_aspects
from pipelines.memory import KEEP_MEMORY
from pipelines.stores import open_stores
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
    }
    short = job.model_copy(update={"configuration": told | share})
    stores = open_stores(job.root)
    bundle = SnapshotBundle(
        stores,
        snapshot_id=SnapshotId(job.snapshot_id),
        prompts=Digest(job.prompts),
        generations=Digest(job.generations),
        aspects=learned_aspects(job.kind),
        critiques=None if job.critiques is None else Digest(job.critiques),
    )
    started, ends = time.perf_counter(), []
    watch = Watch(progress=lambda done, total: ends.append(time.perf_counter()))
    training.TRAINERS[job.kind](short, stores, bundle, watch)
    seconds = time.perf_counter() - started
    step = (ends[-1] - ends[0]) / max(len(ends) - 1, 1)
    around = seconds - (ends[-1] - ends[0])
    return {
        "seconds_a_step": step,
        "seconds": around + step * told["max_steps"],
        "processes": told["expected_world_size"],
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "device_memory_mb": _device_memory_mb(),
    }


def _device_memory_mb() -> float | None:
    import torch

    return torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else None


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
