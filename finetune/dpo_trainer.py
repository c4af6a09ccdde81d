"""Direct preference optimisation with a target and a weight for every pair."""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from accelerate.utils import gather_object
from datasets import Dataset
from trl import DPOConfig, DPOTrainer
from trl.trainer.utils import add_fused_lm_head

from backbone.emu3 import Emu3Backbone
from data_contracts.errors import FlywheelError
from data_contracts.training import TrainingBundle
from finetune.config import DpoConfig
from finetune.grammar_mass import GrammarMass
from finetune.training_run import TrainingRun
from reward_models.preferences import (
    FloatArray,
    PreferenceRows,
    logistic_sum,
    preference_rows,
    training_order,
)
from reward_models.sequences import IntArray, Sequences, read_sequences
from reward_models.session import (
    OrderedRows,
    check_world,
    on_device,
    restore_forward,
    run_trainer,
    samples_by_step,
    trainer_arguments,
    training_session,
    working_copy,
)
from reward_models.watch import Logbook, Watch


def train_dpo(
    bundle: TrainingBundle,
    *,
    policy: Emu3Backbone,
    reference: Emu3Backbone,
    config: DpoConfig,
    watch: Watch | None = None,
    sequences: Sequences | None = None,
) -> TrainingRun:
    """Train a copy of *policy* on the training pairs; *policy* and *reference* stay as they are.

    Args:
        bundle: pairs and content.
        policy: where training starts; may be *reference*.
        reference: the policy released last, with the same vocabulary.
        config: how.
        watch: who looks on, and where states are kept.
        sequences: the bundle's training split as already read with *policy*; None reads it.

    Raises:
        FlywheelError: nothing to learn from, bad pairs, other vocabularies, a loss that is not
            a number (with its step), or another number of processes than expected.
        TrainingStopped: *watch* asked for it.
    """
    started, watch = time.perf_counter(), watch or Watch()
    if policy.tokenizer.get_vocab() != reference.tokenizer.get_vocab():
        raise FlywheelError(
            "policy and reference have different vocabularies; take both from one line of releases"
        )
    if sequences is None:
        sequences = read_sequences(bundle, policy, splits=["train"], max_length=config.max_length)
    rows = preference_rows(bundle, sequences, split="train")
    order = training_order(
        len(rows), steps=config.max_steps, batch_size=config.batch_size, seed=config.seed
    )
    with training_session(config) as scratch:
        model = working_copy(policy.model, config)
        anchor = on_device(reference.model, config)
        trained = Emu3Backbone(
            model, policy.tokenizer, grid=policy.grid, batch_size=policy.batch_size
        )
        book = Logbook(config, watch)
        mass = GrammarMass(model, policy.ids.visual) if config.grammar_weight else None
        try:
            run_trainer(
                WeightedDPOTrainer(
                    model=model,
                    ref_model=anchor,
                    args=dpo_arguments(config, scratch, watch),
                    data_collator=PairCollator(sequences=sequences, rows=rows),
                    train_dataset=Dataset.from_dict({"row": order.ravel()}),
                    processing_class=policy.tokenizer,
                    callbacks=[book],
                    sft_weight=config.sft_weight,
                    grammar_weight=config.grammar_weight,
                    choice_below=config.choice_below,
                    mass=mass,
                    score_batch_size=config.score_batch_size,
                ),
                book,
                watch,
            )
        finally:
            if mass is not None:
                mass.close()
            restore_forward(model, anchor)
    model.eval()
    return TrainingRun(
        backbone=trained,
        curves=book.curves,
        samples_seen=samples_by_step(order.tolist(), rows.names),
        seconds=time.perf_counter() - started,
    )


