"""What the raw scores of an aspect mean: slope, tie width and what information is worth.

Fitted where nothing trained.
"""

from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.optimize import minimize
from scipy.special import log_expit

from reward_models.preferences import FloatArray
from reward_models.ties import NARROWEST, outcome_chances

_TINY: Final = 1e-12  # keeps a chance of 0 from being an error
_FLATTEST: Final = 1e-3  # log-odds of the usual lead of a model that ranks worse than chance
_PSEUDO: Final = 2.0  # pairs of even odds, so that perfect separation still gives a finite slope


class AspectCalibration(BaseModel):
    """Turns an aspect's raw scores into log-odds.

    They are slope * (raw - centre) + length * log tokens + information * nats, the nats by which
    an answer fits its prompt better than others (`information.information`).

    Two answers to one prompt whose scores differ by d end with the first preferred at
    sigma(d - width), the second at sigma(-d - width), and a tie otherwise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    slope: float = Field(default=1.0, gt=0)
    width: float = Field(default=NARROWEST, gt=0)  # log of Rao and Kupper's k
    centre: float = 0.0  # shifts scores, never a difference
    length: float = 0.0  # corrects what raw scores make too much or too little of token counts
    information: float = Field(default=0.0, ge=0)  # a nat
    pairs: int = Field(default=0, ge=0)  # it was fitted on

    def scores(self, raw: FloatArray, tokens: FloatArray, nats: FloatArray) -> FloatArray:
        """Return calibrated scores of answers of so many *tokens* and *nats* of information."""
        scores: FloatArray = (
            self.slope * (raw - self.centre)
            + self.length * np.log(tokens)
            + self.information * nats
        )
        return scores


def fit_aspect_calibration(
    margin: FloatArray,
    longer: FloatArray,
    masses: FloatArray,
    weight: FloatArray,
    *,
    informed: FloatArray | None = None,
    centre: float = 0.0,
    width: float = NARROWEST,
) -> AspectCalibration:
    """Fit slope and tie width by maximum likelihood of what is known, allowing for its errors.

    A pair's weight says how surely its answer is the truth: (1 + weight) / 2. Taken at their
    word, answers that are wrong one time in ten would teach that nothing is ever surer than nine
    to one. Where the two answers of pairs differ in length, a third parameter takes out of the
    scores what they make of length beyond what is known; where they differ in information, a fourth
    adds what that says beyond the scores. A model that ranks worse than chance is flattened, never
    flipped, and so is information.

    Args:
        margin: (n,) raw lead of the chosen one.
        longer: (n,) by how much the logarithm of its token count leads.
        masses: (n, 2) of win and tie.
        weight: (n,) in (0, 1].
        informed: (n,) by how many nats its information leads; None: nothing is known of it.
        centre: kept in the answer.
        width: stays where no pair says anything.

    Source:
        Temperature scaling, Guo et al. (2017), with Rao and Kupper's ties and the forward
        correction of Patrini et al. (2017) for labels that err; the length term as in
        length-controlled AlpacaEval (arXiv 2404.04475).
    """
    spread = float(np.sqrt((margin**2).mean())) if len(margin) else 0.0
    if spread == 0.0:
        return AspectCalibration(centre=centre, width=max(width, NARROWEST))
    has_length, ties = bool(np.any(longer != 0)), bool(masses[:, 1].sum() > 0)
    nats = np.zeros_like(margin) if informed is None else informed
    usual = float(np.sqrt((nats**2).mean()))  # 0: nothing to tell apart

    def parts(theta: FloatArray) -> tuple[float, float, float, float]:
        wide = NARROWEST + np.exp(theta[1]) if ties else NARROWEST
        told = float(theta[3]) / usual if usual > 0 else 0.0
        return float(theta[0]) / spread, float(wide), float(theta[2]) if has_length else 0.0, told

    sure = (1 + np.minimum(weight, 1.0)) / 2

    def loss(theta: FloatArray) -> float:
        slope, wide, length, told = parts(theta)
        win, tie, lose = outcome_chances(slope * margin + length * longer + told * nats, wide).T
        won = sure * win + (1 - sure) * lose
        tied = sure * tie + (1 - sure) * (win + lose) / 2
        said = masses[:, 0] * np.log(won + _TINY) + masses[:, 1] * np.log(tied + _TINY)
        # Pseudo-pairs of the usual lead that go either way, and a slight pull of length to 0.
        even = sum(log_expit(lead) + log_expit(-lead) for lead in (slope * spread, told * usual))
        return float(-said.sum() - _PSEUDO / 2 * even + 0.5 * theta[2] ** 2)

    # From both ends of what may carry the lead: scores alone, and information as much.
    found = min(
        (
            minimize(loss, np.array([1.0, np.log(0.3), 0.0, begin]), method="L-BFGS-B",
                     bounds=[(_FLATTEST, 1e3), (-12, 4), (None, None), (0, 1e3)])
            for begin in (0.0, 1.0)
        ),
        key=lambda tried: float(tried.fun),
    )  # fmt: skip
    slope, wide, length, told = parts(found.x)
    return AspectCalibration(
        slope=slope, width=wide, centre=centre, length=length, information=told,
        pairs=len(margin),
    )  # fmt: skip
