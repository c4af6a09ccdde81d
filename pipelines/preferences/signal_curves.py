"""Signal curves: the logit of a signal's chance is a line over the quality classes.

A free chance for every class lets an intent bend until it explains noise; a line cannot.
"""

import numpy as np
from scipy.special import expit, ndtri

from pipelines.preferences.kernel import FloatArray

EDGE = 1e-5


def class_powers(classes: int) -> FloatArray:
    """Return (c, 2): one and the normal score of each class, classes being equally frequent."""
    score = ndtri((np.arange(classes) + 0.5) / classes)
    powers: FloatArray = np.stack([np.ones(classes), score], axis=1)
    return powers


def line_through(chances: FloatArray) -> FloatArray:
    """Return the (2, s) line nearest in logits to (c, s) chances."""
    logits = np.log(chances / (1 - chances))
    line: FloatArray = np.linalg.lstsq(class_powers(len(chances)), logits, rcond=None)[0]
    return line


def fit_curves(given: FloatArray, times: FloatArray) -> FloatArray:
    """Fit lines by binomial maximum likelihood.

    Args:
        given: (..., c, s) expected number of signals given.
        times: (..., c) expected number of exposures looked at, > 0.

    Returns:
        (..., c, s) chances.
    """
    powers = class_powers(times.shape[-1])
    count = np.moveaxis(given, -1, -2)  # (..., s, c)
    size = np.broadcast_to(times[..., None, :], count.shape)
    rate = np.clip(count.sum(-1) / size.sum(-1), EDGE, 1 - EDGE)
    line = np.stack([np.log(rate / (1 - rate)), np.zeros_like(rate)], axis=-1)
    for _ in range(6):
        chance = expit(line @ powers.T)
        slope = (count - size * chance) @ powers
        bend = np.einsum("...c,ct,cu->...tu", size * chance * (1 - chance), powers, powers)
        step = np.linalg.solve(bend + 1e-3 * np.eye(2), slope[..., None])[..., 0]
        line = line + np.clip(step, -2.0, 2.0)
    fitted: FloatArray = np.clip(np.moveaxis(expit(line @ powers.T), -1, -2), EDGE, 1 - EDGE)
    return fitted