def dpo_arguments(config: DpoConfig, scratch: Path, watch: Watch) -> DPOConfig:
    """Return TRL's own configuration of a run."""
    arguments = DPOConfig(
        **trainer_arguments(config, scratch, watch),
        beta=config.beta,
        loss_type=["sigmoid", "sft"],
        loss_weights=[1.0, config.sft_weight],
        max_length=None,  # sequences are cut when they are read
        precompute_ref_log_probs=True,
        disable_dropout=False,  # `working_copy` has done it, and left the reference alone
    )
    check_world(arguments.world_size, config)
    return arguments


@dataclass(slots=True, kw_only=True)
class PairCollator:
    """Makes a batch of k pairs: rows 0 .. k-1 the chosen ones, k .. 2k-1 the rejected."""

    sequences: Sequences
    rows: PreferenceRows
    reference: FloatArray | None = None  # log-probability by sequence, once it was scored
    choices: npt.NDArray[np.bool_] | None = None  # of all tokens, those that a preference is about

    def __call__(self, examples: list[dict[str, int]]) -> dict[str, torch.Tensor]:
        pairs = np.array([example["row"] for example in examples], np.int64)
        chosen, rejected = self.rows.chosen[pairs], self.rows.rejected[pairs]
        ids, completion = self.sequences.padded(np.concatenate([chosen, rejected]))
        weight, target = self.rows.weight[pairs], self.rows.target[pairs]
        # Where people split there is little to imitate, and nothing where they split evenly.
        imitated = weight * np.maximum(2 * target - 1, 0.0)
        tokens = imitated * self.sequences.completion_lengths(chosen)
        batch = {
            "input_ids": ids,
            "labels": ids.masked_fill(~completion, -100),
            "target": _float(target),
            "weight": _float(weight),
            "imitated": _float(imitated),
            "totals": _float(np.array([weight.sum(), tokens.sum()])),
        }
        if self.reference is not None:
            batch["ref_chosen_logps"] = _float(self.reference[chosen])
            batch["ref_rejected_logps"] = _float(self.reference[rejected])
        if self.choices is not None:
            rows = np.concatenate([chosen, rejected])
            batch["choices"] = self.sequences.padded_marks(rows, self.choices)
        return batch


