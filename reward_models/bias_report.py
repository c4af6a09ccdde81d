"""What a model's scores make of things that are no quality: length, motion; no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from reward_models.interval import FloatArray, Interval

LEAST: Final = 20  # pairs that differ in it; of fewer nothing is said


@dataclass(frozen=True, slots=True, kw_only=True)
class Bias:
    """How far preferences go with something that is no quality, over decided pairs.

    A correlation of differences through zero: 1 where the better one always has more of it, in
    proportion; it does not depend on which of a pair comes first. What people's answers have of
    it is no bias of the model's.
    """

    pairs: int  # that differ in it
    model: Interval  # of its lead
    people: Interval  # of their answers
    excess: Interval  # the model's less the people's


def bias_figures(
    lead: FloatArray,
    differences: Mapping[str, FloatArray],
    *,
    prompts: Sequence[str],
    rng: np.random.Generator,
    resamples: int = 1000,
) -> dict[str, Bias]:
    """Measure one aspect on pairs that are no ties.

    Args:
        lead: (n,) by how much the model prefers the one that people preferred.
        differences: by name (n,) how much more that one has of it.
        prompts: (n,) intervals are over these.
        rng: draws the intervals.
        resamples: how many.

    Returns:
        By name; without those in which fewer than `LEAST` pairs differ.
    """
    _, group = np.unique(np.array(prompts), return_inverse=True)
    found = {}
    for name, more in differences.items():
        differ = more != 0
        if differ.sum() < LEAST or not (lead[differ] != 0).any():
            continue
        d, said, own = more[differ], lead[differ], group[differ]
        # By prompt: what both correlations are made of.
        parts = np.stack([
            np.bincount(own, each, minlength=group.max() + 1)
            for each in (said * d, said**2, d, np.ones(len(d)), d**2)
        ])  # fmt: skip
        there = parts[3] > 0
        parts = parts[:, there]
        drawn = rng.integers(parts.shape[1], size=(resamples, parts.shape[1]))
        spread = _correlations(parts[:, drawn].sum(-1))
        known = _correlations(parts.sum(-1, keepdims=True))[:, 0]
        low, high = np.nanquantile(spread, [0.025, 0.975], axis=1)
        model, people, excess = (
            Interval(mean=float(known[k]), low=float(low[k]), high=float(high[k])) for k in range(3)
        )
        found[name] = Bias(pairs=int(differ.sum()), model=model, people=people, excess=excess)
    return found


def _correlations(sums: FloatArray) -> FloatArray:
    """Return (3, k) of model, people and their difference, from (5, k) sums."""
    lead_more, lead2, people_more, people2, more2 = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        model = lead_more / np.sqrt(lead2 * more2)
        people = people_more / np.sqrt(people2 * more2)
    return np.stack([model, people, model - people])
