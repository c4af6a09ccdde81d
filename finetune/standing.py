"""How a candidate stands with people and rules, beyond what its samples score."""

from dataclasses import dataclass

import numpy as np

from reward_models.interval import FloatArray, Interval, cluster_bootstrap


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanComparison:
    """What people said, who did not know which policy made which picture."""

    prompts: int  # held-out prompts that were answered
    answers: int
    win_share: Interval  # candidate preferred, a tie counts half; over prompts
    tie_share: float  # of the answers
    decided_prompts: int  # of *prompts*, those with an answer that was no tie
    # The reward model's chance that the candidate's sample is better, less how often people said
    # so, on the same decided answers: above 0 it flatters the new policy. A tie says nothing of
    # who is better: counted as a half, it would pull every sure and honest chance. None: all tied.
    overstatement: Interval | None
    # Expected, over ten bins of decided answers; biased upwards when they are few.
    calibration_error: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a gate must know that no sample tells."""

    real: bool  # people's evidence, not a simulated studio's
    human: HumanComparison | None  # None: nobody compared blindly
    vetoes: tuple[str, ...]  # reports and hides of what the candidate made, one sentence each
    label_faults: tuple[str, ...]  # what was reclassified since the candidate learned from it


def human_comparison(
    wins: FloatArray,
    predicted: FloatArray,
    prompts: list[str],
    *,
    rng: np.random.Generator,
    resamples: int = 2000,
) -> HumanComparison:
    """Compare people's blind answers with what the reward model expected.

    Args:
        wins: (n,) 1 where the candidate was preferred, 0 where the champion, .5 for a tie; a row
            an answer.
        predicted: (n,) the reward model's probability that the candidate's sample is better.
        prompts: (n,) what each answer is about; intervals are over prompts.
        rng: draws the resamples.
        resamples: how many.

    Raises:
        ShapeError: no answers, or lengths differ.

    Example:
        >>> told = human_comparison(
        ...     np.array([1.0, 1.0]), np.array([0.5, 0.5]), ["p", "q"], rng=np.random.default_rng(0)
        ... )
        >>> told.win_share.mean, told.overstatement.mean, told.calibration_error
        (1.0, -0.5, 0.5)
    """
    win_share = cluster_bootstrap(wins, prompts, rng=rng, resamples=resamples)
    decided = wins != 0.5
    about = [prompt for prompt, told in zip(prompts, decided, strict=True) if told]
    won, expected = wins[decided], predicted[decided]
    return HumanComparison(
        prompts=len(set(prompts)),
        answers=len(wins),
        win_share=win_share,
        tie_share=1 - len(about) / len(wins),
        decided_prompts=len(set(about)),
        overstatement=cluster_bootstrap(expected - won, about, rng=rng, resamples=resamples)
        if about
        else None,
        calibration_error=calibration_error(expected, won) if about else None,
    )


def calibration_error(predicted: FloatArray, happened: FloatArray, *, bins: int = 10) -> float:
    """Return the expected calibration error of (n,) probabilities over equal-width bins.

    Source:
        Naeini et al. (2015).

    Example:
        >>> round(calibration_error(np.array([0.95, 0.95, 0.15]), np.array([1.0, 0.0, 0.0])), 3)
        0.35
    """
    place = np.minimum((predicted * bins).astype(int), bins - 1)
    gaps = np.bincount(place, predicted, bins) - np.bincount(place, happened, bins)
    return float(np.abs(gaps).sum() / len(predicted))
