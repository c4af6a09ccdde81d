"""Gathers what every arm's wheel left behind into the content of reports/demo.json."""

import importlib.metadata
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from data_contracts.errors import FlywheelError
from pipelines.settings import WheelSettings

Floats = npt.NDArray[np.float64]
Wheels = Sequence[tuple[str, int, Path]]  # arm, seed, folder

_COMPARED: Final = (
    ("ours", "base"), ("ours", "naive"), ("ours", "sft_only"), ("ours", "explicit_only"),
    ("ours", "oracle"), ("naive", "base"), ("sft_only", "base"), ("explicit_only", "base"),
    ("shuffled", "base"), ("oracle", "base"),
)  # fmt: skip
_RESAMPLES: Final = 4000
_LIBRARIES: Final = ("dagster", "torch", "transformers", "trl", "duckdb", "pyarrow", "deltalake")


def demo_figures(
    wheels: Wheels,
    *,
    settings: WheelSettings,
    turns: int,
    memory_peak_mb: float,
    wall_seconds: float,
    command: str,
) -> dict[str, Any]:
    """Return the content of demo.json (see `pipelines.report.model`).

    Args:
        wheels: arm, seed and folder of every wheel that was turned.
        settings: that all arms share.
        turns: how often each turned.
        memory_peak_mb: of the whole process tree.
        wall_seconds: of the whole demo.
        command: that makes it again.
    """
    outcomes = {(arm, seed): _outcomes(root, arm, turns) for arm, seed, root in wheels}
    names = list(dict.fromkeys(arm for arm, _, _ in wheels))
    seeds = sorted({seed for _, seed, _ in wheels})
    every = [(arm, seed, o) for (arm, seed), found in outcomes.items() for o in found]
    return {
        "format": 1,
        "simulated": True,
        "seeds": seeds,
        "mockery": settings.studio.mockery,
        "settings": settings.model_dump(mode="json"),
        "environment": {"cores": os.cpu_count(), "versions": _versions()},
        "command": command,
        "arms": [{"name": name, "turns": _turns(name, seeds, outcomes)} for name in names],
        "comparisons": _comparisons(names, seeds, outcomes),
        "pictures": _pictures(names, seeds[0], outcomes),
        "intents": [
            {"arm": arm, "seed": seed, "turn": o["turn"], **o["intents"]}
            for arm, seed, o in every
            if "intents" in o and seed == seeds[0]
        ],
        "drops": [
            {"arm": arm, "seed": seed, "turn": o["turn"], **row}
            for arm, seed, o in every
            for row in o.get("drops", [])
        ],
        "agreement": [
            {"arm": arm, "seed": seed, "turn": o["turn"], **row}
            for arm, seed, o in every
            for row in o.get("agreement", [])
        ],
        "skills": _skills(every),
        "curves": [
            curve for arm, seed, o in every if seed == seeds[0] for curve in _curves(arm, seed, o)
        ],
        "time": [
            {"arm": arm, "seed": seed, "turn": o["turn"], "stage": stage, "seconds": seconds}
            for arm, seed, o in every
            for stage, seconds in _stages(o.get("seconds", {})).items()
        ],
        "memory_peak_mb": round(memory_peak_mb, 1),
        "wall_seconds": wall_seconds,
    }


def _outcomes(root: Path, arm: str, turns: int) -> list[dict[str, Any]]:
    numbers = [0] if arm == "base" else range(1, turns + 1)
    found = []
    for number in numbers:
        file = root / "outcomes" / f"turn-{number:03d}.json"
        if not file.is_file():
            raise FlywheelError(f"{root.name} has no outcome of turn {number}; run the demo again")
        found.append(json.loads(file.read_text("utf-8")))
    return found


Outcomes = dict[tuple[str, int], list[dict[str, Any]]]


def _turns(name: str, seeds: Sequence[int], outcomes: Outcomes) -> list[dict[str, Any]]:
    """One row a turn and seed, and for several seeds one row a turn over all of them."""
    rows = [
        _measures([o]) | _decisions(o) | {"seed": seed}
        for seed in seeds
        for o in outcomes[name, seed]
    ]
    if len(seeds) > 1:
        by_turn = zip(*(outcomes[name, seed] for seed in seeds), strict=True)
        rows += [_measures(list(same)) for same in by_turn]
    return rows


def _measures(same_turn: list[dict[str, Any]]) -> dict[str, Any]:
    """Quality, validity and diversity of one turn, over the seeds given."""
    overall = [np.array(o["overall"]) for o in same_turn]
    quality = {"overall": _named(_bootstrap([o.mean(1) for o in overall]))}
    for aspect in same_turn[0]["aspects"]:
        by_prompt = [np.array(o["aspects"][aspect]).mean(1) for o in same_turn]
        quality[aspect] = _named(_bootstrap(by_prompt))
    row: dict[str, Any] = {"turn": same_turn[0]["turn"], "quality": quality}
    if all("valid" in o for o in same_turn):
        valid = [np.array(o["valid"], float) for o in same_turn]
        mean, low, high = _bootstrap(valid)
        row["validity"] = {
            "share": mean, "low": low, "high": high, "samples": sum(map(len, valid)),
        }  # fmt: skip
        if all(o["distances"] for o in same_turn):
            mean, low, high = _bootstrap([np.array(o["distances"]) for o in same_turn])
            row["diversity"] = {"value": mean, "low": low, "high": high}
    return row


