"""Claim: adversaries are found without taking a minority's taste for an attack.

    python -m benchmarks.denoiser_adversaries --seeds 0 1 2 --follow 0.95 0.7 0.5 --out FILE

Our own extension of the frozen world of clicks: two model releases, honest users a tenth of whom
have a taste of their own, and, at a tenth of all exposures each, bots, random clickers, one-sided
voters and coordinated groups. *follow* is how often an adversary keeps to its plan: a bot likes
that share of everything, a one-sided voter praises that share of its release, a group that share
of what it is told. Reports recall by kind, and false flags among the honest and the minority, of
who is named before anything is fitted. Then 1, 3 and 5 % of exposures are bought for one release
by one-sided voters and by groups: how far its Bradley-Terry score moves, filtered and unfiltered,
on the pairs of the fit.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import expit

from benchmarks.denoiser_click_world import ROOT, environment, load_world, summary
from pipelines.preferences import IntentFit, fit_intent
from pipelines.preferences.siblings import better_chance
from pipelines.signals import EXPOSURE, SIGNAL_NAMES, SIGNALS, weigh
from pipelines.signals.adversaries import find_bots
from pipelines.signals.exposures import ExposureSettings

KINDS = ("bots", "random_clickers", "one_sided", "coordinated")
SHARE = 0.1  # of all exposures, by each kind
EACH = 80  # exposures an adversary has
GROUP, TARGETS = 8, 40  # members of a coordinated group; generations it praises
Rows = dict[str, NDArray[np.int64]]
Runs = dict[str, list[dict[str, float]]]  # figures of each seed, by how often plans are kept


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--follow", type=float, nargs="+", default=[0.95, 0.7, 0.5])
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args(arguments)
    data = Path(os.environ.get("FLYWHEEL_DATA", ROOT / "../shared/data"))
    world = load_world(data.parent / "worlds" / "click_world.py")
    found: Runs = {}
    moved: Runs = {}

    def write() -> None:
        """Write what is known so far, for all of it takes long."""
        report = {
            "claim": "denoiser_adversaries",
            "simulated": True,
            "environment": environment(),
            "seeds": chosen.seeds,
            "detection": {follow: summary(runs) for follow, runs in found.items()},
            "poisoning": {follow: summary(runs) for follow, runs in moved.items()},
            "seeds_poisoned": {follow: len(runs) for follow, runs in moved.items()},
        }
        text = json.dumps(report, indent=1) + "\n"
        if chosen.out:
            chosen.out.write_text(text, "utf-8")
        else:
            print(text)

    for seed in chosen.seeds:
        for follow in chosen.follow:
            print(f"detect: seed {seed}, follow {follow} ...", file=sys.stderr, flush=True)
            found.setdefault(str(follow), []).append(detect(world, seed, follow))
    write()
    for seed in chosen.seeds:
        clean = clean_score(world, seed)
        for follow in chosen.follow:
            print(f"poison: seed {seed}, follow {follow} ...", file=sys.stderr, flush=True)
            moved.setdefault(str(follow), []).append(poison(world, seed, follow, clean))
        write()


def detect(world: ModuleType, seed: int, follow: float) -> dict[str, float]:
    """Return recall by kind, and false flags, in %."""
    rng = np.random.default_rng([seed, 1])
    rows, minority, generations = honest(world, seed, rng)
    users = int(rows["user"].max()) + 1
    kinds: dict[str, range] = {}
    parts = [rows]
    exposures = int(SHARE * len(rows["user"]))
    for kind in KINDS:
        made = adversaries(kind, exposures, users, generations.num_rows, rng, follow)
        kinds[kind] = range(users, int(made["user"].max()) + 1)
        users = kinds[kind].stop
        parts.append(made)
    table = exposure_table(join(parts))
    bots = named_bots(table)
    table = without(table, bots)
    weighed = weigh(table, generations)
    named = bots | set(weighed.reasons["user_id"].to_pylist())
    figures = {
        f"recall_{kind}": 100 * float(np.mean([f"u{n:05d}" in named for n in ids]))
        for kind, ids in kinds.items()
    }
    people = np.unique(rows["user"])
    flagged = np.array([f"u{n:05d}" in named for n in people])
    return figures | {
        "false_flags": 100 * float(flagged.mean()),
        "false_flags_minority": 100 * float(flagged[np.isin(people, minority)].mean()),
    }


def clean_score(world: ModuleType, seed: int) -> float:
    """Return the score that `poison` moves, before anybody is bought."""
    rows, _, generations = honest(world, seed, np.random.default_rng([seed, 2]))
    return release_score(fit_intent(exposure_table(rows), None, generations=generations))


def poison(world: ModuleType, seed: int, follow: float, clean: float) -> dict[str, float]:
    """Return how far the bought release's score moves, in logits, and filtered over unfiltered."""
    figures: dict[str, float] = {}
    for kind in ("one_sided", "coordinated"):
        rng = np.random.default_rng([seed, 2])
        rows, _, generations = honest(world, seed, rng)
        for percent in (1, 3, 5):
            bought = adversaries(
                kind, int(percent / 100 * len(rows["user"])), int(rows["user"].max()) + 1,
                generations.num_rows, rng, follow,
            )  # fmt: skip
            table = exposure_table(join([rows, bought]))
            raw = release_score(fit_intent(table, None, generations=generations))
            bots = named_bots(table)
            held = weigh(without(table, bots), generations).table
            filtered = release_score(fit_intent(held, None, generations=generations))
            name = f"{kind}_{percent}_percent"
            figures[f"{name}_unfiltered"] = raw - clean
            figures[f"{name}_filtered"] = filtered - clean
            figures[f"{name}_share_left"] = abs(filtered - clean) / max(abs(raw - clean), 1e-9)
    return figures


