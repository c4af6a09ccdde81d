"""Claim: comparisons serve the de-noiser as ratings do, on the frozen world of clicks.

    python -m benchmarks.denoiser_comparisons --seeds 0 1 2 --worlds base sparse --out FILE

The seven worlds of `denoiser_click_world` with comparisons in place of ratings
(`comparison_worlds`), the same command and the same score. Beside it: likes plus downloads, ridge
from signal rates to how far a generation was preferred, and in some worlds the same command
without annotations, or the same model without intents or anchoring. Differences are paired by
seed; intervals are 95 % t-intervals over seeds. Develop on seeds 0 to 19 only; 100 to 119 are for
the report. Every run is kept in a file of its own, so a stopped benchmark goes on where it was.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow.parquet as pq

from benchmarks.click_world_arms import Figures
from benchmarks.comparison_worlds import REVERSED, as_ratings, write_world
from benchmarks.denoiser_click_world import (
    denoised,
    differences,
    other_arms,
    run_worlds,
    tables_in,
    unanswered,
)

WITHOUT_ANNOTATIONS = {"sparse", "adversarial_annotators_60", "sparse_adversarial"}
# Differences that must lie above zero with their whole interval.
ABOVE = {
    "base": ("ridge", "no_intent"),
    "sparse_adversarial": ("no_annotations",),
    "reversed_signals": ("without_anchoring",),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    run_worlds("denoiser_comparisons", __doc__, measure, conclude, arguments)


def measure(world: ModuleType, name: str, seed: int) -> dict[str, Figures]:
    """Return figures by arm: the command's, and those it is compared with."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        kind = write_world(world, name, seed, folder)
        gold = folder / "gold.parquet"
        ours = denoised(world, folder, folder / "annotations.parquet", gold)
        figures = {"ours": ours | reversed_found(folder / "out-annotations", kind)}
        if name in WITHOUT_ANNOTATIONS:
            figures["no_annotations"] = unanswered(world, folder)
        tables = tables_in(folder)
    return figures | other_arms(world, name, tables, as_ratings(tables["annotations"]))


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
    return differences(runs, ABOVE.get(name, ()))


if __name__ == "__main__":
    main()
