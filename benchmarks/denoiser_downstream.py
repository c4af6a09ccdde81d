"""Claim: a reward model on our pairs nearly equals one on the truth where most users mock.

    python -m benchmarks.denoiser_downstream --seeds 0 1

On the frozen world of clicks `all_mock_56` every generation gets features that no de-noiser sees:
a fixed random network of its two aspects and of two things that do not matter, with noise. A
nonlinear reward model learns from the pairs of `flywheel denoise` (target and weight as written,
undecided pairs left out), from likes plus downloads, and from the truth; each is scored on prompts
held out, where nothing but features is given. A linear one is beside it: it hides the difference.
Develop on seeds 0 to 19 only.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from benchmarks.click_world_arms import likes_and_downloads
from benchmarks.denoiser_click_world import (
    code_version,
    environment,
    find_world,
    load_world,
    summary,
)
from pipelines.denoising import DenoiseSettings, denoise
from pipelines.signals import ExposureSettings, exposures

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
WORLD = "all_mock_56"
SHARE = 98.0  # of the oracle's accuracy that ours must reach
NAIVE = 60.0  # below which naive must fall
HELD = 0.2  # of prompts
NUISANCES, FEATURES, HIDDEN, NOISE = 2, 24, 64, 0.1
BEND = 1.5  # of the features: chosen so that the oracle alone needs a nonlinear model
EPOCHS, BATCH, RATE = 12, 512, 2e-3


class Training(NamedTuple):
    """Pairs to learn from, as items in the world's order."""

    chosen: IntArray
    rejected: IntArray
    target: FloatArray
    weight: FloatArray


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--out", type=Path, help="Write the JSON here as well.")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    world = load_world(find_world())
    runs = []
    for seed in chosen.seeds:
        print(f"seed {seed} ...", file=sys.stderr, flush=True)
        runs.append(measure(world, seed))
    arms = {arm: summary([run[arm] for run in runs]) for arm in runs[0]}
    share = summary(
        [{"share": 100 * r["ours"]["accuracy"] / r["oracle"]["accuracy"]} for r in runs]
    )
    report = {
        "claim": "denoiser_downstream",
        "environment": environment(),
        "code": code_version(),
        "world": WORLD,
        "seeds": chosen.seeds,
        "arms": arms,
        "by_seed": runs,
        "bars": {
            "ours_share_of_oracle": share["share"]
            | {"bar": SHARE, "met": share["share"]["mean"] >= SHARE},
            "naive": {
                "bar": NAIVE,
                "mean": arms["naive"]["accuracy"]["mean"],
                "met": arms["naive"]["accuracy"]["mean"] < NAIVE,
            },
        },
    }
    text = json.dumps(report, indent=1) + "\n"
    if chosen.out:
        chosen.out.write_text(text, "utf-8")
    print(text)


def measure(world: ModuleType, seed: int) -> dict[str, dict[str, float]]:
    """Return accuracy and worst decile on held-out prompts by arm."""
    drawn = world.world(seed=seed, **world.WORLDS[WORLD])
    features = item_features(drawn["aspects"], seed)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        world.write(drawn, folder, seed)
        names = ("events", "generations", "annotations", "gold", "truth")
        tables = {n: pq.read_table(folder / f"{n}.parquet") for n in names}
    place = {name: n for n, name in enumerate(tables["truth"]["generation_id"].to_pylist())}
    prompt = drawn["prompt"]
    rng = np.random.default_rng(20_000 + seed)
    held = np.isin(prompt, rng.choice(prompt.max() + 1, int(HELD * (prompt.max() + 1)), False))
    made_pairs = denoise(
        tables["events"], tables["generations"], tables["annotations"], gold=tables["gold"],
        settings=DenoiseSettings(all_pairs=True),
    ).pairs  # fmt: skip
    kept = made_pairs.filter(made_pairs["kept"])
    ours = Training(
        *(np.array([place[n] for n in kept[side].to_pylist()]) for side in _SIDES),
        kept["target"].to_numpy(),
        kept["weight"].to_numpy(),
    )
    shown = exposures(
        tables["events"], tables["generations"], settings=ExposureSettings(heldout_users=0.0)
    ).table
    score = likes_and_downloads(shown)
    naive = np.array([score.get(n, np.nan) for n in place])
    told = {
        "ours": ours,
        "naive": by_value(world, drawn, naive),
        "oracle": by_value(world, drawn, drawn["quality"]),
    }
    found = {}
    for arm, training in told.items():
        seen = Training(*(part[~held[training.chosen]] for part in training))
        for kind, hidden in (("", HIDDEN), ("_linear", 0)):
            reward = learn_reward(features, seen, hidden=hidden, seed=seed)
            found[arm + kind] = score_held(world, drawn, reward, held) | {
                "pairs": float(len(seen.chosen))
            }
    return found


