"""Claim: `flywheel denoise` takes 100,000 events a second from Parquet to pairs, however many.

    python -m benchmarks.denoise_speed --out benchmarks/results/denoise_speed.json

Draws the frozen world of clicks in several sizes: users, prompts, impressions and answers grow
together, so that each generation is seen and each user acts as often as in the base world. Each is
de-noised in memory by `flywheel denoise --all-pairs --gold` in a process of its own, to the fit's
own tolerance. That process de-noises the smallest world first, which imports what is needed and
compiles kernels or loads them: reported apart. The exponent is that of CPU seconds against events,
by least squares in logs, from the smallest size to the largest; without the time that the smallest
takes beside it, which is mostly the page's charts and a fixed number of queries.

CPU seconds are of the whole process, with the page and its charts. Wall seconds hold whatever else
runs on the machine; the load is reported with every size.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow.parquet as pq

from benchmarks.denoiser_click_world import code_version, environment, find_world, load_world

Figures = dict[str, float]
# The base world, and how much of it makes an event.
IMPRESSIONS, PROMPTS, USERS, AN_EVENT = 400_000, 5000, 5000, 1.52e-6
# De-noises the first folder, then the second; the first word is where to write what it took.
CHILD = """
import json, re, sys, time
from pathlib import Path
begun = time.process_time()
from pipelines.cli import run
def denoise(folder):
    words = ["denoise", "--all-pairs", "--out", f"{folder}/out"]
    for name in ("events", "generations", "annotations", "gold"):
        words += ["--" + name, f"{folder}/{name}.parquet"]
    started = time.process_time(), time.perf_counter()
    if code := run(words):
        sys.exit(code)
    return time.process_time() - started[0], time.perf_counter() - started[1]
first, _ = denoise(sys.argv[2])
warm_up = time.process_time() - begun
cpu, wall = denoise(sys.argv[3])
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
json.dump({"cpu_s": cpu, "wall_s": wall, "warm_up_cpu_s": warm_up, "peak_bytes": peak * 1024},
    open(sys.argv[1], "w"))
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--scratch", type=Path, help="Keep worlds here, and use those that lie here."
    )
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args(arguments)
    report: dict[str, object] = {
        "claim": "denoise_speed",
        "environment": environment() | {"code": code_version()},
        "seed": chosen.seed,
    }
    world = load_world(find_world())
    sizes: list[Figures] = []
    with tempfile.TemporaryDirectory() as made:
        kept = chosen.scratch or Path(made)
        folders = [drawn(world, kept, size, chosen.seed) for size in sorted(chosen.events)]
        for folder in folders:
            print(f"{folder.name} ...", file=sys.stderr, flush=True)
            sizes.append(measured(folders[0], folder))
            report |= {"sizes": sizes, **concluded(sizes)}
            if chosen.out:
                chosen.out.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    print(json.dumps(report, indent=1))


def drawn(world: ModuleType, kept: Path, events: int, seed: int) -> Path:
    """Return the folder of a world of about so many *events*; it is drawn where it is missing."""
    folder = kept / f"{events}-events-seed-{seed}"
    if not (folder / "gold.parquet").exists():
        part = events * AN_EVENT
        found = world.world(
            seed=seed, imp=int(IMPRESSIONS * part), n_prompt=int(PROMPTS * part),
            n_user=int(USERS * part),
        )  # fmt: skip
        world.write(found, folder, seed)
    return folder


def measured(smallest: Path, folder: Path) -> Figures:
    """De-noise *folder* in a process of its own that has de-noised *smallest* before."""
    said = folder / "said.json"
    began = round(os.getloadavg()[0], 2)
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", CHILD, str(said), str(smallest), str(folder)],
        check=True, stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    took: Figures = json.loads(said.read_text("utf-8"))
    rows = pq.ParquetFile(folder / "events.parquet").metadata.num_rows
    report = json.loads((folder / "out" / "report.json").read_text("utf-8"))
    return {
        "events": rows,
        "events_per_cpu_s": round(rows / took["cpu_s"]),
        "events_per_wall_s": round(rows / took["wall_s"]),
        **{name: round(value, 2) for name, value in took.items()},
        "process_wall_s": round(time.perf_counter() - started, 2),
        "exposures": report["rows"]["exposures"],
        "generations": report["rows"]["generations"],
        "pairs": pq.ParquetFile(folder / "out" / "pairs.parquet").metadata.num_rows,
        "iterations": report["fit"]["iterations"],
        "converged": report["fit"]["converged"],
        "load_before": began,
        "load_after": round(os.getloadavg()[0], 2),
    } | {f"wall_s {name}": seconds for name, seconds in report["seconds"].items()}


def concluded(sizes: Sequence[Figures]) -> dict[str, object]:
    """Return whether the claim holds, and how time grows with events."""
    found: dict[str, object] = {
        "met_per_cpu_s": all(size["events_per_cpu_s"] >= 100_000 for size in sizes[1:] or sizes),
        "met_per_wall_s": all(size["events_per_wall_s"] >= 100_000 for size in sizes[1:] or sizes),
    }
    if len(sizes) > 1:
        logs = np.log([[size["events"], size["cpu_s"]] for size in sizes])
        found["exponent_cpu"] = round(float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0]), 3)
        last = logs[-2:]
        found["exponent_cpu_last_two"] = round(
            float((last[1, 1] - last[0, 1]) / (last[1, 0] - last[0, 0])), 3
        )
    return found


if __name__ == "__main__":
    main()
