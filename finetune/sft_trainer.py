"""Supervised fine-tuning: the policy imitates the generations that people preferred."""

import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from backbone.emu3 import Emu3Backbone
from data_contracts.errors import FlywheelError
from data_contracts.training import TrainingBundle
from finetune.config import SftConfig
from finetune.grammar_mass import GrammarMass
from finetune.training_run import TrainingRun
from reward_models.preferences import FloatArray, preference_rows, training_order
from reward_models.sequences import IntArray, Sequences, read_sequences
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
from reward_models.watch import Logbook, Watch


def train_sft(
    bundle: TrainingBundle,
    *,
    policy: Emu3Backbone,
    config: SftConfig,
    watch: Watch | None = None,
    sequences: Sequences | None = None,
) -> TrainingRun:
    """Train a copy of *policy* to write the preferred generations; *policy* stays as it is.

    Args:
        bundle: pairs and content.
        policy: where training starts.
        config: how.
        watch: who looks on, and where states are kept.
        sequences: the bundle's training split as already read with *policy*; None reads it.

    Raises:
        FlywheelError: nothing to imitate, bad pairs, a loss that is not a number (with its
            step), or another number of processes than expected.
        TrainingStopped: *watch* asked for it.
    """
    started, watch = time.perf_counter(), watch or Watch()
    if sequences is None:
        sequences = read_sequences(bundle, policy, splits=["train"], max_length=config.max_length)
    rows = imitation_rows(bundle, sequences, split="train")
    order = training_order(
        len(rows), steps=config.max_steps, batch_size=config.batch_size, seed=config.seed
    )
    with training_session(config) as scratch:
        model = working_copy(policy.model, config)
        trained = Emu3Backbone(
            model, policy.tokenizer, grid=policy.grid, batch_size=policy.batch_size
        )
        book = Logbook(config, watch)
        mass = GrammarMass(model, policy.ids.visual) if config.grammar_weight else None
        try:
            run_trainer(
                WeightedSFTTrainer(
                    model=model,
                    args=_arguments(config, scratch, watch),
                    data_collator=ImitationCollator(sequences=sequences, rows=rows),
                    train_dataset=Dataset.from_dict({"row": order.ravel()}),
                    processing_class=policy.tokenizer,
                    callbacks=[book],
                    grammar_weight=config.grammar_weight,
                    mass=mass,
                ),
                book,
                watch,
            )
        finally:
            if mass is not None:
                mass.close()
            restore_forward(model)
    model.eval()
    return TrainingRun(
        backbone=trained,
        curves=book.curves,
        samples_seen=samples_by_step(order.tolist(), rows.names),
        seconds=time.perf_counter() - started,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImitationRows:
    """n generations worth imitating."""

    names: tuple[str, ...]  # generation ids
    sequence: IntArray  # (n,) rows of the sequences
    weight: FloatArray  # (n,) in (0, 1]

    def __len__(self) -> int:
        return len(self.names)


def imitation_rows(bundle: TrainingBundle, sequences: Sequences, *, split: str) -> ImitationRows:
    """Return each generation that won more than it lost, once.

    A pair gives its chosen generation weight * (2 target - 1) and takes as much from the
    rejected one; sums above 1 count as 1, so that a generation shown often is not imitated more.

    Raises:
        FlywheelError: bad pairs, or no generation won more than it lost.
    """
    pairs = preference_rows(bundle, sequences, split=split)
    balance: dict[int, float] = defaultdict(float)
    votes = pairs.weight * (2 * pairs.target - 1)
    for chosen, rejected, vote in zip(pairs.chosen, pairs.rejected, votes, strict=True):
        balance[int(chosen)] += float(vote)
        balance[int(rejected)] -= float(vote)
    kept = [row for row in sorted(balance) if balance[row] > 0]
    if not kept:
        raise FlywheelError(
            f"split {split}: no generation won more than it lost; there is nothing to imitate"
        )
    generation = {row: key[1] for key, row in sequences.row_of.items()}
    return ImitationRows(
        names=tuple(generation[row] for row in kept),
        sequence=np.array(kept, np.int64),
        weight=np.array([min(balance[row], 1.0) for row in kept]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImitationCollator:
    """Makes a batch of k sequences whose prompts carry no loss."""

    sequences: Sequences
    rows: ImitationRows

    def __call__(self, examples: list[dict[str, int]]) -> dict[str, torch.Tensor]:
        picked = np.array([example["row"] for example in examples], np.int64)
        rows, weight = self.rows.sequence[picked], self.rows.weight[picked]
        ids, completion = self.sequences.padded(rows)
        tokens = weight * self.sequences.completion_lengths(rows)
        return {
            "input_ids": ids,
            "labels": ids.masked_fill(~completion, -100),
            "weight": torch.from_numpy(weight.astype(np.float32)),
            "totals": torch.tensor([weight.sum(), tokens.sum()], dtype=torch.float32),
        }


class WeightedSFTTrainer(OrderedRows, SFTTrainer):
    """TRL's SFT on completions only, with a weight w for every sample.

    loss = sum w * NLL / sum w * tokens + grammar_weight * sum w * lost / sum w, over a whole step,
    its parts and all processes; *lost* is what `GrammarMass` says. With equal weights and no
    second term this is TRL's own loss, a mean over tokens.
    """

    def __init__(self, *, grammar_weight: float, mass: GrammarMass | None, **options: Any) -> None:
        self._grammar_weight, self._mass = grammar_weight, mass
        super().__init__(**options)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return this part's share of the step's loss."""
        totals = inputs["totals"] if num_items_in_batch is None else num_items_in_batch
        output = model(
            input_ids=inputs["input_ids"],
            labels=inputs["labels"],
            use_cache=False,
            fused_lm_head=True,
        )
        right = output.is_top1[output.label_mask].float().mean()
        self._note(mean_token_accuracy=right)
        loss: torch.Tensor = -(inputs["weight"] * output.log_probs.sum(1)).sum() / totals[1]
        if self._mass is not None:
            lost = self._mass.lost(inputs["labels"], output.log_probs)
            grammar = (inputs["weight"] * lost).sum() / totals[0]
            parts = self.current_gradient_accumulation_steps * self.accelerator.num_processes
            self._note(loss__grammar=grammar * parts)
            loss = loss + self._grammar_weight * grammar
        return self._checked(loss)


def _arguments(config: SftConfig, scratch: Path, watch: Watch) -> SFTConfig:
    arguments = SFTConfig(
        **trainer_arguments(config, scratch, watch),
        max_length=None,  # sequences are cut when they are read
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    check_world(arguments.world_size, config)
    return arguments
