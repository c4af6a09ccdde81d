"""How good a model of one aspect is on pairs that it never saw; no torch, so pages read it free."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from reward_models.aspect_calibration import AspectCalibration
from reward_models.interval import Interval, cluster_bootstrap
from reward_models.preferences import FloatArray
from reward_models.ties import outcome_chances

BINS: Final = 10
FEWEST: Final = 10  # prompts below which an interval over prompts says nothing
Strings = npt.NDArray[np.str_]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedPairs:
    """n pairs of one aspect: what a model said of them raw, and what people said."""

    margin: FloatArray  # (n,) raw lead of the chosen one
    longer: FloatArray  # (n,) by how much the logarithm of its token count leads
    masses: FloatArray  # (n, 2) of win and tie
    weight: FloatArray  # (n,)
    prompts: Strings  # (n,)
    skills: Strings | None = None  # (n,) ids, "" without; None: there are no skills
    informed: FloatArray | None = None  # (n,) by how many nats its information leads; None: 0

    def lead(self, calibration: AspectCalibration) -> FloatArray:
        """Return (n,) the calibrated lead of the chosen one."""
        lead: FloatArray = calibration.slope * self.margin + calibration.length * self.longer
        return lead if self.informed is None else lead + calibration.information * self.informed

    def only(self, kept: BoolArray) -> "JudgedPairs":
        """Return some of the pairs."""
        return JudgedPairs(
            margin=self.margin[kept],
            longer=self.longer[kept],
            masses=self.masses[kept],
            weight=self.weight[kept],
            prompts=self.prompts[kept],
            skills=None if self.skills is None else self.skills[kept],
            informed=None if self.informed is None else self.informed[kept],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Pairs of which the model was about equally sure."""

    said: float  # mean chance that it gave to the one it prefers, ties aside
    right: float  # share in which people preferred it too
    pairs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillAccuracy:
    """How often the model ranks the decided pairs of one skill as people did."""

    skill_id: str  # "" without any skill
    pairs: int  # decided ones
    prompts: int
    accuracy: Interval | None  # None: fewer than `FEWEST` prompts


@dataclass(frozen=True, slots=True, kw_only=True)
class AspectFigures:
    """What was measured of one aspect."""

    pairs: int
    ties: int
    accuracy: Interval | None  # share of decided pairs ranked as people did; equals count half
    accuracy_with_ties: Interval | None  # share of all pairs whose likeliest outcome it was
    calibration_error: float | None  # expected, on decided pairs
    reliability: tuple[Bin, ...]  # from unsure to sure
    length: float | None  # correlation of its lead with that in log token count; None: all equal
    by_skill: tuple[SkillAccuracy, ...] = ()  # no skill first; empty where there are no skills


def aspect_figures(
    pairs: JudgedPairs,
    *,
    calibrated: tuple[AspectCalibration, ...],
    half: npt.NDArray[np.int64] | None = None,
    rng: np.random.Generator,
    resamples: int = 1000,
) -> AspectFigures:
    """Measure an aspect.

    Args:
        pairs: what was said.
        calibrated: one calibration, or one for each half.
        half: (n,) index of the calibration that did not see the pair; None: the first for all.
        rng: draws the intervals, which are over prompts.
        resamples: how many.
    """
    which = np.zeros(len(pairs.margin), np.int64) if half is None else half
    width = np.array([c.width for c in calibrated])[which]
    lead = np.stack([pairs.lead(c) for c in calibrated])[which, np.arange(len(which))]
    decided = pairs.masses[:, 0] > 0.5
    chances = outcome_chances(lead, width)
    likeliest = chances.argmax(-1)
    # An exact draw is no win of the first, whatever comes first in an array.
    likeliest = np.where((lead == 0) & (likeliest == 0), 1, likeliest)
    hit = np.select([likeliest == 0, likeliest == 1], [pairs.masses[:, 0], pairs.masses[:, 1]], 0.0)
    ranked = (lead > 0) + 0.5 * (lead == 0)

    def interval(values: FloatArray, kept: BoolArray) -> Interval | None:
        if not kept.any():
            return None
        names = pairs.prompts[kept].tolist()
        return cluster_bootstrap(values[kept], names, rng=rng, resamples=resamples)

    bins = reliability(lead[decided], width[decided])
    varied = decided & (pairs.longer != 0)
    told = varied.sum() > 2 and np.ptp(lead[varied]) > 0 and np.ptp(pairs.longer[varied]) > 0
    return AspectFigures(
        pairs=len(lead),
        ties=int((~decided).sum()),
        accuracy=interval(ranked, decided),
        accuracy_with_ties=interval(hit, np.ones(len(lead), bool)),
        calibration_error=calibration_error(bins) if bins else None,
        reliability=bins,
        length=float(np.corrcoef(lead[varied], pairs.longer[varied])[0, 1]) if told else None,
        by_skill=_by_skill(pairs, ranked, decided, interval),
    )


def _by_skill(
    pairs: JudgedPairs,
    ranked: FloatArray,
    decided: BoolArray,
    interval: Callable[[FloatArray, BoolArray], Interval | None],
) -> tuple[SkillAccuracy, ...]:
    if pairs.skills is None or not pairs.skills.any():
        return ()
    found = []
    for name in np.unique(pairs.skills):
        mine = decided & (pairs.skills == name)
        prompts = len(np.unique(pairs.prompts[mine]))
        found.append(
            SkillAccuracy(
                skill_id=str(name),
                pairs=int(mine.sum()),
                prompts=prompts,
                accuracy=interval(ranked, mine) if prompts >= FEWEST else None,
            )
        )
    return tuple(found)


def reliability(lead: FloatArray, width: FloatArray | float) -> tuple[Bin, ...]:
    """Return how often the preferred one of (n,) pairs is right, from unsure to sure.

    Each of the equally wide bins between .5 and 1 that holds pairs; a lead above 0 is right.

    Args:
        lead: (n,) calibrated log-odds by which the truly preferred one leads.
        width: of ties, which are set aside.

    Example:
        >>> reliability(np.array([2.0, 2.0, -2.0, 2.0]), 0.0)
        (Bin(said=0.8807970779778825, right=0.75, pairs=4),)
    """
    if not len(lead):
        return ()
    sure = np.abs(lead)
    first, second = expit(sure - width), expit(-sure - width)
    said = first / (first + second)
    right = (lead > 0) + 0.5 * (lead == 0)
    place = np.minimum(((said - 0.5) * 2 * BINS).astype(int), BINS - 1)
    return tuple(
        Bin(said=float(said[here].mean()), right=float(right[here].mean()), pairs=int(here.sum()))
        for here in (place == b for b in range(BINS))
        if here.any()
    )


def calibration_error(bins: tuple[Bin, ...]) -> float:
    """Return the expected calibration error: how far said and right lie apart, over all pairs.

    Example:
        >>> bins = (Bin(said=0.9, right=0.8, pairs=3), Bin(said=0.6, right=0.6, pairs=1))
        >>> calibration_error(bins)
        0.075

    Source:
        Guo et al. (2017), eq. 3.
    """
    total = sum(each.pairs for each in bins)
    apart = sum(each.pairs * abs(each.said - each.right) for each in bins)
    return round(apart / total, 12)
