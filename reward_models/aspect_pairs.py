"""Pairs of several aspects as rows of numbers, gathered by prompt so that answers are read once."""

from dataclasses import dataclass

import numpy as np

from data_contracts.errors import FlywheelError
from data_contracts.training import TrainingBundle, TrainingPair
from reward_models.preferences import FloatArray
from reward_models.sequences import IntArray, Sequences
from reward_models.ties import outcome_masses


@dataclass(frozen=True, slots=True, kw_only=True)
class AspectRows:
    """n judged pairs over some `Sequences`, in g groups of one prompt each.

    A pair that nobody judged in an aspect has no row there: nothing is made up, nothing masked.
    """

    aspects: tuple[str, ...]  # a of them
    names: tuple[str, ...]
    prompts: tuple[str, ...]  # prompt ids
    group: IntArray  # (n,) 0 .. g - 1, rising
    aspect: IntArray  # (n,) index of the aspect
    chosen: IntArray  # (n,) rows of the sequences
    rejected: IntArray  # (n,)
    masses: FloatArray  # (n, 2) win of the chosen one, tie
    weight: FloatArray  # (n,) above 0
    skills: tuple[str, ...]  # ids of what both answers were made under; "" without

    def __len__(self) -> int:
        return len(self.names)

    @property
    def groups(self) -> int:
        """Return how many groups there are."""
        return int(self.group[-1]) + 1

    def of(self, groups: IntArray) -> IntArray:
        """Return the rows of some groups, in the order of the rows."""
        return np.flatnonzero(np.isin(self.group, groups))


def aspect_rows(
    bundle: TrainingBundle,
    sequences: Sequences,
    *,
    split: str,
    aspects: tuple[str, ...] | None = None,
    answers: int = 12,
) -> AspectRows:
    """Return the pairs of *split* that weigh anything, by prompt.

    Args:
        bundle: pairs and content.
        sequences: what the pairs compare, as tokens.
        split: which pairs.
        aspects: those wanted; None takes all that are there, in alphabetical order.
        answers: at most so many in a group; a prompt with more has several groups.

    Raises:
        FlywheelError: a target or weight outside its range, or nothing left.
    """
    pairs = [p for p in bundle.pairs(split) if aspects is None or p.aspect in aspects]
    bad = [p for p in pairs if not (0.5 <= p.target <= 1 and 0 <= p.weight < np.inf)]
    if bad:
        raise FlywheelError(
            f"split {split}: {len(bad)} of {len(pairs)} pairs have a target outside [.5, 1] or a "
            f"weight below 0: {'; '.join(p.pair_id for p in bad[:10])}"
        )
    kept = [p for p in pairs if p.weight > 0]
    if not kept:
        raise FlywheelError(
            f"split {split}: none of {len(pairs)} pairs has a weight above 0; "
            "there is nothing to learn from"
        )
    kept.sort(key=lambda p: (p.prompt_id, p.chosen_id, p.rejected_id, p.aspect))
    known = tuple(sorted({p.aspect for p in kept})) if aspects is None else aspects
    return AspectRows(
        aspects=known,
        names=tuple(p.pair_id for p in kept),
        prompts=tuple(p.prompt_id for p in kept),
        group=_groups(kept, answers),
        aspect=np.array([known.index(p.aspect) for p in kept], np.int64),
        chosen=sequences.rows((p.prompt_id, p.chosen_id) for p in kept),
        rejected=sequences.rows((p.prompt_id, p.rejected_id) for p in kept),
        masses=outcome_masses(np.array([p.target for p in kept])),
        weight=np.array([p.weight for p in kept]),
        skills=tuple(_skill(bundle, p) for p in kept),
    )


def _skill(bundle: TrainingBundle, pair: TrainingPair) -> str:
    skill = bundle.skill(pair.chosen_id)
    return "" if skill is None else skill.skill_id


def _groups(pairs: list[TrainingPair], answers: int) -> IntArray:
    """Number the pairs' groups: a new one for a new prompt, or where the last one is full."""
    found, number, prompt = np.zeros(len(pairs), np.int64), -1, None
    inside: set[str] = set()
    for row, pair in enumerate(pairs):
        grown = inside | {pair.chosen_id, pair.rejected_id}
        if pair.prompt_id != prompt or len(grown) > max(answers, 2):
            number, prompt = number + 1, pair.prompt_id
            grown = {pair.chosen_id, pair.rejected_id}
        inside, found[row] = grown, number
    return found
