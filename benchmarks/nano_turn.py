"""Claim: a nano turn of the wheel takes less than 10 seconds once everything is imported.

    python -m benchmarks.nano_turn

Turns one nano wheel to import and warm up, which is not counted, then one wheel of each seed, a
turn each, in the same process: wall clock, CPU seconds of the process, and where the time went.
Run it on an idle machine: the seconds of a busy one say how busy it was.
"""

import argparse
import json
import os
import platform
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipelines.demo import DemoOptions, demo_settings
from pipelines.settings import write_resolved
from pipelines.wheel import turn_wheel

WALL = 10.0  # seconds a turn may take
CPU = 8.5  # CPU seconds that leave room for a slower disk


def turned(root: Path, seed: int) -> dict[str, Any]:
    """Turn a nano wheel of *seed* once under *root*; return what it cost."""
    settings = demo_settings(DemoOptions(nano=True)).model_copy(update={"seed": seed})
    write_resolved(settings, root)
    wall, cpu = time.perf_counter(), time.process_time()
    turn_wheel(root, turns=1, deliveries=None, say=lambda stage, **told: None)
    cost = {
        "seed": seed,
        "wall_seconds": round(time.perf_counter() - wall, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
    }
    outcome = json.loads((root / "outcomes" / "turn-001.json").read_text("utf-8"))
    steps = sorted(outcome["seconds"].items(), key=lambda step: -step[1])
    return cost | {"longest_steps": dict(steps[:8])}


def main() -> None:
    """Turn, measure, and print JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, action="append", help="default: 7, 8 and 9")
    seeds = parser.parse_args().seed or [7, 8, 9]
    torch.set_num_threads(1)  # as wheels do: the same sums in the same order
    with tempfile.TemporaryDirectory() as folder:
        warming = turned(Path(folder) / "warming", min(seeds) + 1000)
        turns = [turned(Path(folder) / str(seed), seed) for seed in seeds]
    walls, cpus = ([turn[f"{what}_seconds"] for turn in turns] for what in ("wall", "cpu"))
    result = {
        "claim": (__doc__ or "").splitlines()[0],
        "simulated": True,
        "bars": {
            "wall_seconds": {"bar": WALL, "worst": max(walls), "met": max(walls) <= WALL},
            "cpu_seconds": {"bar": CPU, "worst": max(cpus), "met": max(cpus) <= CPU},
        },
        "mean": {
            "wall_seconds": round(float(np.mean(walls)), 2),
            "cpu_seconds": round(float(np.mean(cpus)), 2),
        },
        "turns": turns,
        "first_turn_with_imports": {k: warming[k] for k in ("wall_seconds", "cpu_seconds")},
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "environment": {
            "cores": os.cpu_count(),
            "load_before_and_after": [round(os.getloadavg()[2], 2), round(os.getloadavg()[0], 2)],
            "machine": platform.machine(),
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
    }
    json.dump(result, sys.stdout, indent=2, sort_keys=True)
    print()


if __name__ == "__main__":
    main()