def _decisions(outcome: dict[str, Any]) -> dict[str, Any]:
    return {name: outcome[name] for name in ("released", "gate", "checkpoint") if name in outcome}


def _comparisons(
    names: Sequence[str], seeds: Sequence[int], outcomes: Outcomes
) -> list[dict[str, Any]]:
    """Compare arms at their last turn, paired by prompt and seed."""
    found = []
    for arm, against in _COMPARED:
        if arm not in names or against not in names:
            continue
        for aspect in ("overall", *outcomes[arm, seeds[0]][-1]["aspects"]):
            gaps = [
                _by_prompt(outcomes[arm, seed][-1], aspect)
                - _by_prompt(outcomes[against, seed][-1], aspect)
                for seed in seeds
            ]
            mean, low, high = _bootstrap(gaps)
            found.append(
                {
                    "arm": arm,
                    "against": against,
                    "aspect": aspect,
                    "turn": outcomes[arm, seeds[0]][-1]["turn"],
                    "difference": mean,
                    "low": low,
                    "high": high,
                    "prompts": len(gaps[0]),
                    "seeds": list(seeds),
                }
            )
    return found


def _skills(every: Sequence[tuple[str, int, dict[str, Any]]]) -> list[dict[str, Any]]:
    """What each arm drew under each skill, and under none; a row a turn and seed."""
    return [
        {
            "arm": arm,
            "seed": seed,
            "turn": outcome["turn"],
            "skill_id": row["skill_id"],
            "prompts": len(row["overall"]),
            "quality": _named(_bootstrap([np.array(row["overall"]).mean(1)])),
            "followed": {
                name: _named(_bootstrap([np.array(values).mean(1)]))
                for name, values in row["followed"].items()
            },
        }
        for arm, seed, outcome in every
        for row in outcome.get("skills", [])
    ]


def _by_prompt(outcome: dict[str, Any], aspect: str) -> Floats:
    values = outcome["overall"] if aspect == "overall" else outcome["aspects"][aspect]
    by_prompt: Floats = np.array(values).mean(1)
    return by_prompt


def _bootstrap(by_seed: Sequence[Floats]) -> tuple[float, float, float]:
    """Mean and 95 % interval, resampling seeds, and values within each drawn seed."""
    rng = np.random.default_rng(0)
    size, width = len(by_seed), max(map(len, by_seed))
    seeds = rng.integers(size, size=(_RESAMPLES, size))
    inner = np.empty((_RESAMPLES, size))
    for s, values in enumerate(by_seed):
        for column in range(size):
            here = np.flatnonzero(seeds[:, column] == s)
            for part in np.array_split(here, max(len(here) * width // 4_000_000, 1)):
                picks = rng.integers(len(values), size=(len(part), len(values)))
                inner[part, column] = values[picks].mean(1)
    means = inner.mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    mean = float(np.mean([v.mean() for v in by_seed]))
    return round(mean, 6), round(float(low), 6), round(float(high), 6)


def _named(interval: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip(("mean", "low", "high"), interval, strict=True))


def _pictures(names: Sequence[str], seed: int, outcomes: Outcomes) -> list[dict[str, Any]]:
    last = {name: outcomes[name, seed][-1]["pictures"] for name in names}
    return [
        {
            "prompt": shown["prompt"],
            "arms": [
                {"name": n, "images": last[n][i]["images"], "overall": last[n][i]["overall"]}
                for n in names
            ],
        }
        for i, shown in enumerate(last[names[0]])
    ]


def _curves(arm: str, seed: int, outcome: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "arm": arm,
            "seed": seed,
            "turn": outcome["turn"],
            "stage": stage,
            "metric": metric,
            "steps": [p[0] for p in points],
            "values": [p[1] for p in points],
        }
        for stage, curves in outcome.get("curves", {}).items()
        for metric, points in curves.items()
        if metric in ("loss", "accuracy", "margin", "margins")
    ]


_GROUPS: Final = {
    "serve": "sampling", "sft_policy": "SFT", "dpo_policy": "DPO",
    "reward_model": "reward model", "aspect_model": "reward model", "policy_report": "gate",
    "inferred_preferences": "de-noising",
}  # fmt: skip


def _stages(seconds: dict[str, float]) -> dict[str, float]:
    stages: dict[str, float] = {}
    for step, spent in seconds.items():
        name = _GROUPS.get(step.split("__")[-1], "tables")
        stages[name] = round(stages.get(name, 0.0) + spent, 2)
    return stages


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in _LIBRARIES}
