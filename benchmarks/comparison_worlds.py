"""Claim: none of its own; the frozen world of clicks with comparisons in place of ratings.

    python -m benchmarks.denoiser_comparisons

Clicks, generations, gold and who among the annotators is honest, random or reversed are the frozen
file's. What is ours: on every covered prompt each of the six pairs is compared by two annotators,
which is as many answers as the ratings they replace, in the same three aspects; and each annotator
compares ten pairs of gold generations. An annotator sees the quality of both with an error of
their own, leans a little to one side, and calls equal what looks close; a reversed one says the
contrary of what they see, a random one anything.
"""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Array = np.ndarray[Any, np.dtype[Any]]
ASPECTS = ("overall", "prompt_alignment", "aesthetics")
EACH_PAIR = 2  # annotators who compare it
GOLD_EACH = 10  # pairs of gold generations for each annotator
HONEST, RANDOM, REVERSED = range(3)
CLEARLY = 1.2  # seen difference from which an answer is "much better"


def write_world(world: ModuleType, name: str, seed: int, folder: Path) -> Array:
    """Write the frozen world with comparisons for annotations; return each annotator's kind."""
    drawn = world.world(seed=seed, **world.WORLDS[name])
    world.write(drawn, folder, seed)
    ids = pq.read_table(folder / "truth.parquet")["generation_id"].to_pylist()
    table = comparisons(drawn, ids, np.random.default_rng(20_000 + seed))
    pq.write_table(table, folder / "annotations.parquet")
    kind: Array = drawn["kind"]
    return kind


def comparisons(drawn: dict[str, Any], ids: list[str], rng: np.random.Generator) -> pa.Table:
    """Return annotations of the contract; *drawn* is the frozen file's world."""
    kind = drawn["kind"]
    annotators = len(kind)
    first, second, who = _questions(drawn, annotators, rng)
    spread = rng.uniform(0.35, 1.1, annotators)[who]
    lean = rng.normal(0, 0.2, annotators)[who]
    close = rng.uniform(0.05, 0.4, annotators)[who]
    left = np.where(rng.random(len(who)) < 0.5, 1, -1)  # 1: the first is on the left
    truth = np.concatenate([drawn["quality"][:, None], drawn["aspects"]], axis=1)
    gold = set(drawn["gold_item"].tolist())
    columns: dict[str, list[Any]] = {name: [] for name in _SCHEMA.names}
    for n, aspect in enumerate(ASPECTS):
        error = rng.normal(size=(2, len(who))) * spread
        seen = truth[first, n] - truth[second, n] + error[0] - error[1]
        seen = np.where(kind[who] == REVERSED, -seen, seen)
        seen = np.where(kind[who] == RANDOM, rng.normal(size=len(who)), seen) + lean * left
        value = np.where(
            np.abs(seen) < close, 0.0, np.sign(seen) * np.where(np.abs(seen) > CLEARLY, 2, 1)
        )
        for a, b, r, v, side in zip(first, second, who, value, left, strict=True):
            columns["annotation_id"].append(f"n{len(columns['annotation_id']):07d}")
            columns["task_id"].append(f"k{ids[a]}{ids[b]}{'l' if side > 0 else 'r'}")
            columns["annotator_id"].append(f"a{r:03d}")
            columns["generation_id"].append(ids[a])
            columns["other_generation_id"].append(ids[b])
            columns["kind"].append("comparison")
            columns["aspect"].append(aspect)
            columns["value"].append(float(v))
            columns["shown_left"].append(ids[a] if side > 0 else ids[b])
            columns["is_gold"].append(int(a) in gold and int(b) in gold)
    return pa.table(columns, schema=_SCHEMA)


def as_ratings(annotations: pa.Table) -> pa.Table:
    """Return how far each generation was preferred, for arms that take numbers of generations."""
    rows = annotations.select(["generation_id", "other_generation_id", "aspect", "value"])
    said = rows.to_pylist()
    return pa.table(
        {
            "generation_id": [r["generation_id"] for r in said]
            + [r["other_generation_id"] for r in said],
            "aspect": [r["aspect"] for r in said] * 2,
            "value": [r["value"] for r in said] + [-r["value"] for r in said],
        }
    )


def _questions(
    drawn: dict[str, Any], annotators: int, rng: np.random.Generator
) -> tuple[Array, Array, Array]:
    """Return who is asked to compare what: first and second generation, annotator."""
    asked: list[tuple[int, int, int]] = []
    prompts = np.unique(drawn["prompt"][drawn["covered"]])
    for prompt in prompts:
        items = np.flatnonzero(drawn["prompt"] == prompt)
        for a, b in zip(*np.triu_indices(len(items), 1), strict=True):
            for who in rng.choice(annotators, EACH_PAIR, replace=False):
                asked.append((int(items[a]), int(items[b]), int(who)))
    gold = drawn["gold_item"]
    pairs = np.stack(np.triu_indices(len(gold), 1), axis=1)
    for who in range(annotators if len(gold) > 1 else 0):
        for a, b in gold[pairs[rng.choice(len(pairs), GOLD_EACH, replace=False)]]:
            asked.append((int(a), int(b), who))
    turned = rng.random(len(asked)) < 0.5
    rows = np.array(asked, dtype=np.int64).reshape(-1, 3)
    first, second = np.where(turned, rows[:, :2].T[::-1], rows[:, :2].T)
    return first, second, rows[:, 2]


_SCHEMA = pa.schema(
    [
        ("annotation_id", pa.string()), ("task_id", pa.string()), ("annotator_id", pa.string()),
        ("generation_id", pa.string()), ("other_generation_id", pa.string()),
        ("kind", pa.string()), ("aspect", pa.string()), ("value", pa.float64()),
        ("shown_left", pa.string()), ("is_gold", pa.bool_()),
    ]
)  # fmt: skip
