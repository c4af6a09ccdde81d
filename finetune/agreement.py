"""How often a policy ranks held-back pairs as people did; works for text and for pictures."""

import numpy as np
import torch

from backbone.emu3 import Emu3Backbone
from data_contracts.training import TrainingBundle
from reward_models.interval import Interval, cluster_bootstrap
from reward_models.preferences import FloatArray, preference_rows
from reward_models.sequences import IntArray, Sequences, read_sequences


def policy_agreement(
    candidate: Emu3Backbone,
    reference: Emu3Backbone,
    bundle: TrainingBundle,
    *,
    split: str,
    max_length: int,
    seed: int,
    resamples: int = 2000,
    sequences: Sequences | None = None,
) -> Interval:
    """Return the share of pairs whose chosen generation gained more likelihood than the other.

    DPO's implicit reward, log p_candidate - log p_reference, ranks the pair; a tie counts half,
    so that the reference agrees with itself by .5. The interval is over prompts.

    Args:
        candidate: the policy that was trained.
        reference: what it was trained against.
        bundle: pairs and content.
        split: which pairs.
        max_length: tokens of prompt and completion, as in training.
        seed: of the resamples.
        resamples: how many.
        sequences: *split* as already read; None reads it.

    Raises:
        FlywheelError: no pair of *split* has a weight.
    """
    if sequences is None:
        sequences = read_sequences(bundle, candidate, splits=[split], max_length=max_length)
    pairs = preference_rows(bundle, sequences, split=split)
    used, place = np.unique(np.concatenate([pairs.chosen, pairs.rejected]), return_inverse=True)
    gain = sequence_scores(candidate, sequences, used) - sequence_scores(reference, sequences, used)
    chosen, rejected = gain[place[: len(pairs)]], gain[place[len(pairs) :]]
    return cluster_bootstrap(
        (chosen > rejected) + 0.5 * (chosen == rejected),
        pairs.prompts,
        rng=np.random.default_rng(seed),
        resamples=resamples,
    )


@torch.inference_mode()
def sequence_scores(
    backbone: Emu3Backbone, sequences: Sequences, rows: IntArray, *, batch_size: int = 64
) -> FloatArray:
    """Return (k,) log-probabilities of the completions of *rows*, in nats."""
    scores = np.empty(len(rows))
    order = np.argsort(sequences.lengths(rows), kind="stable")
    for start in range(0, len(rows), batch_size):
        part = order[start : start + batch_size]
        ids, completion = (t.to(backbone.device) for t in sequences.padded(rows[part]))
        logits = backbone.model(input_ids=ids, use_cache=False).logits[:, :-1]
        logps = logits.float().log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
        scores[part] = (logps * completion[:, 1:]).sum(1).double().cpu().numpy()
    return scores
