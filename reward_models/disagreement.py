"""How far several reward models differ, and what their lower bound is worth; no torch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reward_models.interval import Interval, cluster_bootstrap
from reward_models.preferences import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """What was measured of one aspect on validation pairs that are no ties."""

    answers: int
    pairs: int
    deviation: float  # between models, mean over answers; log-odds
    spread: float  # of the models' mean score over answers; log-odds
    disputed: Interval  # share of pairs whose order some model turns round
    mean_right: Interval  # share of pairs that the models' mean ranks as people did
    bound_right: Interval  # the same of their lower bound
    agreed_right: Interval | None  # the same of pairs that no model disputes; None: there are none


def disagreement_figures(
    scores: FloatArray,
    sides: npt.NDArray[np.int64],
    *,
    decided: npt.NDArray[np.bool_],
    prompts: Sequence[str],
    kappa: float,
    rng: np.random.Generator,
    resamples: int = 1000,
) -> Disagreement | None:
    """Measure one aspect; None without a pair that is no tie.

    Args:
        scores: (models, answers) calibrated, at least two models.
        sides: (2, n) answers of n pairs, the one that people preferred first.
        decided: (n,) false of ties, which are left out.
        prompts: (n,) intervals are over these.
        kappa: deviations that the lower bound takes off.
        rng: draws the intervals.
        resamples: how many.
    """
    if not decided.any():
        return None
    names = np.array(prompts)[decided].tolist()
    mean, deviation = scores.mean(0), scores.std(0, ddof=1)
    chosen, rejected = sides[:, decided]
    leads = np.sign(scores[:, chosen] - scores[:, rejected])
    disputed = leads.min(0) != leads.max(0)

    def right(each: FloatArray) -> FloatArray:
        lead = each[chosen] - each[rejected]
        ranked: FloatArray = (lead > 0) + 0.5 * (lead == 0)
        return ranked

    def interval(values: FloatArray, clusters: list[str]) -> Interval:
        return cluster_bootstrap(values, clusters, rng=rng, resamples=resamples)

    agreed = ~disputed
    return Disagreement(
        answers=scores.shape[1],
        pairs=int(decided.sum()),
        deviation=float(deviation.mean()),
        spread=float(mean.std()),
        disputed=interval(disputed.astype(float), names),
        mean_right=interval(right(mean), names),
        bound_right=interval(right(mean - kappa * deviation), names),
        agreed_right=interval(right(mean)[agreed], np.array(names)[agreed].tolist())
        if agreed.any()
        else None,
    )
