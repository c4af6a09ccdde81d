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
    votes_tied: FloatArray | None = None,
    equal: FloatArray | None = None,
) -> Targets:
    """Turn P(chosen is better) into target, weight, and whether the pair is kept.

    Args:
        probability: (n,) in [.5, 1].
        settings: thresholds.
        votes_for: (n,) direct comparisons won by the chosen (ties count half); None: no votes.
        votes: (n,) direct comparisons in all.
        votes_tied: (n,) of them, those that called both equal; None: none. They split nobody.
        equal: (n,) chance that both are equally good; where that is sure, the pair is kept as a
            tie, whose target is .5. None: a pair that is probably a tie is undecided, and so is
            one on which annotators split evenly, for it has nothing to imitate.

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
    nobody = np.zeros_like(probability)
    for_it, total, tied_votes = (
        nobody if given is None else given for given in (votes_for, votes, votes_tied)
    )
    if not for_it.shape == total.shape == tied_votes.shape == probability.shape:
        raise ShapeError(f"{len(probability)} pairs but votes for {len(total)}; give one of each")
    lost = total - for_it - tied_votes / 2
    least = np.minimum(for_it - tied_votes / 2, lost)
    split = (total >= settings.split_votes) & (least >= settings.split_share * total - 1e-9)
    soft = np.maximum(np.where(total > 0, for_it / np.maximum(total, 1.0), 1.0), 0.5)
    # A split is itself well known, so its pair counts in full; the target carries the split.
    alike = nobody if equal is None else equal
    aimless = split & (soft == 0.5) & (equal is None)
    tied = ~split & (alike >= settings.min_confidence)
    sure = 2 * np.where(tied, alike, probability) - 1
    return Targets(
        target=np.where(split, soft, np.where(tied, 0.5, 1.0)),
        weight=np.where(split, 1.0, np.round(np.minimum(sure, 1.0), 12)),
        kept=~aimless & (split | tied | (probability >= settings.min_confidence)),
    )
