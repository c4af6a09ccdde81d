"""Beliefs: how far apart two generations are thought to be, and what one more answer would tell."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr

from annotation.answer_table import FloatArray, IntArray
from annotation.comparisons import Comparisons
from annotation.crowd_bradley_terry import CrowdStrengths
from data_contracts.errors import ShapeError


def _normal_nodes(count: int) -> tuple[FloatArray, FloatArray]:
    """Return Gauss-Hermite nodes of a standard normal, and their shares."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    return nodes, weights / weights.sum()


_GAPS, _GAP_SHARES = _normal_nodes(21)
_MEANS, _MEAN_SHARES = _normal_nodes(9)
_CERTAIN: Final = 0.999  # of a gap's variance, the most that one answer may be said to explain


@dataclass(frozen=True, slots=True, kw_only=True)
class PairBelief:
    """What is believed of p pairs: gaps in score, first minus second, normal within a prompt."""

    mean: FloatArray  # (p,)
    prompt: IntArray  # (p,) from 0
    place: IntArray  # (p,) among its prompt's pairs
    covariance: FloatArray  # (prompts, m, m) of the gaps of one prompt's pairs, by place

    @property
    def sd(self) -> FloatArray:
        """(p,) of each gap."""
        return np.sqrt(self.covariance[self.prompt, self.place, self.place])

    @property
    def chance(self) -> FloatArray:
        """(p,) chance that the first is better."""
        return np.asarray(ndtr(self.mean / self.sd))

    @property
    def settled(self) -> FloatArray:
        """(p,) chance of the likelier side, in [.5, 1]."""
        return np.maximum(self.chance, 1 - self.chance)


def pair_beliefs(
    comparisons: Comparisons,
    fit: CrowdStrengths,
    first: IntArray,
    second: IntArray,
    prompt: IntArray,
    *,
    prior_mean: FloatArray | None = None,
    prior_sd: FloatArray | None = None,
) -> PairBelief:
    """Say what is known of each pair: from the answers so far, and from the previous snapshot.

    Comparisons of one prompt's generations tell of each other, so a prompt's whole curvature is
    inverted (Laplace's approximation at the fit), not its diagonal.

    Args:
        comparisons: the answers so far.
        fit: of those answers.
        first: (p,) item.
        second: (p,) its rival, of the same prompt.
        prompt: (i,) prompt of each item, from 0.
        prior_mean: (p,) gap that the previous snapshot believed in; None: it knew nothing.
        prior_sd: (p,) how surely, infinite where it knew nothing; goes with *prior_mean*.

    Raises:
        ShapeError: *prompt* has another length than there are items, or a pair has two prompts.
    """
    if len(prompt) != comparisons.items:
        raise ShapeError(f"{len(prompt)} prompts for {comparisons.items} items; give one each")
    if bool((prompt[first] != prompt[second]).any()):
        raise ShapeError("a pair's generations are of two prompts; compare within one")
    item = _places(prompt)
    prompts, width = int(prompt.max(initial=-1)) + 1, int(item.max(initial=0)) + 1
    precision: FloatArray = np.zeros((prompts, width, width))
    precision[:, np.arange(width), np.arange(width)] = 1 / _score_variance(fit)
    low, high = comparisons.low, comparisons.high
    asked = _of_gaps(precision, prompt[low], item[low], item[high], _curvatures(comparisons, fit))
    precision = precision + asked
    score: FloatArray = np.zeros((prompts, width))
    score[prompt, item] = fit.score
    if prior_mean is not None and prior_sd is not None:
        weight = 1 / prior_sd**2
        pull = np.einsum("kab,kb->ka", precision, score)
        known = _of_gaps(precision, prompt[first], item[first], item[second], weight)
        precision = precision + known
        np.add.at(pull, (prompt[first], item[first]), weight * prior_mean)
        np.add.at(pull, (prompt[first], item[second]), -weight * prior_mean)
        score = np.linalg.solve(precision, pull[:, :, None])[:, :, 0]
    of, place = prompt[first], _places(prompt[first])
    contrast = np.zeros((prompts, int(place.max(initial=0)) + 1, width))
    contrast[of, place, item[first]] = 1.0
    contrast[of, place, item[second]] = -1.0
    covariance = contrast @ np.linalg.inv(precision) @ contrast.transpose(0, 2, 1)
    mean = score[of, item[first]] - score[of, item[second]]
    return PairBelief(mean=mean, prompt=of, place=place, covariance=covariance)


