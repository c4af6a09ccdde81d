"""Claim: the de-noiser finds what is better on the frozen world of clicks, mockery or not.

    python -m benchmarks.denoiser_click_world --seeds 0 1 2 --worlds base all_mock_56 --out FILE

Writes each world by the frozen file, runs `flywheel denoise --all-pairs --gold` on its Parquet
(in this process: times hold no start of Python), and scores aspect overall with the file's own
`score`. Beside it: likes plus downloads, ridge from signal rates to ratings, and in some worlds
the same model without intents, without anchoring or without annotations. Differences are paired
by seed; intervals are 95 % t-intervals over seeds. Develop on seeds 0 to 19 only; 100 to 119 are
for the final report. Every run is kept in a file of its own, so a stopped benchmark goes on where
it was; the report says which runs are missing and which code made each.
"""

import argparse
import contextlib
import importlib.util
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.stats import rankdata, t

from benchmarks.click_world_arms import (
    Figures,
    likes_and_downloads,
    no_intent,
    ridge,
    score_values,
    without_anchoring,
)
from pipelines.cli import run
from pipelines.denoising import DenoiseSettings
from pipelines.signals import ExposureSettings, exposures

ROOT = Path(__file__).resolve().parents[1]
# To reach on seeds 100 to 119: accuracy, worst decile (at least), calibration error (at most),
# mocker AUC (at least).
BARS: dict[str, tuple[float | None, ...]] = {
    "base": (83.2, 98.0, 1.8, 0.99),
    "heavy_mock_80": (82.3, 98.0, 1.5, 0.98),
    "all_mock_56": (80.0, 97.0, 2.5, 0.93),
    "sparse": (64.0, 76.0, 2.0, 0.84),
    "adversarial_annotators_60": (82.9, 97.8, 2.0, None),
    "sparse_adversarial": (None, None, None, None),
    "reversed_signals": (75.0, 91.0, 2.0, None),
}
WITHOUT_INTENT = {"base"}
WITHOUT_ANCHORING = {"reversed_signals"}
WITHOUT_ANNOTATIONS = {"sparse_adversarial"}
# Differences that must lie above zero with their whole interval.
ABOVE = {
    "base": ("ridge", "no_intent"),
    "sparse_adversarial": ("no_annotations",),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    run_worlds("denoiser_click_world", __doc__, measure, conclude, arguments)


def run_worlds(
    claim: str,
    about: str | None,
    measure: Callable[[ModuleType, str, int], dict[str, Figures]],
    conclude: Callable[[str, Sequence[Mapping[str, Figures]]], dict[str, object]],
    arguments: Sequence[str] | None,
) -> None:
    """Measure every world and seed that was not measured yet, conclude, and print."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0] if about else None)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--worlds", nargs="+", default=list(BARS), choices=list(BARS))
    parser.add_argument("--out", type=Path, help="Write the JSON here as well, world by world.")
    parser.add_argument("--runs", type=Path, default=ROOT / "reports" / claim)
    parser.add_argument("--only-conclude", action="store_true", help="Run nothing that is missing.")
    chosen = parser.parse_args(arguments)
    world = load_world(find_world())
    report: dict[str, object] = {"claim": claim, "environment": environment()}
    report["seeds"] = chosen.seeds
    for name in chosen.worlds:
        runs = {}
        for seed in chosen.seeds:
            kept = chosen.runs / f"{name}-{seed}.json"
            if not kept.exists() and not chosen.only_conclude:
                print(f"{name}, seed {seed} ...", file=sys.stderr, flush=True)
                made = {"code": code_version(), "arms": measure(world, name, seed)}
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_text(json.dumps(made, indent=1) + "\n", "utf-8")
            if kept.exists():
                runs[seed] = json.loads(kept.read_text("utf-8"))
        report[name] = {
            "missing_seeds": [seed for seed in chosen.seeds if seed not in runs],
            "code": sorted({run["code"] for run in runs.values()}),
        }
        if runs:
            arms = [run["arms"] for run in runs.values()]
            report[name] = {**report[name], **conclude(name, arms), "by_seed": by_seed(runs)}
        if chosen.out:
            chosen.out.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    print(json.dumps(report, indent=1))


def measure(world: ModuleType, name: str, seed: int) -> dict[str, Figures]:
    """Return figures by arm: the command's, and those it is compared with."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        world.write(world.world(seed=seed, **world.WORLDS[name]), folder, seed)
        ours = denoised(world, folder, folder / "annotations.parquet", folder / "gold.parquet")
        figures = {"ours": ours}
        if name in WITHOUT_ANNOTATIONS:
            figures["no_annotations"] = unanswered(world, folder)
        tables = tables_in(folder)
    return figures | other_arms(world, name, tables, tables["annotations"])


def unanswered(world: ModuleType, folder: Path) -> Figures:
    """Run the command as if nobody had been asked."""
    none = folder / "none.parquet"
    pq.write_table(pq.read_table(folder / "annotations.parquet").slice(0, 0), none)
    return denoised(world, folder, none, None)


def tables_in(folder: Path) -> dict[str, pa.Table]:
    """Return what the arms are given, and the truth that they are scored by."""
    names = ("events", "generations", "annotations", "gold", "truth")
    return {name: pq.read_table(folder / f"{name}.parquet") for name in names}


def other_arms(
    world: ModuleType, name: str, tables: dict[str, pa.Table], ratings: pa.Table
) -> dict[str, Figures]:
    """Return the figures of the arms that the command is compared with; ridge learns *ratings*."""
    # Nobody is held out: the claim is about these pairs, not about transfer to other users.
    shown = exposures(
        tables["events"], tables["generations"], settings=ExposureSettings(heldout_users=0.0)
    ).table
    figures = {
        "likes_and_downloads": score_values(world, likes_and_downloads(shown), tables),
        "ridge": score_values(world, ridge(shown, ratings), tables),
    }
    intent = DenoiseSettings().intent
    if name in WITHOUT_INTENT:
        figures["no_intent"] = no_intent(world, shown, tables, intent)
    if name in WITHOUT_ANCHORING:
        figures["without_anchoring"] = without_anchoring(world, shown, tables, intent)
    return figures


def denoised(world: ModuleType, folder: Path, annotations: Path, gold: Path | None) -> Figures:
    """Run the command and score the pairs and users it wrote."""
    out = folder / f"out-{annotations.stem}"
    words = ["--events", folder / "events.parquet", "--annotations", annotations]
    words += ["--generations", folder / "generations.parquet", "--all-pairs", "--out", out]
    words += ["--gold", gold] if gold else []
    started, spent = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        code = run(["denoise", *map(str, words)])
    if code:
        raise SystemExit(f"the command left with exit code {code}")
    wall, cpu = time.perf_counter() - started, time.process_time() - spent
    said = json.loads((out / "report.json").read_text("utf-8"))
    figures = score_pairs(world, pq.read_table(out / "pairs.parquet"), folder)
    return figures | {
        "mocker_auc": mocker_auc(pq.read_table(out / "users.parquet"), folder),
        "wall_s": wall,
        "cpu_s": cpu,
        "events_per_cpu_s": said["rows"]["events"] / cpu,
        "iterations": float(said["fit"]["iterations"]),
        "converged": float(said["fit"]["converged"]),
        "anchored": float(said["fit"]["prior"].startswith("anchored")),
        "temperature": float(said["calibration"]["temperature"]),
    }


def score_pairs(world: ModuleType, pairs: pa.Table, folder: Path) -> Figures:
    """Return the world's own score of every same-prompt pair, each of which must be there once."""
    names = pq.read_table(folder / "truth.parquet")["generation_id"].to_pylist()
    quality = pq.read_table(folder / "truth.parquet")["quality"].to_numpy()
    place = {name: n for n, name in enumerate(names)}
    chosen = np.array([place[name] for name in pairs["chosen_id"].to_pylist()])
    rejected = np.array([place[name] for name in pairs["rejected_id"].to_pylist()])
    a, b = world.same_prompt_pairs({"quality": quality})
    key = np.minimum(chosen, rejected) * len(names) + np.maximum(chosen, rejected)
    order = np.argsort(key)
    wanted = a * len(names) + b
    at = order[np.searchsorted(key[order], wanted)]
    if len(key) != len(wanted) or not np.array_equal(key[at], wanted):
        raise SystemExit("the command did not write every pair exactly once")
    likelier = pairs["probability"].to_numpy()[at]
    score: Figures = world.score(
        {"quality": quality}, np.where(chosen[at] == a, likelier, 1 - likelier)
    )
    return score


def mocker_auc(users: pa.Table, folder: Path) -> float:
    """Return the chance that a mocker's share lies above another user's; ties count half."""
    people = pq.read_table(folder / "users_truth.parquet")
    mocks = dict(zip(people["user_id"].to_pylist(), people["mocker"].to_pylist(), strict=True))
    positive = np.array([mocks[user] for user in users["user_id"].to_pylist()], dtype=bool)
    ones, zeros = positive.sum(), (~positive).sum()
    ranks = rankdata(users["mock_share"].to_numpy())[positive].sum()
    return float((ranks - ones * (ones + 1) / 2) / (ones * zeros))


def conclude(name: str, runs: Sequence[Mapping[str, Figures]]) -> dict[str, object]:
    """Return means, intervals, differences to the other arms, and which bars are met."""
    ours = {key: v["mean"] for key, v in summary([run["ours"] for run in runs]).items()}
    figures = ("accuracy", "worst", "ece", "mocker_auc")
    bars = {
        key: {
            "bar": bar,
            "mean": ours[key],
            "met": bool(ours[key] <= bar) if key == "ece" else bool(ours[key] >= bar),
        }
        for key, bar in zip(figures, BARS[name], strict=True)
        if bar is not None
    }
    return differences(runs, ABOVE.get(name, ())) | {"bars": bars}


def differences(runs: Sequence[Mapping[str, Figures]], above: Sequence[str]) -> dict[str, object]:
    """Return each arm's means, what ours is ahead of each, and whether surely of those *above*."""
    over = {
        arm: summary(
            [{k: run["ours"][k] - run[arm][k] for k in ("accuracy", "worst")} for run in runs]
        )
        for arm in runs[0]
        if arm != "ours"
    }
    return {
        "arms": {arm: summary([run[arm] for run in runs]) for arm in runs[0]},
        "ours_minus": over,
        "surely_above": {
            arm: over[arm]["accuracy"]["mean"] > over[arm]["accuracy"]["half_width"]
            for arm in above
        },
    }


def by_seed(
    runs: Mapping[int, Mapping[str, Mapping[str, Figures]]],
) -> dict[str, dict[str, list[float]]]:
    """Return accuracy, worst decile and calibration error of ours and each arm by seed."""
    return {
        str(seed): {
            arm: [round(found[k], 3) for k in ("accuracy", "worst", "ece") if k in found]
            for arm, found in run["arms"].items()
        }
        for seed, run in runs.items()
    }


def code_version() -> str:
    """Return the commit that measures, with a plus where files differ from it."""
    told = [
        subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False
        ).stdout
        for words in (("rev-parse", "--short=12", "HEAD"), ("status", "--porcelain"))
    ]
    return (told[0].strip() or "unknown") + ("+" if told[1].strip() else "")


def summary(runs: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Return mean and half-width of the 95 % t-interval over seeds by figure; 0 for one seed."""
    found: dict[str, dict[str, float]] = {}
    for name in runs[0]:
        values = np.array([run[name] for run in runs], dtype=float)
        wide = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) if len(values) > 1 else 0.0
        found[name] = {
            "mean": round(float(values.mean()), 4),
            "half_width": round(float(wide / np.sqrt(len(values))), 4),
        }
    return found


def environment() -> dict[str, object]:
    """Return what a reader needs to judge the times."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load_at_start": round(os.getloadavg()[0], 2),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "versions": {name: version(name) for name in ("numpy", "numba", "duckdb", "pyarrow")},
    }


def find_world() -> Path:
    """Return where the frozen file lies, or leave with a word about where it should."""
    data = Path(os.environ.get("FLYWHEEL_DATA", ROOT / "../shared/data"))
    file = data.parent / "worlds" / "click_world.py"
    if not file.exists():
        sys.exit(f"no frozen world at {file}; set FLYWHEEL_DATA to the data folder beside worlds/")
    return file


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
