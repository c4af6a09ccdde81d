"""Target: the one place that turns a probability into what training aims at, and how hard.

Uncertainty is counted once: here, as a weight. A soft target would tell a reward model that two
generations are nearly equal, when all we mean is that we do not know; so soft targets are kept
for pairs on which annotators truly split.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from data_contracts.errors import ContractError, ShapeError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSettings:
    """When a pair is kept, and when its target is soft."""

    min_confidence: float = 0.65  # below it a pair is undecided
    split_votes: int = 5  # direct comparisons from which a split can be told from noise
    split_share: float = 0.3  # of them for the loser, from which annotators truly split

    def __post_init__(self) -> None:
        if not 0.5 <= self.min_confidence <= 1:
            raise ContractError(
                f"min_confidence is {self.min_confidence}; give a probability in [.5, 1]"
            )


class Targets(NamedTuple):
    """Per pair: what to aim at in [.5, 1], how much to care in [0, 1], and whether it is kept."""

    target: FloatArray
    weight: FloatArray
    kept: NDArray[np.bool_]


def targets(
    probability: FloatArray,
    *,
    settings: TargetSettings,
    votes_for: FloatArray | None = None,
    votes: FloatArray | None = None,
    equal: FloatArray | None = None,
) -> Targets:
    """Turn P(chosen is better) into target, weight, and whether the pair is kept.

    Args:
        probability: (n,) in [.5, 1].
        settings: thresholds.
        votes_for: (n,) direct comparisons won by the chosen (ties count half); None: no votes.
        votes: (n,) direct comparisons in all.
        equal: (n,) chance that both are equally good; where that is sure, the pair is kept as a
            tie, whose target is .5. None: a pair that is probably a tie is undecided.

    Raises:
        ShapeError: votes and probabilities differ in number.
        ContractError: a probability is outside [.5, 1] or not a number.

    Example:
        >>> targets(np.array([0.9, 0.55]), settings=TargetSettings())
        Targets(target=array([1., 1.]), weight=array([0.8, 0.1]), kept=array([ True, False]))
    """
    if not bool(np.all((probability >= 0.5) & (probability <= 1.0 + 1e-12))):
        raise ContractError(
            "pairs: a probability is outside [.5, 1]; choose the likelier one first"
        )
    for_it = np.zeros_like(probability) if votes_for is None else votes_for
    total = np.zeros_like(probability) if votes is None else votes
    if for_it.shape != probability.shape or total.shape != probability.shape:
        raise ShapeError(f"{len(probability)} pairs but votes for {len(total)}; give one of each")
    share_for = np.where(total > 0, for_it / np.maximum(total, 1.0), 1.0)
    split = (total >= settings.split_votes) & (
        np.minimum(share_for, 1 - share_for) >= settings.split_share
    )
    soft = np.maximum(share_for, 0.5)
    # A split is itself well known, so its pair counts in full; the target carries the split.
    alike = np.zeros_like(probability) if equal is None else equal
    tied = ~split & (alike >= settings.min_confidence)
    sure = 2 * np.where(tied, alike, probability) - 1
    return Targets(
        target=np.where(split, soft, np.where(tied, 0.5, 1.0)),
        weight=np.where(split, 1.0, np.round(np.minimum(sure, 1.0), 12)),
        kept=split | tied | (probability >= settings.min_confidence),
    )
