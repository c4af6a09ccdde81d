"""Claim: one seed gives one wheel: identical tables, snapshots, checkpoints and figures.

    python -m benchmarks.identical_wheels --seed 7

Turns the wheel *ours* at the demo's size twice, then once more on the same deliveries with their
rows in reversed order, and compares everything that the catalogue points at and every figure of
the outcomes. Clocks and seconds are left out.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.demo import DemoOptions, demo_settings
from pipelines.inbox import Inbox
from pipelines.settings import WheelSettings, write_resolved
from pipelines.stores import open_stores

_ROWS = ("events", "generations", "prompts")


def turned(root: Path, turns: int) -> None:
    """Turn the wheel under *root* in a process of its own."""
    command = [sys.executable, "-m", "pipelines.wheel", str(root), "--turns", str(turns)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def stands(root: Path) -> dict[str, str]:
    """Return what every asset stands at; raw events keep the place of each row in its file."""
    pointers = open_stores(root).catalogue.pointers()
    return {k: v for k, v in pointers.items() if not k.startswith("traces/raw_events")}


def figures(root: Path) -> dict[str, Any]:
    """Return the outcomes' figures, without seconds."""
    return {
        file.stem: {k: v for k, v in json.loads(file.read_text()).items() if k != "seconds"}
        for file in sorted((root / "outcomes").glob("turn-*.json"))
    }


def reverse_deliveries(source: Path, target: Path) -> None:
    """Copy the deliveries of the wheel *source* to *target*, every table's rows reversed."""
    for turn in Inbox(source).turns():
        shutil.copytree(Inbox(source).folder(turn), Inbox(target).folder(turn))
        for name in _ROWS:
            file = Inbox(target).folder(turn) / f"{name}.parquet"
            table = pq.read_table(file)
            pq.write_table(table.take(pa.array(range(table.num_rows - 1, -1, -1))), file)


def differing(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """Name what the two do not have in common."""
    return sorted(k for k in first.keys() | second.keys() if first.get(k) != second.get(k))


def compare(root: Path, settings: WheelSettings, turns: int) -> dict[str, Any]:
    """Turn three wheels under *root* and return what differs."""
    once, again, back = (root / name for name in ("once", "again", "reversed"))
    for wheel in (once, again, back):
        shutil.rmtree(wheel, ignore_errors=True)
        write_resolved(settings, wheel)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda wheel: turned(wheel, turns), (once, again)))
    reverse_deliveries(once, back)
    turned(back, turns)
    return {
        "pointers": len(stands(once)),
        "checkpoints": len(open_stores(once).checkpoints.ids()),
        **{
            name: {
                "differing_pointers": differing(stands(once), stands(other)),
                "differing_figures": differing(figures(once), figures(other)),
            }
            for name, other in (("second_run", again), ("reversed_rows", back))
        },
    }


def main() -> None:
    """Turn, compare, and print JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--root", type=Path, default=Path(".flywheel/identical"))
    parser.add_argument("--nano", action="store_true", help="the smallest wheel: seconds")
    told = parser.parse_args()
    settings = demo_settings(DemoOptions(nano=told.nano)).model_copy(update={"seed": told.seed})
    result = {
        "claim": (__doc__ or "").splitlines()[0],
        "simulated": True,
        "seed": told.seed,
        "turns": told.turns,
        **compare(told.root, settings, told.turns),
        "environment": {
            "cores": os.cpu_count(),
            "machine": platform.machine(),
            "python": platform.python_version(),
        },
    }
    json.dump(result, sys.stdout, indent=2, sort_keys=True)
    print()


if __name__ == "__main__":
    main()
