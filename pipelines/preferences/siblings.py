"""Siblings: generations of one prompt are alike, by as much as the evidence says.

A prompt that is easy to draw well has good generations, so each tells something of the others.
Compared with one another, siblings differ by less than two generations of the whole studio do:
a pair that overlooks this is too sure.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import ndtr, ndtri

from pipelines.preferences.kernel import FloatArray, IntArray, add_by_row

_NODES: Final = 9  # levels of a prompt: of a normal variable, by Gauss and Hermite
_LIKENESS: Final = np.linspace(0.0, 0.8, 17)
_FINER: Final = 3  # parts of a class: two siblings are too often of one class to count it half
_DOUBT: Final = 4.0  # of likeness before any evidence: its chance falls as (1 - likeness) ** 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Siblings:
    """How alike generations of one prompt are, and what that says of each of them.

    Axes: i items, p prompts, n levels that a prompt may have, c classes.
    """

    likeness: float  # correlation of the quality of two siblings, in [0, 1)
    posterior: FloatArray  # (i, c) with what the siblings say
    _evidence: FloatArray  # (i, parts of c) chance of what is known of the item, up to a factor
    _prompt: IntArray  # (i,)
    _level: FloatArray  # (p, n) what is believed of each prompt's level
    _class_at: FloatArray  # (n, parts of c) chance of a class at a level

    def better_chance(self, first: IntArray, second: IntArray) -> FloatArray:
        """Return (k,) the chance that item *first* is better than its sibling *second*.

        Equal classes count half; the two are of one prompt, in each of the k rows.
        """
        chance = np.zeros(len(first))
        level = self._level[self._prompt[first]]
        for n, class_at in enumerate(self._class_at):
            believed = self._evidence * class_at
            believed /= believed.sum(axis=1, keepdims=True)
            chance += level[:, n] * better_chance(believed[first], believed[second])
        return np.clip(chance, 0.0, 1.0)


def better_chance(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return (n,) the chance that the first of two is better; equal classes count half.

    Args:
        first: (n, c) class chances, worst class first.
        second: (n, c).

    Example:
        >>> better_chance(np.array([[0.0, 1.0]]), np.array([[0.5, 0.5]]))
        array([0.75])
    """
    below = np.cumsum(second, axis=1) - second
    chance: FloatArray = (first * (below + 0.5 * second)).sum(axis=1)
    return np.clip(chance, 0.0, 1.0)


def find_siblings(evidence: FloatArray, prompt: IntArray, class_shares: FloatArray) -> Siblings:
    """Learn how alike siblings are, and let each speak for the others.

    Quality is normal with one part that a prompt's generations share; classes cut it where
    *class_shares* say. The likeness is the likeliest of a grid, held to none by a prior.

    Args:
        evidence: (i, c) log chance of all that is known of an item by its class.
        prompt: (i,) index of the prompt of each item.
        class_shares: (c,) how frequent the classes are.
    """
    fine = finer_evidence(evidence, class_shares)
    shares = np.repeat(class_shares, _FINER) / _FINER
    chance = np.exp(fine - fine.max(axis=1, keepdims=True))
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    log_weights = np.log(weights / weights.sum())
    size = int(prompt.max(initial=-1)) + 1

    def heard(likeness: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        class_at = classes_at(nodes, shares, likeness)
        of_item = np.log(chance @ class_at.T)
        return class_at, of_item, log_weights + add_by_row(prompt, of_item, size=size)

    scores = []
    for likeness in _LIKENESS:
        level = heard(float(likeness))[2]
        top = level.max(axis=1, keepdims=True)
        fit = float((top[:, 0] + np.log(np.exp(level - top).sum(axis=1))).sum())
        scores.append(fit + _DOUBT * np.log1p(-likeness))
    best = float(_LIKENESS[int(np.argmax(scores))])
    class_at, of_item, level = heard(best)
    others = _distribution(level[prompt] - of_item)  # what all siblings but oneself say
    posterior = (chance * (others @ class_at)).reshape(len(prompt), -1, _FINER).sum(axis=2)
    return Siblings(
        likeness=best,
        posterior=posterior / posterior.sum(axis=1, keepdims=True),
        _evidence=chance,
        _prompt=prompt,
        _level=_distribution(level),
        _class_at=class_at,
    )


def finer_evidence(evidence: FloatArray, class_shares: FloatArray) -> FloatArray:
    """Return (i, parts of c): log evidence between the classes' middles, by straight lines.

    Beside a class that is impossible, all parts of a class are alike.
    """
    classes = len(class_shares)
    above = np.cumsum(class_shares) - class_shares
    middle = ndtri(above + 0.5 * class_shares)
    part = (np.arange(_FINER) + 0.5) / _FINER
    at = ndtri((above[:, None] + part * class_shares[:, None]).ravel())
    own = np.repeat(np.arange(classes), _FINER)
    left = np.clip(np.where(at < middle[own], own - 1, own), 0, classes - 2)
    share = (at - middle[left]) / (middle[left + 1] - middle[left])
    known = np.isfinite(evidence[:, left]) & np.isfinite(evidence[:, left + 1])
    with np.errstate(invalid="ignore"):  # an impossible class, which the next line leaves out
        line = (1 - share) * evidence[:, left] + share * evidence[:, left + 1]
    fine: FloatArray = np.where(known, line, evidence[:, own])
    return fine


def classes_at(levels: FloatArray, class_shares: FloatArray, likeness: float) -> FloatArray:
    """Return (n, c) the chance of each class where a prompt stands at *levels* (n,).

    Example:
        >>> classes_at(np.array([-3.0, 3.0]), np.array([0.5, 0.5]), 0.0)
        array([[0.5, 0.5],
               [0.5, 0.5]])
    """
    cuts = ndtri(np.cumsum(class_shares)[:-1])
    below = ndtr((cuts[None] - np.sqrt(likeness) * levels[:, None]) / np.sqrt(1 - likeness))
    edge = np.zeros((len(levels), 1))
    chances: FloatArray = np.diff(np.concatenate([edge, below, edge + 1], axis=1), axis=1)
    return np.maximum(chances, 1e-12)


def _distribution(logs: FloatArray) -> FloatArray:
    chances = np.exp(logs - logs.max(axis=1, keepdims=True))
    rows: FloatArray = chances / chances.sum(axis=1, keepdims=True)
    return rows