def expected_gain(belief: PairBelief, slope: FloatArray, tie: FloatArray) -> FloatArray:
    """Return by how much one annotator's answer is expected to clear up a prompt's pairs.

    Unclearness of a pair is 4 q (1 - q), q the chance that its first is better: 1 before
    anything is known, 0 when it is settled. An answer about one pair moves what is believed of
    all pairs of its prompt, which counts. Nothing is expected from somebody who guesses, as much
    from somebody who answers the wrong way round as from somebody who answers the right way.

    Args:
        belief: of p pairs.
        slope: (r,) of each annotator, 1 the average one, 0 guesses, negative reversed.
        tie: (r,) how close two must be to be called equal, >= 0.

    Returns:
        (p, r) expected fall of unclearness, summed over the prompt's pairs; >= 0.

    Source:
        Knowledge gradient with correlated beliefs (Frazier, Powell & Dayanik 2009), with the
        Fisher information of an answer in place of a Gaussian measurement (ours).
    """
    there = np.zeros(belief.covariance.shape[:2], dtype=np.bool_)
    there[belief.prompt, belief.place] = True
    mean = np.zeros(there.shape)
    mean[belief.prompt, belief.place] = belief.mean
    cross = belief.covariance
    own = np.where(there, np.einsum("kaa->ka", cross), 1.0)
    before = np.where(there, _unclear(mean / np.sqrt(own)), 0.0).sum(axis=1)
    gain = np.zeros((len(belief.mean), len(slope)))
    for r in range(len(slope)):
        told = _information(mean, np.sqrt(own), slope[r], tie[r])
        explained = cross**2 * (told / (1 + told * own))[:, :, None]
        explained = np.minimum(explained, _CERTAIN * own[:, None, :])
        after = np.zeros(cross.shape)
        for node, share in zip(_MEANS, _MEAN_SHARES, strict=True):
            moved = mean[:, None, :] + np.sqrt(explained) * node
            after += share * _unclear(moved / np.sqrt(own[:, None, :] - explained))
        fall = before[:, None] - np.where(there[:, None, :], after, 0.0).sum(axis=2)
        gain[:, r] = fall[belief.prompt, belief.place]
    return np.maximum(gain, 0.0)


def _information(mean: FloatArray, sd: FloatArray, slope: float, tie: float) -> FloatArray:
    """Return the Fisher information about the gap in one answer, over what the gap may be."""
    d = np.clip(slope * (mean[..., None] + sd[..., None] * _GAPS), -60, 60)
    p, q = expit(d - tie), expit(-d - tie)
    same = np.clip(1 - p - q, 0.0, 1.0)
    curvature = p * (1 - p) * (p + same) + q * (1 - q) * (q + same)
    told: FloatArray = slope**2 * (curvature * _GAP_SHARES).sum(axis=-1)
    return told


def _unclear(z: NDArray[Any]) -> FloatArray:
    chance = ndtr(z)
    return np.asarray(4 * chance * (1 - chance))


def _curvatures(comparisons: Comparisons, fit: CrowdStrengths) -> FloatArray:
    """Return (n,) curvature in its gap that each answer adds, at the fit."""
    who = comparisons.annotator
    slope, lean, tie = fit.slope[who], fit.lean[who], fit.tie[who]
    d = slope * (fit.score[comparisons.low] - fit.score[comparisons.high])
    d = np.clip(d + lean * comparisons.side, -60, 60)
    p, q = expit(d - tie), expit(-d - tie)
    outcome = comparisons.outcome
    first, second = p * (1 - p), q * (1 - q)
    both: FloatArray = np.where(outcome >= 0, first, 0.0) + np.where(outcome <= 0, second, 0.0)
    return slope**2 * both


def _of_gaps(
    like: FloatArray, of: IntArray, a: IntArray, b: IntArray, weight: FloatArray
) -> FloatArray:
    """Return the precision of scores, shaped as *like*, that knowing gaps a - b adds."""
    added = np.zeros_like(like)
    for rows, columns, sign in ((a, a, 1.0), (b, b, 1.0), (a, b, -1.0), (b, a, -1.0)):
        np.add.at(added, (of, rows, columns), sign * weight)
    return added


def _score_variance(fit: CrowdStrengths) -> float:
    """Return how far scores lie apart in general, what is not known of each included."""
    if not len(fit.score):
        return 1.0
    return max(float(np.mean(fit.score**2 + fit.score_sd**2)), 1e-3)


def _places(group: IntArray) -> IntArray:
    """Return each row's place among the rows of its group."""
    order = np.argsort(group, kind="stable")
    sizes = np.bincount(group)
    starts = np.cumsum(sizes) - sizes
    place = np.empty(len(group), dtype=np.int64)
    place[order] = np.arange(len(group)) - starts[group[order]]
    return place
