"""What was measured of a candidate beside the champion; no torch, so that pages read it free."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reward_models.interval import Interval

Drawn = list[list[bytes | None]]  # by prompt and sample: PNG, None where malformed


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A candidate beside the champion, on the same prompts.

    Everything is measured on unconstrained samples: a grammar would hide broken ones. NaN means
    that it could not be measured.
    """

    prompts: int
    samples: int  # of each policy for each prompt
    modality: str  # of the samples
    win_rate: Interval  # candidate against champion, a tie counts half
    aspects: Mapping[str, Interval]  # the same by aspect, as far as the scorer tells them apart
    score_gain: Interval  # candidate's mean score less champion's, where both are well-formed
    candidate_validity: float  # share of well-formed samples
    champion_validity: float
    validity_gain: Interval
    # Share of differing tokens among one prompt's samples, over prompts without guidance where both
    # have two well-formed samples: the same prompts for all three.
    candidate_diversity: float
    champion_diversity: float
    diversity_gain: Interval
    kl: float  # nats a token from the champion, on the candidate's own samples
    kl_interval: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What was measured, and the samples it was measured on."""

    measured: Measured
    candidate: Drawn  # (prompts, samples) PNG; None where malformed
    champion: Drawn
    candidate_scores: npt.NDArray[
        np.float64
    ]  # (prompts, samples) overall; minus infinity where malformed
    champion_scores: npt.NDArray[np.float64]
    # (2, prompts) of candidate and champion, NaN with less than two well-formed samples; None: not
    # measured
    diversities: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillFigures:
    """A candidate beside the champion on the prompts that were asked under one skill."""

    skill_id: str | None  # None: without any skill
    prompts: int
    win_rate: Interval | None  # None: too few prompts
    score_gain: Interval | None  # of well-formed samples
    candidate_validity: float
    champion_validity: float
    # Over prompts where both have two well-formed samples; NaN without any. Under guidance less is
    # to be expected.
    candidate_diversity: float
    champion_diversity: float
    says: str
