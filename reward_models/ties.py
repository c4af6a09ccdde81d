"""Preferences with ties: how likely the first of two wins, the second wins, or neither does.

Source:
    Rao & Kupper (1967); as a reward model's loss in VideoReward (arXiv 2501.13918), where a
    fixed k = exp(width) = 5 stands for the width that is learned here, one an aspect.
"""

from typing import Final

import numpy as np
import torch
from scipy.special import expit

from reward_models.preferences import FloatArray

# Without a tie among the answers the width falls towards zero, where a tie cannot happen at all.
NARROWEST: Final = 1e-3


def outcome_masses(target: FloatArray) -> FloatArray:
    """Return (n, 2): how much of a pair's answer is a win of the chosen one, and how much a tie.

    A target of 1 is a win, of .5 a tie; people who truly split between the two say something
    between, in the same proportion.

    Example:
        >>> outcome_masses(np.array([1.0, 0.5, 0.75]))
        array([[1. , 0. ],
               [0. , 1. ],
               [0.5, 0.5]])
    """
    win = 2.0 * target - 1.0
    return np.stack([win, 1.0 - win], -1)


def outcome_chances(margin: FloatArray, width: FloatArray | float) -> FloatArray:
    """Return (..., 3) chances that the first wins, that they tie, and that the second wins.

    Args:
        margin: log-odds by which the first leads.
        width: log of Rao and Kupper's k, above 0.

    Example:
        >>> outcome_chances(np.array([0.0]), np.log(3.0)).round(3)
        array([[0.25, 0.5 , 0.25]])
    """
    first, second = expit(margin - width), expit(-margin - width)
    return np.stack([first, 1.0 - first - second, second], -1)


def closed_margins(mean: torch.Tensor, log_sigma: torch.Tensor) -> torch.Tensor:
    """Return (n,) by how much the first of pairs lead the second in log-odds, doubt counted.

    The chance that one of two normal scores wins a logistic comparison has no closed form; its
    probit approximation does, and spares sampling.

    Args:
        mean: (2, n) mean scores of both.
        log_sigma: (2, n) log of their deviation.

    Source:
        MacKay (1992), eq. 22; the head with a deviation follows HPSv3 (arXiv 2508.03789).
    """
    variance = torch.exp(2 * log_sigma).sum(0)
    return (mean[0] - mean[1]) / torch.sqrt(1 + torch.pi / 8 * variance)


def tie_losses(margin: torch.Tensor, width: torch.Tensor, masses: torch.Tensor) -> torch.Tensor:
    """Return (n,) negative log-likelihoods of what was answered.

    Args:
        margin: (n,) by how much the chosen one leads, in log-odds.
        width: (n,) log of k, at least `NARROWEST`.
        masses: (n, 2) of win and tie, as `outcome_masses` gives them.
    """
    win = torch.nn.functional.logsigmoid(margin - width)
    lose = torch.nn.functional.logsigmoid(-margin - width)
    tie = win + lose + torch.log(torch.expm1(2 * width))
    return -(masses[..., 0] * win + masses[..., 1] * tie)
