"""Contract-shaped tables of a small studio with known quality, for the command and its laws."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_contracts.schemas import UTC

CHANCES = {  # by quality 0 .. 1: endorsing, mocking
    "like": (lambda q: 0.02 + 0.5 * q, lambda q: 0.03 + 0 * q),
    "download": (lambda q: 0.02 + 0.3 * q, lambda q: 0.75 - 0.7 * q),
    "regenerate": (lambda q: 0.4 - 0.35 * q, lambda q: 0.1 + 0 * q),
}
START = np.datetime64("2026-01-05T00:00:00", "us")


def studio(*, prompts=15, users=30, shown=2000, mockers=0.3, rated=0.3, golden=0, seed=0):
    """Draw events, generations, annotations and gold, and the truth behind them."""
    rng = np.random.default_rng(seed)
    items = 4 * prompts
    quality, mocks = rng.random(items), rng.random(users) < mockers
    item, user, position = (rng.integers(0, n, shown) for n in (items, users, 4))
    looked = rng.random(shown) < np.array([0.95, 0.8, 0.6, 0.45])[position]
    acts = [(np.ones(shown, bool), "impression")]
    for kind, (endorse, mock) in CHANCES.items():
        chance = np.where(mocks[user], mock(quality[item]), endorse(quality[item]))
        acts.append((looked & (rng.random(shown) < chance), kind))
    rows = [(n, kind, k) for k, (given, kind) in enumerate(acts) for n in np.flatnonzero(given)]
    at = np.array([n for n, _, _ in rows])
    late = np.array([k for _, _, k in rows])
    events = pa.table(
        {
            "event_id": [f"e{n:06d}" for n in range(len(rows))],
            "tenant_id": ["t0"] * len(rows), "project_id": ["p0"] * len(rows),
            "user_id": [f"u{n:03d}" for n in user[at]],
            "session_id": [f"s{n:05d}" for n in at],
            "turn": pa.array([0] * len(rows), pa.int32()),
            "kind": [kind for _, kind, _ in rows],
            "generation_id": [f"g{n:04d}" for n in item[at]],
            "surface": ["grid"] * len(rows),
            "position": pa.array(position[at], pa.int32()),
            "occurred_at": pa.array(START + at * 60_000_000 + late * 1_000_000).cast(UTC),
        }
    )  # fmt: skip
    generations = pa.table(
        {
            "generation_id": [f"g{n:04d}" for n in range(items)],
            "tenant_id": ["t0"] * items, "project_id": ["p0"] * items,
            "prompt_id": [f"q{n // 4:03d}" for n in range(items)],
            "model_release": ["r0"] * items, "modality": ["image"] * items,
        }
    )  # fmt: skip
    answered = [
        (n, who) for n in np.flatnonzero(rng.random(items) < rated) for who in ("ann", "bob")
    ]
    annotations = pa.table(
        {
            "annotation_id": pa.array([f"n{k:05d}" for k in range(len(answered))], pa.string()),
            "task_id": pa.array([f"k{n}" for n, _ in answered], pa.string()),
            "annotator_id": pa.array([who for _, who in answered], pa.string()),
            "kind": pa.array(["rating"] * len(answered), pa.string()),
            "generation_id": pa.array([f"g{n:04d}" for n, _ in answered], pa.string()),
            "aspect": pa.array(["overall"] * len(answered), pa.string()),
            "value": pa.array([level(quality[n]) for n, _ in answered], pa.float64()),
        }
    )
    known = rng.choice(items, golden, replace=False)
    gold = pa.table(
        {
            "generation_id": pa.array([f"g{n:04d}" for n in known], pa.string()),
            "aspect": pa.array(["overall"] * golden, pa.string()),
            "value": pa.array([level(quality[n]) for n in known], pa.float64()),
        }
    )
    return SimpleNamespace(
        quality=quality, mocks=mocks, events=events, generations=generations,
        annotations=annotations, gold=gold,
    )  # fmt: skip


def level(quality):
    return float(np.clip(np.floor(quality * 5), 0, 4)) + 1


def write_studio(studio, folder):
    """Write the tables as Parquet; return the words of the command that name them."""
    words = []
    for name in ("events", "generations", "annotations"):
        pq.write_table(getattr(studio, name), folder / f"{name}.parquet")
        words += [f"--{name}", folder / f"{name}.parquet"]
    return words
