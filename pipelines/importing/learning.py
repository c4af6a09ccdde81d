"""What a small model learns from a public set of texts, measured on prompts it never saw."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from backbone.emu3 import Emu3Backbone
from data_contracts.ids import CheckpointId
from finetune.agreement import policy_agreement, sequence_scores
from pipelines.assets.backbone import first_release
from pipelines.bundle import SnapshotBundle
from pipelines.importing.options import ImportOptions
from pipelines.importing.preferring import PreferredSet
from pipelines.importing.storing import StoredSet
from pipelines.stores import Stores
from pipelines.training import TrainingJob, run_job
from reward_models.interval import Interval, cluster_bootstrap
from reward_models.preferences import preference_rows
from reward_models.scorer import RewardScorer
from reward_models.sequences import Sequences, read_sequences
from reward_models.watch import Watch

Figures = dict[str, Any]
Bar = Callable[[str], Callable[[int, int], None]]

SPLIT = "heldout"


def learn(
    stored: StoredSet, preferred: PreferredSet, stores: Stores, options: ImportOptions, bar: Bar
) -> Figures:
    """Train a reward model, an SFT and a DPO policy; say how they rank held-out pairs.

    Raises:
        FlywheelError: nothing to learn from, or a loss that is not a number (with its step).
    """
    base = first_release(stores)

    def train(kind: Any, start: CheckpointId, config: BaseModel, title: str) -> Figures:
        told = config.model_dump(mode="json") | {"seed": options.seed}
        job = TrainingJob(
            kind=kind,
            root=options.root,
            snapshot_id=preferred.snapshot.snapshot_id,
            prompts=stored.prompts,
            generations=stored.generations,
            policy=start,
            reference=base if kind == "dpo" else None,
            configuration=told,
            pointer=f"import/{kind}",
        )
        return run_job(job, Watch(progress=bar(title))) | {
            "steps": told["max_steps"],
            "batch": told["batch_size"],
        }

    reward = train("reward", base, options.reward, "train the reward model")
    sft = train("sft", base, options.sft, "train the SFT policy")
    dpo = train("dpo", CheckpointId(sft["checkpoint"]), options.dpo, "train the DPO policy")
    bundle = SnapshotBundle(
        stores,
        snapshot_id=preferred.snapshot.snapshot_id,
        prompts=stored.prompts,
        generations=stored.generations,
    )
    advance = bar("rank held-out pairs")
    folders = {
        name: stores.checkpoints.path(CheckpointId(each))
        for name, each in {
            "base": base, "reward": reward["checkpoint"], "sft": sft["checkpoint"],
            "dpo": dpo["checkpoint"],
        }.items()
    }  # fmt: skip
    ranked = _ranked(bundle, folders, options, advance)
    return {
        "max_length": options.dpo.max_length,
        "parameters": _parameters(folders["base"]),
        "held_out_pairs": len([p for p in bundle.pairs(SPLIT) if p.weight > 0]),
        "training": {"reward": reward, "sft": sft, "dpo": dpo},
        "ranked_as_people_did": ranked,
    }


def _ranked(
    bundle: SnapshotBundle,
    folders: Mapping[str, Path],
    options: ImportOptions,
    advance: Callable[[int, int], None],
) -> list[Figures]:
    """Return how often each judge ranks a held-out pair as people did."""
    policies = {name: Emu3Backbone.load(folders[name]) for name in ("base", "sft", "dpo")}
    length = options.dpo.max_length
    sequences = read_sequences(bundle, policies["base"], splits=[SPLIT], max_length=length)
    pairs = preference_rows(bundle, sequences, split=SPLIT)
    judged = [p for p in bundle.pairs(SPLIT) if p.weight > 0]
    steps = 6
    found: list[Figures] = []

    def note(name: str, says: str, interval: Interval) -> None:
        shares = {"mean": interval.mean, "low": interval.low, "high": interval.high}
        found.append({"judge": name, "says": says, **shares})
        advance(len(found), steps)

    def share(chosen: npt.NDArray[np.float64], rejected: npt.NDArray[np.float64]) -> Interval:
        return cluster_bootstrap(
            (chosen > rejected) + 0.5 * (chosen == rejected),
            pairs.prompts,
            rng=np.random.default_rng(options.seed),
            resamples=options.resamples,
        )

    sizes = [[len(bundle.content(g)) for g in (p.chosen_id, p.rejected_id)] for p in judged]
    lengths = np.array(sizes, dtype=np.float64).reshape(-1, 2)
    note("shorter", "Prefers the shorter answer", share(-lengths[:, 0], -lengths[:, 1]))
    scorer = RewardScorer.load(folders["reward"])
    texts = [bundle.prompt_text(p.prompt_id) for p in judged]
    scores = [
        np.array(scorer.score(texts, [bundle.content(g) for g in side]))
        for side in ([p.chosen_id for p in judged], [p.rejected_id for p in judged])
    ]
    note("reward", "Reward model", share(*scores))
    for name in ("base", "dpo"):
        likelihood = (
            _per_token(policies[name], sequences, rows) for rows in (pairs.chosen, pairs.rejected)
        )
        what = {"base": "Base policy's likelihood", "dpo": "DPO policy's likelihood"}[name]
        note(f"{name}_likelihood", what, share(*likelihood))
    for name, what in (
        ("sft", "DPO's implicit reward, before"),
        ("dpo", "DPO's implicit reward, after"),
    ):
        interval = policy_agreement(
            policies[name], policies["base"], bundle, split=SPLIT, max_length=length,
            seed=options.seed, resamples=options.resamples, sequences=sequences,
        )  # fmt: skip
        note("implicit_before" if name == "sft" else "implicit_after", what, interval)
    return found


def _per_token(
    backbone: Emu3Backbone, sequences: Sequences, rows: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    scores: npt.NDArray[np.float64] = sequence_scores(backbone, sequences, rows)
    return scores / sequences.completion_lengths(rows)


def _parameters(folder: Path) -> int:
    from safetensors import safe_open

    total = 0
    for file in folder.glob("*.safetensors"):
        with safe_open(file, framework="np") as weights:
            total += sum(int(np.prod(weights.get_slice(k).get_shape())) for k in weights.keys())  # noqa: SIM118
    return total
