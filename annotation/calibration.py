"""Calibration: how sure posteriors may be, learned where the truth is known."""

import numpy as np
from scipy.optimize import minimize_scalar

from annotation.answer_table import FloatArray, IntArray
from data_contracts.errors import ShapeError

_HOTTEST, _COLDEST = 10.0, 0.3


def temper(posterior: FloatArray, temperature: float) -> FloatArray:
    """Return (t, c) posteriors raised to 1 / *temperature*: above 1 less sure, order kept.

    Certainty (a one) stays where the other classes are impossible.
    """
    logs = np.log(np.maximum(posterior, 1e-300)) / temperature
    logs -= logs.max(axis=1, keepdims=True, initial=-np.inf)
    # Where everything else was ruled out, it stays so: 1e-300 is no chance to be warmed up.
    weight = np.exp(logs) * (posterior > 1e-299)
    tempered: FloatArray = weight / np.maximum(weight.sum(axis=1, keepdims=True), 1e-300)
    return tempered


def fit_temperature(
    posterior: FloatArray, truth: IntArray, *, usual: float, doubt: float = 0.5
) -> float:
    """Return the temperature under which the truth is likeliest, held to the usual one.

    Args:
        posterior: (t, c) made without a look at the truth of their own task.
        truth: (t,) classes.
        usual: temperature where nothing is known.
        doubt: standard deviation of the logarithm of the temperature about the usual.

    Raises:
        ShapeError: *posterior* and *truth* disagree on t.
    """
    if len(posterior) != len(truth):
        raise ShapeError(f"posterior covers {len(posterior)} tasks but truth {len(truth)}")

    def loss(log_temperature: float) -> float:
        told = temper(posterior, float(np.exp(log_temperature)))
        off = (log_temperature - np.log(usual)) / doubt
        return surprise(told, truth) + 0.5 * float(off * off)

    found = minimize_scalar(
        loss, bounds=(np.log(_COLDEST), np.log(_HOTTEST)), method="bounded",
        options={"xatol": 1e-9},
    )  # fmt: skip
    return float(np.exp(found.x))


def surprise(posterior: FloatArray, truth: IntArray) -> float:
    """Return the sum of minus log chances of the truth, nats; a chance counts at least 1e-3."""
    return float(-np.log(np.maximum(posterior[np.arange(len(truth)), truth], 1e-3)).sum())


def calibration_error(posterior: FloatArray, truth: IntArray, *, bins: int = 10) -> float:
    """Return the expected calibration error of the likeliest class, in [0, 1].

    Source:
        Guo, Pleiss, Sun & Weinberger (2017), equal-width bins over confidence.
    """
    if not len(truth):
        return 0.0
    confidence = posterior.max(axis=1)
    right = posterior.argmax(axis=1) == truth
    at = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gap = np.bincount(at, weights=confidence - right, minlength=bins)
    return float(np.abs(gap).sum() / len(truth))
