"""Claim: the de-noiser finds what is better on the frozen world of clicks, mockery or not.

    python -m benchmarks.denoiser_click_world --seeds 0 1 2 --worlds base all_mock_56

Writes each world by running the frozen file, reads nothing but the Parquet, fits, and scores
aspect overall with the file's own `score`. Prints one JSON document with the environment and
95 % intervals over seeds. Develop on seeds 0 to 19 only; 100 to 119 are for the final report.
"""

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.stats import rankdata, t

from pipelines.preferences import IntentFit, fit_intent, naive_scores
from pipelines.preferences.pairs import better_chance
from pipelines.signals import ExposureSettings, exposures

ROOT = Path(__file__).resolve().parents[1]
WORLDS = ("base", "all_mock_56", "heavy_mock_80", "reversed_signals")
Figures = dict[str, float]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--worlds", nargs="+", default=list(WORLDS))
    chosen = parser.parse_args(arguments)
    data = Path(os.environ.get("FLYWHEEL_DATA", ROOT / "../shared/data"))
    file = data.parent / "worlds" / "click_world.py"
    if not file.exists():
        sys.exit(f"no frozen world at {file}; set FLYWHEEL_DATA to the data folder beside worlds/")
    world = load_world(file)
    report: dict[str, object] = {"claim": "denoiser_click_world", "environment": environment()}
    report["seeds"] = chosen.seeds
    for name in chosen.worlds:
        runs = []
        for seed in chosen.seeds:
            print(f"{name}, seed {seed} ...", file=sys.stderr)
            runs.append(measure(world, file, name, seed))
        report[name] = {arm: summary([run[arm] for run in runs]) for arm in runs[0]}
    print(json.dumps(report, indent=1))


def measure(world: ModuleType, file: Path, name: str, seed: int) -> dict[str, Figures]:
    """Return figures by arm: ours, without annotations, and likes plus downloads."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(file), "--out", folder, "--seed", str(seed), "--world", name]
        subprocess.run(command, check=True)
        names = ("events", "generations", "annotations", "gold", "truth", "users_truth")
        tables = {n: pq.read_table(Path(folder) / f"{n}.parquet") for n in names}
    started = time.perf_counter()
    # Nobody is held out: the claim is about these pairs, not about transfer to other users.
    shown = exposures(
        tables["events"], tables["generations"], settings=ExposureSettings(heldout_users=0.0)
    ).table
    read = time.perf_counter()
    generations = tables["generations"]
    ours = fit_intent(shown, tables["annotations"], generations=generations, gold=tables["gold"])
    fitted = time.perf_counter()
    silent = fit_intent(shown, None, generations=generations)
    figures = score_fit(world, ours, tables) | {
        "exposures_s": read - started,
        "fit_s": fitted - read,
        "iterations": float(ours.iterations),
        "converged": float(ours.converged),
        "anchored": float(ours.prior == "anchored"),
    }
    return {
        "ours": figures,
        "no_annotations": score_fit(world, silent, tables),
        "likes_and_downloads": score_naive(world, shown, tables),
    }


def score_fit(world: ModuleType, fit: IntentFit, tables: Mapping[str, pa.Table]) -> Figures:
    """Return the world's own score of every same-prompt pair, and the mocker AUC."""
    place = {name: n for n, name in enumerate(fit.generation_ids)}
    order = [place[name] for name in tables["truth"]["generation_id"].to_pylist()]
    chances = fit.posterior[order]
    truth = {"quality": tables["truth"]["quality"].to_numpy()}
    a, b = world.same_prompt_pairs(truth)
    figures: Figures = world.score(truth, better_chance(chances[a], chances[b]))
    people = tables["users_truth"]
    mocks = dict(zip(people["user_id"].to_pylist(), people["mocker"].to_pylist(), strict=True))
    known = np.array([mocks[user] for user in fit.users], dtype=bool)
    return figures | {"mocker_auc": area_under_curve(fit.user_mock_share, known)}


def score_naive(world: ModuleType, shown: pa.Table, tables: Mapping[str, pa.Table]) -> Figures:
    """Return the score of choosing by likes and downloads per impression (always sure)."""
    scores = naive_scores(shown)
    value = dict(zip(scores["generation_id"].to_pylist(), scores["score"].to_pylist(), strict=True))
    names = tables["truth"]["generation_id"].to_pylist()
    score = np.array([value.get(name, 0.0) for name in names])
    truth = {"quality": tables["truth"]["quality"].to_numpy()}
    a, b = world.same_prompt_pairs(truth)
    sure = 0.5 + 0.5 * np.sign(score[a] - score[b])
    figures: Figures = world.score(truth, sure)
    return {"accuracy": figures["accuracy"], "worst": figures["worst"]}


def area_under_curve(score: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Return the chance that a positive scores above a negative; ties count half."""
    ones, zeros = positive.sum(), (~positive).sum()
    ranks = rankdata(score)[positive].sum()
    return float((ranks - ones * (ones + 1) / 2) / (ones * zeros))


def summary(runs: Sequence[Figures]) -> dict[str, dict[str, float | None]]:
    """Return mean and 95 % t-interval over seeds (null for a single seed) by figure."""
    found: dict[str, dict[str, float | None]] = {}
    for name in runs[0]:
        values = np.array([run[name] for run in runs], dtype=float)
        half = (
            float(t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
            if len(values) > 1
            else None
        )
        found[name] = {
            "mean": round(float(values.mean()), 4),
            "half_width": None if half is None else round(half, 4),
        }
    return found


def environment() -> dict[str, object]:
    """Return what a reader needs to judge the times."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "versions": {name: version(name) for name in ("numpy", "numba", "duckdb", "pyarrow")},
    }


def load_world(file: Path) -> ModuleType:
    """Import the frozen file from where it lies."""
    spec = importlib.util.spec_from_file_location("click_world", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