def release_score(fit: IntentFit) -> float:
    """Return release 1's log-odds over release 0 on the fit's pairs: Bradley-Terry of two."""
    grid = np.arange(len(fit.generation_ids)).reshape(-1, 4)
    first, second = grid[:, [1, 1, 3, 3]].ravel(), grid[:, [0, 2, 0, 2]].ravel()
    wins = float(better_chance(fit.posterior[first], fit.posterior[second]).mean())
    return float(np.log(wins / (1 - wins)))


def honest(
    world: ModuleType, seed: int, rng: np.random.Generator
) -> tuple[Rows, NDArray[np.int64], pa.Table]:
    """Draw honest users of the world's kind, a tenth with a taste of their own."""
    w = world.world(seed=seed, n_prompt=1250, n_user=1250, imp=100_000, bots=0.0)
    names = world.SIGNALS
    minority = rng.choice(1250, 125, replace=False)
    taste = w["aspects"][:, 1] - 2 * w["aspects"][:, 0]
    taste = (taste - taste.mean()) / taste.std()
    theirs = np.isin(w["user"], minority) & w["examined"]
    signals = w["signals"].copy()
    for name, base, slope in (("like", -1.5, 1.5), ("download", -2.5, 1.2)):
        own = rng.random(len(theirs)) < expit(base + slope * taste[w["item"]])
        k = names.index(name)
        signals[:, k] = np.where(theirs, own, signals[:, k])
    bits = np.array([1 << SIGNAL_NAMES.index(name) for name in names])
    count = len(w["quality"])
    generations = pa.table(
        {
            "generation_id": [f"g{n:05d}" for n in range(count)],
            "prompt_id": [f"q{n // 4:05d}" for n in range(count)],
            "model_release": [f"r{n % 2}" for n in range(count)],
        }
    )
    rows = {
        "user": w["user"], "item": w["item"], "position": w["position"],
        "pattern": (signals * bits).sum(axis=1),
    }  # fmt: skip
    return rows, minority, generations


def adversaries(
    kind: str, exposures: int, first_user: int, items: int, rng: np.random.Generator, follow: float
) -> Rows:
    """Draw *exposures* rows of one kind of adversary, each user with EACH of them."""
    users = max(exposures // EACH, GROUP)
    user = np.repeat(np.arange(users), EACH)
    item = np.concatenate([rng.choice(items, EACH, replace=False) for _ in range(users)])
    like, download = (1 << SIGNAL_NAMES.index(name) for name in ("like", "download"))
    draw = rng.random(len(user))
    if kind == "bots":
        pattern = np.where(draw < follow, like, 0)
    elif kind == "random_clickers":
        pattern = np.zeros(len(user), dtype=np.int64)
        for s in range(len(SIGNALS)):
            pattern |= (rng.random(len(user)) < 0.3).astype(np.int64) << s
    elif kind == "one_sided":
        pattern = np.where(item % 2 == 1, np.where(draw < follow, like | download, 0), 0)
    else:
        # A group praises the same generations of release 1, and clicks about to hide it.
        for members in np.array_split(np.arange(users), max(users // GROUP, 1)):
            told = rng.choice(np.arange(1, items, 2), TARGETS, replace=False)
            for member in members:
                item[member * EACH : member * EACH + TARGETS] = told
        on_target = np.tile(np.arange(EACH) < TARGETS, users)
        pattern = np.where(on_target, draw < follow, draw < 0.1) * like
    return {
        "user": user + first_user,
        "item": item,
        "position": rng.integers(0, 4, len(user)),
        "pattern": pattern.astype(np.int64),
    }


def join(parts: Sequence[Rows]) -> Rows:
    """Return the rows of all parts."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def exposure_table(rows: Rows) -> pa.Table:
    """Return EXPOSURE rows, one session an exposure."""
    n = len(rows["user"])
    return pa.table(
        {
            "tenant_id": ["t"] * n, "project_id": ["p"] * n,
            "user_id": [f"u{k:05d}" for k in rows["user"]],
            "session_id": [f"s{k:07d}" for k in range(n)],
            "turn": pa.array(np.zeros(n), pa.int32()),
            "generation_id": [f"g{k:05d}" for k in rows["item"]],
            "prompt_id": [f"q{k // 4:05d}" for k in rows["item"]],
            "surface": ["grid"] * n, "position": pa.array(rows["position"], pa.int32()),
            "propensity": pa.nulls(n, pa.float64()),
            "shown_at": pa.nulls(n, EXPOSURE.field("shown_at").type),
            "pattern": rows["pattern"], "weight": np.ones(n), "heldout": np.zeros(n, bool),
            "event_ids": pa.nulls(n, pa.list_(pa.string())),
        },
        schema=EXPOSURE,
    )  # fmt: skip


def named_bots(table: pa.Table) -> set[str]:
    """Return the user ids of bots; all are of one tenant."""
    bots = find_bots(table, signals=ExposureSettings().bot_signals, share=0.5)
    return {bot.user_id for bot in bots}


def without(table: pa.Table, users: set[str]) -> pa.Table:
    """Return *table* with the exposures of *users* at weight 0."""
    out = np.array([user in users for user in table["user_id"].to_pylist()])
    at = table.schema.get_field_index("weight")
    return table.set_column(at, "weight", pa.array(np.where(out, 0.0, 1.0)))


if __name__ == "__main__":
    main()
