"""Trains a reward model of several aspects on pairs with ties, prompt by prompt."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from trl import RewardConfig as TrlRewardConfig
from trl import RewardTrainer

from backbone.emu3 import Emu3Backbone
from data_contracts.training import TrainingBundle
from reward_models.aspect_model import aspect_model_from
from reward_models.aspect_pairs import AspectRows, aspect_rows
from reward_models.aspect_report import AspectFigures
from reward_models.aspect_scorer import AspectRewardScorer, answer_batch
from reward_models.aspect_validation import validated
from reward_models.bias_report import Bias
from reward_models.config import AspectConfig
from reward_models.heat_trainer import HeatRun, learn_heat
from reward_models.information import written_prompts
from reward_models.preferences import training_order
from reward_models.sequences import Sequences, read_sequences
from reward_models.session import (
    OrderedRows,
    check_world,
    restore_forward,
    run_trainer,
    trainer_arguments,
    training_session,
    working_copy,
)
from reward_models.ties import closed_margins, tie_losses
from reward_models.watch import Curves, Logbook, Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class AspectRun:
    """A calibrated reward model, how it got there, and its report on validation pairs by aspect.

    The calibration is fitted on one half of the validation prompts and reported on the other,
    then fitted on all of them.
    """

    scorer: AspectRewardScorer
    curves: Curves
    report: dict[str, AspectFigures]  # aspects with validation pairs
    bias: dict[str, dict[str, Bias]]  # the same aspects: what scores make of length, of motion
    heat: HeatRun | None  # None: people pointed in too few answers, or everywhere
    everywhere: tuple[str, ...]  # aspects without a map: people pointed at everything
    samples_seen: tuple[tuple[int, tuple[str, ...]], ...]  # (step from 1, pair names)
    seconds: float  # wall clock; differs from run to run


def train_aspects(
    bundle: TrainingBundle,
    *,
    backbone: Emu3Backbone,
    config: AspectConfig,
    watch: Watch | None = None,
    sequences: Sequences | None = None,
) -> AspectRun:
    """Train a reward model of every aspect that *bundle*'s training pairs name.

    Args:
        bundle: pairs and content; the validation split fits the calibration. Where it knows
            critiques too, the model also learns heat maps, which change nothing else of it.
        backbone: whose trunk, language head and tokenizer the model starts with.
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
    rows = aspect_rows(bundle, sequences, split="train", answers=config.answers)
    order = training_order(
        rows.groups, steps=config.max_steps, batch_size=config.batch_size, seed=config.seed
    )
    with training_session(config) as scratch:
        model = working_copy(aspect_model_from(backbone, rows.aspects), config)
        trained = Emu3Backbone(
            model, backbone.tokenizer, grid=backbone.grid, batch_size=backbone.batch_size
        )
        _measure_units(trained, sequences, rows, config)
        book = Logbook(config, watch)
        arguments = TrlRewardConfig(**trainer_arguments(config, scratch, watch), max_length=None)
        check_world(arguments.world_size, config)
        try:
            run_trainer(
                AspectTrainer(
                    model=model,
                    args=arguments,
                    data_collator=GroupCollator(sequences=sequences, rows=rows),
                    train_dataset=Dataset.from_dict({"row": order.ravel()}),
                    processing_class=backbone.tokenizer,
                    callbacks=[book],
                    head_learning_rate=config.head_learning_rate,
                ),
                book,
                watch,
            )
        finally:
            restore_forward(model)
    model.eval()
    asked = written_prompts(backbone, count=config.other_prompts, seed=config.seed)
    found = validated(bundle, trained, sequences, rows.aspects, config, asked=asked)
    heat, everywhere = learn_heat(bundle, trained, sequences, config)
    return AspectRun(
        scorer=AspectRewardScorer(
            trained,
            name=f"aspects:{bundle.digest[:12]}",
            aspects=rows.aspects,
            max_length=config.max_length,
            batch_size=config.score_batch_size,
            calibrations=found.calibrations,
            heat=None if heat is None else heat.head,
            asked=asked,
        ),
        heat=heat,
        everywhere=everywhere,
        bias=found.bias,
        curves=book.curves,
        report=found.report,
        samples_seen=tuple(
            (step, tuple(rows.names[r] for r in rows.of(groups)))
            for step, groups in enumerate(order, start=1)
        ),
        seconds=time.perf_counter() - started,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupCollator:
    """Makes a batch of whole groups: every answer once, and the pairs as places in the batch."""

    sequences: Sequences
    rows: AspectRows

    def __call__(self, examples: list[dict[str, int]]) -> dict[str, torch.Tensor]:
        rows = self.rows
        # A group that is drawn twice counts once more.
        drawn = np.array([example["row"] for example in examples], np.int64)
        pairs = np.concatenate([rows.of(group) for group in drawn])
        both = np.stack([rows.chosen[pairs], rows.rejected[pairs]])
        answers, place = np.unique(both, return_inverse=True)
        weight = rows.weight[pairs].astype(np.float32)
        return {
            **answer_batch(self.sequences, answers),
            "sides": torch.from_numpy(place.reshape(both.shape)),
            "aspect": torch.from_numpy(rows.aspect[pairs]),
            "masses": torch.from_numpy(rows.masses[pairs].astype(np.float32)),
            "weight": torch.from_numpy(weight),
            "totals": torch.tensor([weight.sum()]),
        }


class AspectTrainer(OrderedRows, RewardTrainer):
    """TRL's reward training with ties, aspects and a weight for every pair.

    loss = sum w * -log p(answer) / sum w, p after Rao and Kupper, over a whole step, its parts
    and all processes.
    """

    optimizer: Any

    def __init__(self, *, head_learning_rate: float, **told: Any) -> None:
        self._head_learning_rate = head_learning_rate
        super().__init__(**told)

    def create_optimizer(self, model: Any = None) -> Any:
        """Give what starts from nothing its own learning rate."""
        if self.optimizer is None:
            heads = {id(p) for p in self.model.heads}
            rest = [p for p in self.model.parameters() if p.requires_grad and id(p) not in heads]
            self.optimizer = torch.optim.AdamW(
                [
                    {"params": rest, "lr": self.args.learning_rate},
                    {"params": self.model.heads, "lr": self._head_learning_rate},
                ],
                weight_decay=self.args.weight_decay,
            )
        return self.optimizer

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return this part's share of the step's loss."""
        totals = inputs["totals"] if num_items_in_batch is None else num_items_in_batch
        read = ("input_ids", "attention_mask", "completion")
        out = model(**{name: inputs[name] for name in read})
        sides, aspect = inputs["sides"], inputs["aspect"]
        mean, log_sigma = out.mean[sides, aspect], out.log_sigma[sides, aspect]
        margin = closed_margins(mean, log_sigma)
        bare = self.accelerator.unwrap_model(model)
        losses = tie_losses(margin, bare.widths[aspect], inputs["masses"])
        self._note(accuracy=(margin > 0).float(), margin=margin)
        return self._checked((inputs["weight"] * losses).sum() / totals[0])

    def _note(self, **values: torch.Tensor) -> None:
        # Parts hold different numbers of pairs, which processes cannot gather.
        super()._note(**{name: value.float().mean() for name, value in values.items()})


def _measure_units(
    trained: Emu3Backbone, sequences: Sequences, rows: AspectRows, config: AspectConfig
) -> None:
    answers = np.unique(np.concatenate([rows.chosen, rows.rejected]))
    rng = np.random.default_rng(config.seed)
    some = rng.choice(answers, min(len(answers), config.standard_answers), replace=False)
    batch = answer_batch(sequences, np.sort(some))
    trained.model.measure_units(**{k: v.to(trained.device) for k, v in batch.items()})