_SIDES = ("chosen_id", "rejected_id")


def item_features(aspects: FloatArray, seed: int) -> FloatArray:
    """Return (i, FEATURES): a fixed random network of aspects and nuisances, with noise."""
    fixed = np.random.default_rng(7)
    inside = fixed.normal(0, BEND, (2 + NUISANCES, HIDDEN)) / np.sqrt(2 + NUISANCES)
    phase = fixed.uniform(0, 2 * np.pi, HIDDEN)
    outside = fixed.normal(0, 1, (HIDDEN, FEATURES)) / np.sqrt(HIDDEN)
    rng = np.random.default_rng(30_000 + seed)
    known = np.concatenate([aspects, rng.normal(size=(len(aspects), NUISANCES))], axis=1)
    seen = np.sin(known @ inside + phase) @ outside
    features: FloatArray = seen + NOISE * rng.normal(size=seen.shape)
    return (features - features.mean(axis=0)) / features.std(axis=0)


def by_value(world: ModuleType, drawn: Mapping[str, FloatArray], value: FloatArray) -> Training:
    """Return every pair of one prompt, the higher value chosen; equal ones are left out."""
    a, b = world.same_prompt_pairs(drawn)
    apart = (value[a] > value[b]) | (value[a] < value[b])
    a, b = a[apart], b[apart]
    wins = value[a] > value[b]
    return Training(np.where(wins, a, b), np.where(wins, b, a), np.ones(len(a)), np.ones(len(a)))


def learn_reward(features: FloatArray, training: Training, *, hidden: int, seed: int) -> FloatArray:
    """Return (i,) rewards of a Bradley-Terry model on *features*; *hidden* 0 is linear."""
    torch.manual_seed(seed)
    width = features.shape[1]
    layers: list[torch.nn.Module] = [torch.nn.Linear(width, 1)]
    if hidden:
        layers = [
            torch.nn.Linear(width, hidden), torch.nn.SiLU(),
            torch.nn.Linear(hidden, hidden), torch.nn.SiLU(), torch.nn.Linear(hidden, 1),
        ]  # fmt: skip
    model = torch.nn.Sequential(*layers)
    seen = torch.tensor(features, dtype=torch.float32)
    first, second = torch.tensor(training.chosen), torch.tensor(training.rejected)
    target = torch.tensor(training.target, dtype=torch.float32)
    weight = torch.tensor(training.weight, dtype=torch.float32)
    steps = EPOCHS * (len(first) // BATCH + 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    draw = torch.Generator().manual_seed(seed)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(first), generator=draw).split(BATCH):
            gap = model(seen[first[rows]])[:, 0] - model(seen[second[rows]])[:, 0]
            losses = torch.nn.functional.binary_cross_entropy_with_logits(
                gap, target[rows], reduction="none"
            )
            loss = (weight[rows] * losses).sum() / weight[rows].sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call] # torch ships no types for it
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        reward: FloatArray = model(seen)[:, 0].double().numpy()
    return reward


def score_held(
    world: ModuleType, drawn: Mapping[str, FloatArray], reward: FloatArray, held: NDArray[np.bool_]
) -> dict[str, float]:
    """Return how many held-out pairs a reward orders as the truth does, in %."""
    a, b = world.same_prompt_pairs(drawn)
    inside = held[a]
    a, b = a[inside], b[inside]
    quality = drawn["quality"]
    right = (reward[a] > reward[b]) == (quality[a] > quality[b])
    low = quality < np.quantile(quality, 0.1)
    worst = (low[a] | low[b]) & (np.abs(quality[a] - quality[b]) > 1)
    return {"accuracy": float(100 * right.mean()), "worst": float(100 * right[worst].mean())}


if __name__ == "__main__":
    main()
