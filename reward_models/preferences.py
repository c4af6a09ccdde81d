"""Pairs as rows of numbers: which sequence beats which, how surely, and in what order."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from data_contracts.errors import FlywheelError
from data_contracts.training import TrainingBundle
from reward_models.sequences import IntArray, Sequences

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceRows:
    """n pairs over some `Sequences`."""

    names: tuple[str, ...]
    prompts: tuple[str, ...]  # prompt ids
    chosen: IntArray  # (n,) rows of the sequences
    rejected: IntArray  # (n,)
    target: FloatArray  # (n,) what training aims at, in [0, 1]
    weight: FloatArray  # (n,) above 0

    def __len__(self) -> int:
        return len(self.names)


def preference_rows(bundle: TrainingBundle, sequences: Sequences, *, split: str) -> PreferenceRows:
    """Return the pairs of *split* that weigh anything; the others could not change a weight.

    Raises:
        FlywheelError: a target or weight outside its range, or nothing left.
    """
    pairs = bundle.pairs(split)
    target = np.array([p.target for p in pairs], np.float64)
    weight = np.array([p.weight for p in pairs], np.float64)
    bad = ~((target >= 0) & (target <= 1) & (weight >= 0) & (weight < np.inf))
    if bad.any():
        named = "; ".join(pairs[i].pair_id for i in np.flatnonzero(bad)[:10])
        raise FlywheelError(
            f"split {split}: {int(bad.sum())} of {len(pairs)} pairs have a target outside [0, 1] "
            f"or a weight below 0: {named}"
        )
    kept = [pair for pair, w in zip(pairs, weight, strict=True) if w > 0]
    if not kept:
        raise FlywheelError(
            f"split {split}: none of {len(pairs)} pairs has a weight above 0; "
            "there is nothing to learn from"
        )
    return PreferenceRows(
        names=tuple(p.pair_id for p in kept),
        prompts=tuple(p.prompt_id for p in kept),
        chosen=sequences.rows((p.prompt_id, p.chosen_id) for p in kept),
        rejected=sequences.rows((p.prompt_id, p.rejected_id) for p in kept),
        target=target[weight > 0],
        weight=weight[weight > 0],
    )


def training_order(rows: int, *, steps: int, batch_size: int, seed: int) -> IntArray:
    """Return (steps, batch_size) rows: shuffled passes, one after another, cut to length.

    Example:
        >>> np.sort(training_order(4, steps=2, batch_size=2, seed=0), axis=None)
        array([0, 1, 2, 3])
    """
    rng = np.random.default_rng(seed)
    passes = -(-steps * batch_size // rows)
    order = np.concatenate([rng.permutation(rows) for _ in range(passes)])
    return order[: steps * batch_size].reshape(steps, batch_size)


def logistic_sum(margins: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return sum w * -(p log sigma(d) + (1 - p) log sigma(-d)) over pairs.

    Not divided by sum w: only the caller knows the sum over all parts of a step.

    Args:
        margins: (n,) d, how far the model prefers the chosen one, in log-odds.
        target: (n,) p, the probability to aim at.
        weight: (n,) w.
    """
    win = torch.nn.functional.logsigmoid(margins)
    lose = torch.nn.functional.logsigmoid(-margins)
    return -(weight * (target * win + (1 - target) * lose)).sum()
