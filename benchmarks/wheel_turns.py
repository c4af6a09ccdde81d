"""Claim: in the simulated studio, two turns of our wheel beat every arm that learns otherwise.

    python -m benchmarks.wheel_turns --seed 101 --seed 102 --seed 103

Turns every arm's wheel for every seed (hours on two cores), writes the report, and prints the
bars of the claim as JSON with the environment. All figures are simulated.
"""

import argparse
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from pipelines.demo import ALL_ARMS, DemoOptions, run_demo

GAIN = 10.0  # points of overall quality that ours must lie above base, naive and SFT only
VALIDITY = 0.01  # share by which unconstrained validity may fall
DIVERSITY = 0.10  # share of the base's diversity that may be lost


def bars(demo: dict[str, Any]) -> dict[str, Any]:
    """Hold a demo's figures against the claim's bars."""
    found: dict[str, Any] = {}
    for row in demo["comparisons"]:
        if row["aspect"] == "overall":
            name = f"{row['arm']} over {row['against']}"
            found[name] = {k: row[k] for k in ("difference", "low", "high")}
    for against in ("base", "naive", "sft_only"):
        row = found.get(f"ours over {against}")
        if row:
            row["bar"] = f">= {GAIN:g}, interval excludes 0"
            row["met"] = row["difference"] >= GAIN and row["low"] > 0
    shuffled = found.get("shuffled over base")
    if shuffled:
        shuffled["bar"] = "no gain"
        shuffled["met"] = shuffled["low"] <= 0
    base, ours = (_last(demo, name) for name in ("base", "ours"))
    validity = ours["validity"]["share"] - base["validity"]["share"]
    diversity = ours["diversity"]["value"] / base["diversity"]["value"] - 1
    found["validity"] = {"change": validity, "bar": -VALIDITY, "met": validity >= -VALIDITY}
    found["diversity"] = {"change": diversity, "bar": -DIVERSITY, "met": diversity >= -DIVERSITY}
    return found


def _turns(demo: dict[str, Any]) -> dict[str, Any]:
    """Return what each arm reached by turn and seed, and over all seeds, with intervals."""
    kept = ("turn", "seed", "released", "quality", "validity", "diversity")
    return {
        arm["name"]: [{k: turn[k] for k in kept if k in turn} for turn in arm["turns"]]
        for arm in demo["arms"]
    }


def _last(demo: dict[str, Any], name: str) -> dict[str, Any]:
    """Return an arm's last turn, over all seeds where there are several."""
    (arm,) = (arm for arm in demo["arms"] if arm["name"] == name)
    turns = arm["turns"]
    pooled = [t for t in turns if "seed" not in t] or turns
    last: dict[str, Any] = max(pooled, key=lambda t: t["turn"])
    return last


def main() -> None:
    """Turn the wheels and print the bars."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, action="append", required=True)
    parser.add_argument("--root", type=Path, default=Path(".flywheel/bench"))
    parser.add_argument("--reports", type=Path, default=Path("reports/wheel_turns"))
    parser.add_argument(
        "--arm", action="append", choices=ALL_ARMS, help="only these; base and ours are needed"
    )
    parser.add_argument(
        "--parallel", type=int, default=2, metavar="WHEELS", help="turned at once, a core each"
    )
    parser.add_argument("--films", action="store_true", help="a studio of films, not of pictures")
    parser.add_argument("--settings", type=Path, help="TOML; what it leaves out has its default")
    told = parser.parse_args()
    options = DemoOptions(
        root=told.root,
        reports=told.reports,
        seeds=told.seed,
        arms=tuple(told.arm or ALL_ARMS),
        parallel=told.parallel,
        films=told.films,
        settings=told.settings,
    )
    page = run_demo(options)
    demo = json.loads(page.with_suffix(".json").read_text("utf-8"))
    result = {
        "claim": (__doc__ or "").splitlines()[0],
        "simulated": True,
        "media": "films" if demo["settings"]["studio"]["modality"] == "video" else "pictures",
        "seeds": told.seed,
        "turns": _turns(demo),
        "bars": bars(demo),
        "wall_seconds": demo["wall_seconds"],
        "memory_peak_mb": demo["memory_peak_mb"],
        "environment": {
            "cores": os.cpu_count(),
            "machine": platform.machine(),
            "python": platform.python_version(),
        },
    }  # fmt: skip
    json.dump(result, sys.stdout, indent=2, sort_keys=True)
    print()


if __name__ == "__main__":
    main()
