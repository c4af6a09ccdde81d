"""Adversaries, first form: users who act on an implausible share of what they are shown."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pipelines.signals.signal_table import BoolArray, FloatArray, has_signal
from pipelines.signals.tenant_users import User, number_users


def find_bots(
    exposures: pa.Table, *, signals: Sequence[str], share: float, confidence: float = 3.0
) -> list[User]:
    """Name the users who surely give one of *signals* to more than *share* of what they see.

    "Surely" is the lower end of Wilson's interval at *confidence* standard errors, so a new
    user who likes three of three is no bot.

    Returns:
        Users in their order.
    """
    if exposures.num_rows == 0:
        return []
    users, index = number_users(exposures["user_id"], exposures["tenant_id"])
    shown = np.bincount(index, minlength=len(users)).astype(np.float64)
    given: list[FloatArray] = [
        np.bincount(index, weights=has_signal(exposures, s), minlength=len(shown)).astype(
            np.float64
        )
        for s in signals
    ]
    return users.named(act_too_often(given, shown, share=share, confidence=confidence))


def act_too_often(
    given: Sequence[FloatArray], shown: FloatArray, *, share: float, confidence: float = 3.0
) -> BoolArray:
    """Say of each user whether one of the signals *given*, each (u,), is surely above *share*.

    *shown* (u,) is how much each was shown; who was shown nothing is none.
    """
    lower = [wilson_lower(g, np.maximum(shown, 1.0), confidence=confidence) for g in given]
    often: BoolArray = np.max([np.zeros(len(shown)), *lower], axis=0) > share
    return often


def wilson_lower(successes: FloatArray, trials: FloatArray, *, confidence: float) -> FloatArray:
    """Return the lower end of Wilson's interval for a share; *trials* > 0.

    Source:
        Wilson (1927).

    Example:
        >>> wilson_lower(np.array([9.0]), np.array([10.0]), confidence=1.96).round(3)
        array([0.596])
    """
    mean, z2 = successes / trials, confidence**2
    centre = mean + z2 / (2 * trials)
    half = confidence * np.sqrt(mean * (1 - mean) / trials + z2 / (4 * trials**2))
    lower: FloatArray = (centre - half) / (1 + z2 / trials)
    return lower
