"""Claim: item scores tell apart what a left-out annotator does, better than the plain mean.

    python -m benchmarks.real_item_scores --out benchmarks/results/real_item_scores.json

For each real rating set whose annotators are named, each annotator is left out in turn: items
are scored from the others' answers, and the scores are compared with the answers left out, by two
rank correlations, averaged over annotators. Spearman's counts ties in its disfavour: where people
answer on three levels, a score that orders the equals is marked down, right or wrong. Somers' D
asks only what can be answered: of two items that the annotator left out told apart, which did the
score rank higher (1 always rightly, 0 a coin; equal scores are a coin). It was added after
Spearman's figures on these sets were known: see docs/decisions/item-scores.md. Intervals (95 %)
resample prompts; differences to the plain mean are resampled in pairs. The fits run with their
defaults, and were not tuned on these sets. FETV's automatic metrics, which saw the videos, are
compared with the same answers.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy.stats import rankdata

from annotation import aspect_labels
from pipelines.importing.item_scores import fit_item_scores
from pipelines.importing.rank_correlation import somers_d
from pipelines.intake.importers import importer
from pipelines.preferences import fit_intent

ROOT = Path(__file__).resolve().parents[1]
SETS = ("dsg_tifa160", "imagenhub", "fetv")
MEAN = "plain mean"
MEASURES = ("spearman", "somers_d")
FloatArray = NDArray[np.float64]
Scores = Mapping[str, FloatArray]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args(arguments)
    data = Path(os.environ.get("FLYWHEEL_DATA", ROOT / "../shared/data"))
    report: dict[str, object] = {
        "claim": "real_item_scores",
        "environment": {
            "python": platform.python_version(), "numpy": np.__version__, "scipy": version("scipy"),
        },
        "seed": chosen.seed,
        "resamples": chosen.resamples,
    }  # fmt: skip
    for name in chosen.sets:
        print(f"{name} ...", file=sys.stderr)
        report[name] = measure(name, data / name, seed=chosen.seed, resamples=chosen.resamples)
    text = json.dumps(report, indent=1) + "\n"
    print(text)
    if chosen.out:
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        chosen.out.write_text(text)


def measure(name: str, folder: Path, *, seed: int, resamples: int) -> dict[str, object]:
    """Return by aspect the correlations of each way to score, and their differences."""
    found = importer(name)(folder)
    answers = found.annotations.filter(pa.compute.equal(found.annotations["kind"], "rating"))
    frame = answers.to_pandas()
    prompt = dict(
        zip(
            *(found.generations[n].to_pylist() for n in ("generation_id", "prompt_id")), strict=True
        )
    )
    extra = _automatic(folder) if name == "fetv" else {}
    tables: dict[str, list[pd.DataFrame]] = {}
    for person in sorted(frame["annotator_id"].unique()):
        mine = frame["annotator_id"] == person
        others = answers.filter(pa.array(~mine.to_numpy()))
        fit = fit_intent(None, others, generations=found.generations)
        labels = aspect_labels(others).to_pandas()
        fitted = fit_item_scores(frame[~mine], found.generations.to_pandas())
        for aspect in sorted(frame["aspect"].unique()):
            left = (
                frame[mine & (frame["aspect"] == aspect)].groupby("generation_id")["value"].mean()
            )
            rest = frame[~mine & (frame["aspect"] == aspect)].groupby("generation_id")["value"]
            skene = labels[labels["aspect"] == aspect].set_index("generation_id")["mean"]
            joint = pd.Series(fit.expected_class(aspect), fit.generation_ids)
            scores = pd.Series(fitted.score[:, fitted.aspects.index(aspect)], fitted.generation_ids)
            columns = {"left_out": left, MEAN: rest.mean(), "item scores": scores,
                       "joint fit": joint, "Dawid-Skene": skene, **extra}  # fmt: skip
            table = pd.DataFrame(columns).reindex(left.index).dropna()
            tables.setdefault(aspect, []).append(
                table.assign(prompt=[prompt[each] for each in table.index])
            )
    rng = np.random.default_rng(seed)
    return {aspect: _told(parts, rng, resamples) for aspect, parts in tables.items()}


def _told(parts: list[pd.DataFrame], rng: np.random.Generator, resamples: int) -> dict[str, object]:
    ways = [each for each in parts[0] if each not in ("left_out", "prompt")]
    tables = [part[["left_out", *ways]].to_numpy(np.float64) for part in parts]
    whole = np.array([_measures(table) for table in tables])
    prompts = sorted(set().union(*(part["prompt"] for part in parts)))
    places = [part.groupby("prompt").indices for part in parts]
    drawn = np.empty((resamples, len(MEASURES), len(ways)))
    for n in range(resamples):
        chosen = [prompts[at] for at in rng.integers(len(prompts), size=len(prompts))]
        rows = [np.concatenate([where[p] for p in chosen if p in where]) for where in places]
        measured = [_measures(table[at]) for table, at in zip(tables, rows, strict=True)]
        drawn[n] = np.mean(measured, axis=0)
    told: dict[str, object] = {
        "annotators": len(parts),
        "items": [len(part) for part in parts],
        "prompts": len(prompts),
        "levels_of_the_mean": [int(part[MEAN].nunique()) for part in parts],
    }
    plain = ways.index(MEAN)
    for m, measure_name in enumerate(MEASURES):
        value, spread = whole.mean(axis=0)[m], drawn[:, m]
        told[measure_name] = {
            way: {
                **_interval(value[n], spread[:, n]),
                "above_the_plain_mean": _interval(
                    value[n] - value[plain], spread[:, n] - spread[:, plain]
                ),
                "by_annotator": whole[:, m, n].round(4).tolist(),
            }
            for n, way in enumerate(ways)
        }
    return told


def _measures(table: FloatArray) -> FloatArray:
    """Return (2, w): Spearman's correlation and Somers' D of each way with the first column."""
    ranks = rankdata(table, axis=0)
    ranks = (ranks - ranks.mean(axis=0)) / ranks.std(axis=0)
    spearman = ranks[:, 1:].T @ ranks[:, 0] / len(ranks)
    return np.stack([spearman, somers_d(table[:, 0], table[:, 1:])])


def _interval(value: float, drawn: FloatArray) -> dict[str, float]:
    low, high = np.quantile(drawn, (0.025, 0.975))
    return {
        "mean": round(float(value), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
    }


def _automatic(folder: Path) -> dict[str, pd.Series]:
    """Return FETV's automatic metrics by generation."""
    from pipelines.intake.importers.imported import opaque_id

    rows = pd.read_csv(folder / "fetv_auto_metrics.csv")
    rows["generation_id"] = [
        opaque_id("g", "fetv", model, at)
        for model, at in zip(rows["model"], rows["prompt_idx"], strict=True)
    ]
    return {name: part.set_index("generation_id")["score"] for name, part in rows.groupby("metric")}


if __name__ == "__main__":
    main()