class WeightedDPOTrainer(OrderedRows, DPOTrainer):
    """TRL's DPO with a target p and a weight w for every pair.

    loss = sum w * -(p log sigma(d) + (1 - p) log sigma(-d)) / sum w
         + sft_weight * sum v * NLL(chosen) / sum v * tokens(chosen)
         + grammar_weight * sum w * (lost(chosen) + lost(rejected)) / 2 sum w

    with d = beta * ((logp - ref)[chosen] - (logp - ref)[rejected]) and v = w * max(2 p - 1, 0), as
    SFT weighs what it imitates. The sums run over a whole step, over its parts and over all
    processes. The second term is TRL's `sft` loss: a mean over the chosen completions' tokens, not
    over sequences. With equal weights, p = 1 and no third term
    this is TRL's loss_type=["sigmoid", "sft"]. *lost* is what `GrammarMass` says.

    With *choice_below* under 1, logp and ref in d are sums over those tokens alone to which the
    reference gave less chance. The others follow from what came before (most of a picture is more
    of the same); pushed down wherever they were rejected, they drag all that is drawn to where it
    might begin first. ConfPO (Yoon et al. 2025, arXiv 2506.08712) chooses by the policy's own
    confidence at every step; the reference's does not move while training.
    """

    ref_model: Any

    def __init__(
        self,
        *,
        sft_weight: float,
        grammar_weight: float,
        choice_below: float,
        mass: GrammarMass | None,
        score_batch_size: int,
        **options: Any,
    ) -> None:
        self._sft_weight = sft_weight
        self._grammar_weight, self._mass = grammar_weight, mass
        self._choice_below = choice_below
        self._score_batch_size = score_batch_size
        super().__init__(**options)
        # TRL's metrics of logits and entropy cost as much as the loss; ours need only log-probs.
        del self.model.forward
        add_fused_lm_head(self.model, outputs=("log_probs",))

    def _precompute_ref_logps(self, dataset: Any, name: str, batch_size: int) -> Any:
        """Score each sequence once, however many pairs it is in; processes share the work."""
        collator = self.data_collator
        rows = np.unique(np.concatenate([collator.rows.chosen, collator.rows.rejected]))
        sequences = collator.sequences
        scores = np.full(len(sequences.prompt_lengths), np.nan)
        choices = np.zeros(len(sequences.tokens), np.bool_)
        own = rows[np.argsort(sequences.lengths(rows), kind="stable")]
        own = own[self.accelerator.process_index :: self.accelerator.num_processes]
        found = []
        for start in range(0, len(own), self._score_batch_size):
            part = own[start : start + self._score_batch_size]
            found.append((part, *self._reference_scores(sequences, part)))
        for part, values, open_ones in gather_object(found):
            scores[part] = values
            for row, marks in zip(part, open_ones, strict=True):
                choices[sequences.starts[row] : sequences.starts[row + 1]] = marks
        collator.reference = scores
        collator.choices = choices if self._choice_below < 1 else None
        self.ref_model = None
        return dataset

    @torch.no_grad()
    def _reference_scores(
        self, sequences: Sequences, rows: IntArray
    ) -> tuple[FloatArray, list[npt.NDArray[np.bool_]]]:
        """Return each row's log-probability over its choices, and which of its tokens they are."""
        ids, completion = sequences.padded(rows)
        with self.accelerator.autocast():
            logps = self.ref_model(
                input_ids=ids.to(self.accelerator.device),
                labels=ids.masked_fill(~completion, -100).to(self.accelerator.device),
                use_cache=False,
                fused_lm_head=True,
            ).log_probs
        marks = completion.clone()
        if self._choice_below < 1:
            marks[:, 1:] &= (logps < math.log(self._choice_below)).cpu()
        sums: FloatArray = (logps.cpu() * marks[:, 1:]).sum(1).double().numpy()
        lengths = sequences.lengths(rows)
        return sums, [each[:n].numpy() for each, n in zip(marks, lengths, strict=True)]

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return this part's share of the step's loss."""
        pairs, tokens = inputs["totals"] if num_items_in_batch is None else num_items_in_batch
        # No attention mask: padding is on the right, where causal attention cannot see it.
        log_probs = model(
            input_ids=inputs["input_ids"],
            labels=inputs["labels"],
            use_cache=False,
            fused_lm_head=True,
        ).log_probs
        whole, _ = log_probs.sum(1).chunk(2)
        choices = inputs.get("choices")
        judged = log_probs if choices is None else log_probs * choices[:, 1:]
        chosen, rejected = judged.sum(1).chunk(2)
        chosen_reward = self.beta * (chosen - inputs["ref_chosen_logps"])
        rejected_reward = self.beta * (rejected - inputs["ref_rejected_logps"])
        margin = chosen_reward - rejected_reward
        preference = logistic_sum(margin, inputs["target"], inputs["weight"]) / pairs
        # A step of even splits alone has no tokens to imitate.
        imitation = -(inputs["imitated"] * whole).sum() / tokens.clamp(min=1e-12)
        loss = preference + self._sft_weight * imitation
        parts = self.current_gradient_accumulation_steps * self.accelerator.num_processes
        if self._mass is not None:
            lost = self._mass.lost(inputs["labels"], log_probs).chunk(2)
            grammar = (inputs["weight"] * (lost[0] + lost[1])).sum() / (2 * pairs)
            loss = loss + self._grammar_weight * grammar
            self._note(loss__grammar=grammar * parts)
        self._note(
            loss__preference=preference * parts,
            loss__imitation=imitation * parts,
            rewards__chosen=chosen_reward,
            rewards__rejected=rejected_reward,
            rewards__margins=margin,
            rewards__accuracies=(margin > 0).float(),
        )
        return self._checked(loss)


def _float(values: FloatArray) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.float32))
