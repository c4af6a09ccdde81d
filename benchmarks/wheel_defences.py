"""Claim: copied answers and bought events move the wheel's pairs hardly at all.

    python -m benchmarks.wheel_defences --seeds 3 7 --out FILE

On the frozen world of clicks, small (300 prompts), through the functions that the wheel's assets
call. *Copies*: to the honest annotators come four who give the same random levels, about a third of
all answers; how many pairs are in order by the answers alone. *Bought*: five in a hundred exposures
are one-sided voters' for one of two releases; that release's share of wins. Each is told for the
honest alone, for all answers and exposures at face value, and as the wheel hears and weighs them.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from benchmarks.denoiser_adversaries import adversaries, exposure_table, join
from benchmarks.denoiser_click_world import environment, find_world, load_world, summary
from data_contracts.schemas import ANNOTATION
from pipelines.preferences import fit_intent
from pipelines.preferences.kernel import FloatArray
from pipelines.preferences.making import infer_preferences
from pipelines.preferences.siblings import better_chance
from pipelines.signals import SIGNAL_NAMES, training_exposures, weigh

PROMPTS, USERS, IMPRESSIONS, COPIES = 300, 300, 24_000, 4
THEIRS = 0.33  # of all answers, by those who copy
BOUGHT = 0.05  # of all exposures
World = dict[str, NDArray[np.int64]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 7])
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args(arguments)
    world = load_world(find_world())
    found = []
    for seed in chosen.seeds:
        print(f"seed {seed} ...", file=sys.stderr, flush=True)
        drawn = world.world(
            seed=seed, n_prompt=PROMPTS, n_user=USERS, imp=IMPRESSIONS, bots=0.0,
            cover=1.0, n_gold=0, gold_per_ann=0,
        )  # fmt: skip
        found.append(copies(world, drawn, seed) | bought(world, drawn, seed))
    report = {
        "claim": "wheel_defences", "simulated": True, "environment": environment(),
        "seeds": chosen.seeds, "by_seed": found, "summary": summary(found),
    }  # fmt: skip
    text = json.dumps(report, indent=1) + "\n"
    if chosen.out:
        chosen.out.write_text(text, "utf-8")
    print(text)


def copies(world: ModuleType, drawn: World, seed: int) -> dict[str, float]:
    """Return the share of pairs in order by answers alone, with and without copies."""
    rng = np.random.default_rng([seed, 3])
    honest = ratings(drawn)
    items = np.unique([int(name[1:]) for name in honest["generation_id"].to_pylist()])
    count = min(int(THEIRS / (1 - THEIRS) * honest.num_rows / COPIES), len(items))
    told = sorted(rng.choice(items, count, replace=False).tolist())
    said = {item: float(rng.integers(1, 6)) for item in told}
    rows = [
        {"annotation_id": f"z{n}_{item}", "task_id": "k", "annotator_id": f"z{n}", "kind": "rating",
         "generation_id": f"g{item:05d}", "aspect": "overall", "value": value}
        for n in range(COPIES)
        for item, value in said.items()
    ]  # fmt: skip
    both = pa.concat_tables([honest, pa.Table.from_pylist(rows, schema=ANNOTATION)])
    known, prompts = generations(len(drawn["quality"]))
    raw = {
        name: fit_intent(None, table, generations=known).posterior
        for name, table in (("honest", honest), ("with_copies", both))
    }
    heard = infer_preferences(None, both, prompts, known)
    raw["with_copies_heard"] = heard.fit.posterior
    figures = {f"order_{name}": in_order(world, drawn, post) for name, post in raw.items()}
    return figures | {"copies_found": float(heard.heard.copies)}


def bought(world: ModuleType, drawn: World, seed: int) -> dict[str, float]:
    """Return release 1's share of wins against release 0, with and without bought events."""
    rng = np.random.default_rng([seed, 2])
    bits = np.array([1 << SIGNAL_NAMES.index(name) for name in world.SIGNALS])
    rows = {
        "user": drawn["user"], "item": drawn["item"], "position": drawn["position"],
        "pattern": (drawn["signals"] * bits).sum(axis=1),
    }  # fmt: skip
    known, prompts = generations(len(drawn["quality"]))
    count = int(BOUGHT * len(rows["user"]))
    paid = adversaries("one_sided", count, int(rows["user"].max()) + 1, known.num_rows, rng)
    table = exposure_table(join([rows, paid]))
    weighed = training_exposures(weigh(table, known).table)
    posteriors = {
        "honest": fit_intent(exposure_table(rows), None, generations=known).posterior,
        "bought": fit_intent(table, None, generations=known).posterior,
        "bought_weighed": infer_preferences(weighed, None, prompts, known).fit.posterior,
    }
    return {f"wins_{name}": wins(post) for name, post in posteriors.items()}


def ratings(drawn: World) -> pa.Table:
    """Return the world's overall ratings as rows of the annotation contract."""
    rows = [
        {"annotation_id": f"n{n:06d}", "task_id": "k", "annotator_id": f"a{who:03d}",
         "kind": "rating", "generation_id": f"g{item:05d}", "aspect": "overall",
         "value": float(level) + 1}
        for n, (item, who, level) in enumerate(
            zip(drawn["a_item"], drawn["a_who"], drawn["answers"][:, 0], strict=True)
        )
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=ANNOTATION)


def generations(count: int) -> tuple[pa.Table, pa.Table]:
    """Return generations of two releases, four a prompt, and their prompts."""
    known = pa.table(
        {
            "generation_id": [f"g{n:05d}" for n in range(count)],
            "prompt_id": [f"q{n // 4:05d}" for n in range(count)],
            "model_release": [f"r{n % 2}" for n in range(count)],
        }
    )
    ids = pc.unique(known["prompt_id"])
    return known, pa.table({"prompt_id": ids, "text": ids})


def in_order(world: ModuleType, drawn: World, posterior: FloatArray) -> float:
    """Return the share of same-prompt pairs that *posterior* puts in the order of their quality."""
    first, second = world.same_prompt_pairs(drawn)
    chance = better_chance(posterior[first], posterior[second])
    return float(world.score(drawn, np.round(chance, 12))["accuracy"]) / 100


def wins(posterior: FloatArray) -> float:
    """Return how often release 1 is better than release 0 of the same prompt."""
    grid = np.arange(len(posterior)).reshape(-1, 4)
    first, second = grid[:, [1, 1, 3, 3]].ravel(), grid[:, [0, 2, 0, 2]].ravel()
    return float(better_chance(posterior[first], posterior[second]).mean())


if __name__ == "__main__":
    main()
