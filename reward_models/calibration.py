"""What a raw score means: a shift and a slope, fitted where the model did not train."""

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.optimize import brentq
from scipy.special import expit

from reward_models.preferences import FloatArray


class Calibration(BaseModel):
    """Turns raw scores into log-odds: score = slope * (raw - centre).

    The difference of two scores for one prompt is the log-odds that the first is preferred.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    centre: float = 0.0
    slope: float = Field(default=1.0, gt=0)

    def scores(self, raw: FloatArray) -> FloatArray:
        """Return calibrated scores of any shape."""
        calibrated: FloatArray = self.slope * (raw - self.centre)
        return calibrated


def fit_calibration(
    chosen: FloatArray, rejected: FloatArray, target: FloatArray, weight: FloatArray
) -> Calibration:
    """Fit a slope by weighted maximum likelihood of which answer wins, and centre the scores.

    Targets are drawn towards .5 by two pseudo-pairs, so that pairs which the model separates
    perfectly still give a finite slope. A model that ranks worse than chance is flattened, never
    flipped.

    Args:
        chosen: (n,) raw scores.
        rejected: (n,) raw scores.
        target: (n,) probability that *chosen* is better.
        weight: (n,) above 0.

    Source:
        Temperature scaling, Guo et al. (2017); smoothed targets, Platt (1999).
    """
    centre = float(np.concatenate([chosen, rejected]).mean())
    margin = chosen - rejected
    spread = float(np.sqrt((margin**2).mean()))
    if spread == 0.0:
        return Calibration(centre=centre)
    total = weight.sum()
    smoothed = 0.5 + (target - 0.5) * total / (total + 2)

    def gradient(log_slope: float) -> float:
        odds = np.exp(log_slope) * margin / spread
        return float((weight * margin * (expit(odds) - smoothed)).sum())

    low, high = np.log(1e-3), np.log(1e3)
    if gradient(low) >= 0:
        log_slope = low
    elif gradient(high) <= 0:
        log_slope = high
    else:
        log_slope = float(brentq(gradient, low, high))
    return Calibration(centre=centre, slope=float(np.exp(log_slope)) / spread)
