"""Trains a reward model on pairs, each with its own target and weight."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from trl import RewardConfig as TrlRewardConfig
from trl import RewardTrainer

from backbone.emu3 import Emu3Backbone
from data_contracts.training import TrainingBundle
from reward_models.calibration import Calibration, fit_calibration
from reward_models.config import RewardConfig
from reward_models.interval import Interval, cluster_bootstrap
from reward_models.model import reward_model_from
from reward_models.preferences import (
    PreferenceRows,
    logistic_sum,
    preference_rows,
    training_order,
)
from reward_models.scorer import RewardScorer, raw_scores
from reward_models.sequences import Sequences, read_sequences
from reward_models.session import (
    OrderedRows,
    check_world,
    restore_forward,
    run_trainer,
    samples_by_step,
    trainer_arguments,
    training_session,
    working_copy,
)
from reward_models.watch import Curves, Logbook, Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardRun:
    """A calibrated reward model, how it got there, and how often it agrees with held-back pairs."""

    scorer: RewardScorer
    curves: Curves  # (step, value) points by name
    validation: Interval | None  # share of validation pairs ranked as people did; None: no pairs
    validation_pairs: int
    samples_seen: tuple[tuple[int, tuple[str, ...]], ...]  # (step from 1, pair names)
    seconds: float  # wall clock; differs from run to run


def train_reward(
    bundle: TrainingBundle,
    *,
    backbone: Emu3Backbone,
    config: RewardConfig,
    watch: Watch | None = None,
    sequences: Sequences | None = None,
) -> RewardRun:
    """Train a reward model from *backbone*'s trunk, which stays as it is.

    Args:
        bundle: pairs and content; the validation split fits the calibration.
        backbone: whose trunk and tokenizer the model starts with.
        config: how.
        watch: who looks on, and where states are kept.
        sequences: the bundle's training and validation splits as already read; None reads them.

    Raises:
        FlywheelError: nothing to learn from, bad pairs, a loss that is not a number (with its
            step), or another number of processes than expected.
        TrainingStopped: *watch* asked for it.
    """
    started, watch = time.perf_counter(), watch or Watch()
    if sequences is None:
        sequences = read_sequences(
            bundle, backbone, splits=["train", "validation"], max_length=config.max_length
        )
    rows = preference_rows(bundle, sequences, split="train")
    order = training_order(
        len(rows), steps=config.max_steps, batch_size=config.batch_size, seed=config.seed
    )
    with training_session(config) as scratch:
        model = working_copy(reward_model_from(backbone), config)
        trained = Emu3Backbone(
            model, backbone.tokenizer, grid=backbone.grid, batch_size=backbone.batch_size
        )
        book = Logbook(config, watch)
        try:
            run_trainer(
                WeightedRewardTrainer(
                    model=model,
                    args=_arguments(config, scratch, watch),
                    data_collator=RankingCollator(sequences=sequences, rows=rows),
                    train_dataset=Dataset.from_dict({"row": order.ravel()}),
                    processing_class=backbone.tokenizer,
                    callbacks=[book],
                ),
                book,
                watch,
            )
        finally:
            restore_forward(model)
    model.eval()
    calibration, validation, pairs = _validated(bundle, trained, sequences, config)
    return RewardRun(
        scorer=RewardScorer(
            trained,
            name=f"reward:{bundle.digest[:12]}",
            max_length=config.max_length,
            batch_size=config.score_batch_size,
            calibration=calibration,
        ),
        curves=book.curves,
        validation=validation,
        validation_pairs=pairs,
        samples_seen=samples_by_step(order.tolist(), rows.names),
        seconds=time.perf_counter() - started,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingCollator:
    """Makes a batch of k pairs: rows 0 .. k-1 the chosen ones, k .. 2k-1 the rejected."""

    sequences: Sequences
    rows: PreferenceRows

    def __call__(self, examples: list[dict[str, int]]) -> dict[str, torch.Tensor]:
        pairs = np.array([example["row"] for example in examples], np.int64)
        both = np.concatenate([self.rows.chosen[pairs], self.rows.rejected[pairs]])
        ids, _ = self.sequences.padded(both)
        lengths = torch.from_numpy(self.sequences.lengths(both))
        weight = self.rows.weight[pairs].astype(np.float32)
        return {
            "input_ids": ids,
            "attention_mask": (torch.arange(ids.shape[1]) < lengths[:, None]).long(),
            "target": torch.from_numpy(self.rows.target[pairs].astype(np.float32)),
            "weight": torch.from_numpy(weight),
            "totals": torch.tensor([weight.sum()]),
        }


class WeightedRewardTrainer(OrderedRows, RewardTrainer):
    """TRL's reward training with a target p and a weight w for every pair.

    loss = sum w * -(p log sigma(d) + (1 - p) log sigma(-d)) / sum w, d = r(chosen) - r(rejected),
    over a whole step, its parts and all processes.
    """

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return this part's share of the step's loss."""
        totals = inputs["totals"] if num_items_in_batch is None else num_items_in_batch
        out = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
        chosen, rejected = out.logits[:, 0].chunk(2)
        margin = chosen - rejected
        self._note(accuracy=(margin > 0).float(), margin=margin)
        return self._checked(logistic_sum(margin, inputs["target"], inputs["weight"]) / totals[0])


def _arguments(config: RewardConfig, scratch: Path, watch: Watch) -> TrlRewardConfig:
    arguments = TrlRewardConfig(**trainer_arguments(config, scratch, watch), max_length=None)
    check_world(arguments.world_size, config)
    return arguments


def _validated(
    bundle: TrainingBundle, trained: Emu3Backbone, sequences: Sequences, config: RewardConfig
) -> tuple[Calibration, Interval | None, int]:
    """Return the calibration and the accuracy on validation pairs; a tie counts half."""
    if not any(pair.weight > 0 for pair in bundle.pairs("validation")):
        return Calibration(), None, 0
    rows = preference_rows(bundle, sequences, split="validation")
    used, place = np.unique(np.concatenate([rows.chosen, rows.rejected]), return_inverse=True)
    raw = raw_scores(trained, sequences, used, batch_size=config.score_batch_size)[place]
    chosen, rejected = raw[: len(rows)], raw[len(rows) :]
    accuracy = cluster_bootstrap(
        (chosen > rejected) + 0.5 * (chosen == rejected),
        rows.prompts,
        rng=np.random.default_rng(config.seed),
        resamples=config.resamples,
    )
    return fit_calibration(chosen, rejected, rows.target, rows.weight), accuracy, len(rows)
