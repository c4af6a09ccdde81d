"""How well a heat map finds what people pointed at; no torch, so that pages read it for free."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from data_contracts.errors import ShapeError
from reward_models.interval import Interval, cluster_bootstrap
from reward_models.preferences import FloatArray

EXAMPLES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatFigures:
    """What was measured of one aspect, over answers of unseen prompts in which people pointed.

    Each is a mean over answers of `hotter_share`, with its interval over answers.
    """

    answers: int
    heat: Interval
    mean_map: Interval  # where people pointed in training, the same for every answer
    surprise: Interval  # the token's own negative log-likelihood
    over_mean_map: Interval  # paired difference
    over_surprise: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatExample:
    """One answer's map in one aspect, beside where people pointed; ids, never content."""

    generation_id: str
    aspect: str
    shape: tuple[int, ...]  # (rows, columns), or (frames, rows, columns) of a film
    heat: tuple[float, ...]  # by visual token, in the order of *shape*
    pointed: tuple[float, ...]  # share of those who pointed


def hotter_share(heat: FloatArray, share: FloatArray) -> float:
    """Return how often a token that people pointed at is hotter than one that they did not (AUC).

    Equals count half. A token that some of those who pointed pointed at counts as both, in parts.

    Args:
        heat: (tokens,) any scale.
        share: (tokens,) in [0, 1], neither all 0 nor all 1.

    Raises:
        ShapeError: they differ in length, or one of the two kinds is missing.

    Example:
        >>> hotter_share(np.array([3.0, 1.0, 2.0]), np.array([1.0, 0.0, 1.0]))
        1.0
        >>> hotter_share(np.array([3.0, 1.0, 1.0]), np.array([0.0, 0.0, 1.0]))
        0.25
    """
    if heat.shape != share.shape or not 0 < share.sum() < len(share):
        raise ShapeError(
            f"heat over {len(heat)} tokens, shares over {len(share)} that sum to {share.sum():g}; "
            "give tokens of which some are pointed at and some are not"
        )
    _, place = np.unique(heat, return_inverse=True)
    pointed, other = np.bincount(place, share), np.bincount(place, 1 - share)
    below = np.cumsum(other) - other
    return round(float(pointed @ (below + other / 2) / (pointed.sum() * other.sum())), 12)


def heat_figures(
    heat: Sequence[FloatArray],
    mean_map: Sequence[FloatArray],
    surprise: Sequence[FloatArray],
    share: Sequence[FloatArray],
    *,
    rng: np.random.Generator,
    resamples: int = 1000,
) -> HeatFigures | None:
    """Measure one aspect over answers; None where every answer is pointed at everywhere or nowhere.

    Args:
        heat: by answer, (tokens,).
        mean_map: by answer, (tokens,).
        surprise: by answer, (tokens,).
        share: by answer, (tokens,) of those who pointed.
        rng: draws the intervals.
        resamples: how many.
    """
    told = [i for i, each in enumerate(share) if 0 < each.sum() < len(each)]
    if not told:
        return None
    found = {
        name: np.array([hotter_share(maps[i], share[i]) for i in told])
        for name, maps in (("heat", heat), ("mean_map", mean_map), ("surprise", surprise))
    }

    def interval(values: FloatArray) -> Interval:
        return cluster_bootstrap(values, rng=rng, resamples=resamples)

    return HeatFigures(
        answers=len(told),
        heat=interval(found["heat"]),
        mean_map=interval(found["mean_map"]),
        surprise=interval(found["surprise"]),
        over_mean_map=interval(found["heat"] - found["mean_map"]),
        over_surprise=interval(found["heat"] - found["surprise"]),
    )
