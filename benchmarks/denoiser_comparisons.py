"""Claim: comparisons serve the de-noiser as ratings do, on the frozen world of clicks.

    python -m benchmarks.denoiser_comparisons --seeds 0 1 2 --worlds base sparse --out FILE

The seven worlds of `denoiser_click_world` with comparisons in place of ratings
(`comparison_worlds`), the same command and the same score. Beside it: likes plus downloads, ridge
from signal rates to how far a generation was preferred, and in some worlds the same command
without annotations, or the same model without intents or anchoring. Differences are paired by
seed; intervals are 95 % t-intervals over seeds. Develop on seeds 0 to 19 only; 100 to 119 are for
the report. Every run is kept in a file of its own, so a stopped benchmark goes on where it was.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow.parquet as pq

from benchmarks.click_world_arms import (
    Figures,
    likes_and_downloads,
    no_intent,
    ridge,
    score_values,
    without_anchoring,
)
from benchmarks.comparison_worlds import REVERSED, as_ratings, write_world
from benchmarks.denoiser_click_world import (
    BARS,
    ROOT,
    WITHOUT_ANCHORING,
    WITHOUT_INTENT,
    by_seed,
    code_version,
    denoised,
    environment,
    find_world,
    load_world,
    summary,
)
from pipelines.denoising import DenoiseSettings
from pipelines.signals import ExposureSettings, exposures

WITHOUT_ANNOTATIONS = {"sparse", "adversarial_annotators_60", "sparse_adversarial"}
# Differences that must lie above zero with their whole interval.
ABOVE = {
    "base": ("ridge", "no_intent"),
    "sparse_adversarial": ("no_annotations",),
    "reversed_signals": ("without_anchoring",),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--worlds", nargs="+", default=list(BARS), choices=list(BARS))
    parser.add_argument("--out", type=Path, help="Write the JSON here as well, world by world.")
    parser.add_argument("--runs", type=Path, default=ROOT / "reports" / "denoiser_comparisons")
    parser.add_argument("--only-conclude", action="store_true", help="Run nothing that is missing.")
    chosen = parser.parse_args(arguments)
    world = load_world(find_world())
    report: dict[str, object] = {"claim": "denoiser_comparisons", "environment": environment()}
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
        found: dict[str, object] = {
            "missing_seeds": [seed for seed in chosen.seeds if seed not in runs],
            "code": sorted({run["code"] for run in runs.values()}),
        }
        if runs:
            found |= conclude(name, [run["arms"] for run in runs.values()])
            found["by_seed"] = by_seed(runs)
        report[name] = found
        if chosen.out:
            chosen.out.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    print(json.dumps(report, indent=1))


def measure(world: ModuleType, name: str, seed: int) -> dict[str, Figures]:
    """Return figures by arm: the command's, and those it is compared with."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        kind = write_world(world, name, seed, folder)
        gold = folder / "gold.parquet"
        ours = denoised(world, folder, folder / "annotations.parquet", gold)
        figures = {"ours": ours | reversed_found(folder / "out-annotations", kind)}
        if name in WITHOUT_ANNOTATIONS:
            none = folder / "none.parquet"
            pq.write_table(pq.read_table(folder / "annotations.parquet").slice(0, 0), none)
            figures["no_annotations"] = denoised(world, folder, none, None)
        names = ("events", "generations", "annotations", "gold", "truth")
        tables = {n: pq.read_table(folder / f"{n}.parquet") for n in names}
    shown = exposures(
        tables["events"], tables["generations"], settings=ExposureSettings(heldout_users=0.0)
    ).table
    figures["likes_and_downloads"] = score_values(world, likes_and_downloads(shown), tables)
    preferred = ridge(shown, as_ratings(tables["annotations"]))
    figures["ridge"] = score_values(world, preferred, tables)
    intent = DenoiseSettings().intent
    if name in WITHOUT_INTENT:
        figures["no_intent"] = no_intent(world, shown, tables, intent)
    if name in WITHOUT_ANCHORING:
        figures["without_anchoring"] = without_anchoring(world, shown, tables, intent)
    return figures


def reversed_found(out: Path, kind: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Figures:
    """Return the share of reversed annotators who were found, and of all others who were accused.

    Found or accused: more likely reversed than not, in what they say of *overall*.
    """
    rows = pq.read_table(out / "annotators.parquet").to_pylist()
    said = {int(r["annotator_id"][1:]): r["reversed"] for r in rows if r["aspect"] == "overall"}
    turned = np.array([said.get(n, 0.0) > 0.5 for n in range(len(kind))])
    true = kind == REVERSED
    return {
        "reversed_found": float(turned[true].mean()) if true.any() else 1.0,
        "others_accused": float(turned[~true].mean()) if (~true).any() else 0.0,
    }


def conclude(name: str, runs: Sequence[Mapping[str, Figures]]) -> dict[str, object]:
    """Return means, intervals, differences to the other arms, and which surely lie above."""
    arms = {arm: summary([run[arm] for run in runs]) for arm in runs[0]}
    over = {
        arm: summary(
            [{k: run["ours"][k] - run[arm][k] for k in ("accuracy", "worst")} for run in runs]
        )
        for arm in runs[0]
        if arm != "ours"
    }
    above = {
        arm: over[arm]["accuracy"]["mean"] > over[arm]["accuracy"]["half_width"]
        for arm in ABOVE.get(name, ())
    }
    return {"arms": arms, "ours_minus": over, "surely_above": above}


if __name__ == "__main__":
    main()
