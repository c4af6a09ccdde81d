"""Claim: the de-noiser finds what is better on the frozen world of clicks, mockery or not.

    python -m benchmarks.denoiser_click_world --seeds 0 1 2 --worlds base all_mock_56 --out FILE

Writes each world by the frozen file, runs `flywheel denoise --all-pairs --gold` on its Parquet
(in this process: times hold no start of Python), and scores aspect overall with the file's own
`score`. Beside it: likes plus downloads, ridge from signal rates to ratings, and in some worlds
the same model without intents or without annotations. Differences are paired by seed; intervals
are 95 % t-intervals over seeds. Develop on seeds 0 to 19 only; 100 to 119 are for the final
report.
"""

import argparse
import contextlib
import importlib.util
import io
import json
import os
import platform
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

from pipelines.cli import run
from pipelines.preferences import IntentSettings, fit_intent, naive_scores
from pipelines.preferences.click_model import ClickSettings
from pipelines.preferences.pairs import better_chance
from pipelines.signals import SIGNAL_NAMES, ExposureSettings, exposures, has_signal

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
WITHOUT_ANNOTATIONS = {"sparse_adversarial"}
Figures = dict[str, float]
FloatArray = NDArray[np.float64]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--worlds", nargs="+", default=list(BARS), choices=list(BARS))
    parser.add_argument("--out", type=Path, help="Write the JSON here as well, world by world.")
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
            print(f"{name}, seed {seed} ...", file=sys.stderr, flush=True)
            runs.append(measure(world, name, seed))
        report[name] = conclude(name, runs)
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
            none = folder / "none.parquet"
            pq.write_table(pq.read_table(folder / "annotations.parquet").slice(0, 0), none)
            figures["no_annotations"] = denoised(world, folder, none, None)
        names = ("events", "generations", "annotations", "gold", "truth")
        tables = {n: pq.read_table(folder / f"{n}.parquet") for n in names}
    # Nobody is held out: the claim is about these pairs, not about transfer to other users.
    shown = exposures(
        tables["events"], tables["generations"], settings=ExposureSettings(heldout_users=0.0)
    ).table
    figures["likes_and_downloads"] = score_values(world, likes_and_downloads(shown), tables)
    figures["ridge"] = score_values(world, ridge(shown, tables["annotations"]), tables)
    if name in WITHOUT_INTENT:
        figures["no_intent"] = no_intent(world, shown, tables)
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


def likes_and_downloads(shown: pa.Table) -> dict[str, float]:
    """Return likes plus downloads per impression, by generation."""
    scores = naive_scores(shown)
    return dict(zip(scores["generation_id"].to_pylist(), scores["score"].to_pylist(), strict=True))


def ridge(shown: pa.Table, annotations: pa.Table) -> dict[str, float]:
    """Return the mean rating that ridge regression foretells from an item's signal rates."""
    coded = shown["generation_id"].combine_chunks().dictionary_encode()
    index, names = coded.indices.to_numpy(), coded.dictionary.to_pylist()
    times = np.bincount(index, minlength=len(names))
    given = [
        np.bincount(index, weights=has_signal(shown, signal), minlength=len(names))
        for signal in SIGNAL_NAMES
    ]
    rates = np.stack([(g + g.sum() / times.sum()) / (times + 1) for g in given], axis=1)
    rates = (rates - rates.mean(axis=0)) / (rates.std(axis=0) + 1e-9)
    rated: dict[str, list[float]] = {}
    for row in annotations.select(["generation_id", "aspect", "value"]).to_pylist():
        if row["aspect"] == "overall":
            rated.setdefault(row["generation_id"], []).append(row["value"])
    known = [n for n, name in enumerate(names) if name in rated]
    aim = np.array([np.mean(rated[names[n]]) for n in known])
    inside = rates[known]
    weights = np.linalg.solve(
        inside.T @ inside + 10.0 * np.eye(inside.shape[1]), inside.T @ (aim - aim.mean())
    )
    return dict(zip(names, (rates @ weights).tolist(), strict=True))


def no_intent(world: ModuleType, shown: pa.Table, tables: Mapping[str, pa.Table]) -> Figures:
    """Return the score of the same fit when every user is taken to endorse, always."""
    clicks = ClickSettings(
        intent_shares=(1 - 2e-6, 1e-6, 1e-6), share_strength=1e12, user_strength=1e9
    )
    fit = fit_intent(
        shown, tables["annotations"], generations=tables["generations"], gold=tables["gold"],
        settings=IntentSettings(clicks=clicks),
    )  # fmt: skip
    place = {name: n for n, name in enumerate(fit.generation_ids)}
    order = [place[name] for name in tables["truth"]["generation_id"].to_pylist()]
    chances = fit.posterior[order]
    truth = {"quality": tables["truth"]["quality"].to_numpy()}
    a, b = world.same_prompt_pairs(truth)
    figures: Figures = world.score(truth, better_chance(chances[a], chances[b]))
    return figures


def score_values(
    world: ModuleType, value: Mapping[str, float], tables: Mapping[str, pa.Table]
) -> Figures:
    """Return the score of choosing the higher value, always surely."""
    names = tables["truth"]["generation_id"].to_pylist()
    middle = float(np.mean(list(value.values()))) if value else 0.0
    score = np.array([value.get(name, middle) for name in names])
    truth = {"quality": tables["truth"]["quality"].to_numpy()}
    a, b = world.same_prompt_pairs(truth)
    figures = world.score(truth, 0.5 + 0.5 * np.sign(score[a] - score[b]))
    return {"accuracy": figures["accuracy"], "worst": figures["worst"]}


def conclude(name: str, runs: Sequence[Mapping[str, Figures]]) -> dict[str, object]:
    """Return means, intervals, differences to the other arms, and which bars are met."""
    arms = {arm: summary([run[arm] for run in runs]) for arm in runs[0]}
    over = {
        arm: summary(
            [{k: run["ours"][k] - run[arm][k] for k in ("accuracy", "worst")} for run in runs]
        )
        for arm in runs[0]
        if arm != "ours"
    }
    ours = {key: values["mean"] for key, values in arms["ours"].items()}
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
    return {"arms": arms, "ours_minus": over, "bars": bars}


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
