"""Ratings: each annotator's confusion of classes, held to a pool of honest, random and reversed."""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from pipelines.preferences.kernel import FloatArray, IntArray, add_by_row

TYPES = ("honest", "random", "reversed")


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingSettings:
    """Designed priors for annotators who rate."""

    spread: float = 0.9  # in classes, of an honest annotator before any answer
    pool_strength: float = 20.0  # pseudo-answers behind the designed honest annotator
    annotator_strength: float = 6.0  # pseudo-answers that hold each class of one to the pool
    type_shares: tuple[float, float, float] = (0.8, 0.12, 0.08)
    type_strength: float = 10.0  # pseudo-annotators behind type_shares


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratings:
    """Answers on one aspect, in canonical order."""

    item: IntArray
    annotator: IntArray
    label: IntArray  # 0 .. levels - 1
    levels: int
    items: int
    annotators: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusions:
    """How annotators answer: (r, c, l) confusions and (r, t) chances of each type.

    *evidence* (r, t) is what these answers alone say of the type, in logs.
    """

    psi: FloatArray
    types: FloatArray
    evidence: FloatArray


def designed_confusion(classes: int, levels: int, *, spread: float) -> FloatArray:
    """Return (c, l): an honest annotator sees the class with normal error of *spread* classes."""
    at = np.linspace(0.0, levels - 1.0, classes)[:, None]
    chance = np.exp(-0.5 * ((np.arange(levels)[None, :] - at) / spread) ** 2) + 1e-3
    rows: FloatArray = chance / chance.sum(axis=1, keepdims=True)
    return rows


def rating_messages(ratings: Ratings, confusions: Confusions) -> FloatArray:
    """Return (i, c): log chance of all ratings of an item, by its class."""
    log_psi = np.log(confusions.psi)
    rows = log_psi[ratings.annotator, :, ratings.label]
    return add_by_row(ratings.item, rows, size=ratings.items)


def learn_confusions(
    ratings: Ratings,
    posterior: FloatArray | None,
    *,
    classes: int,
    settings: RatingSettings,
    before: Confusions | None = None,
    elsewhere: FloatArray | None = None,
) -> Confusions:
    """Estimate confusions from the classes' *posterior* (i, c); None begins at the pool.

    Each annotator is honest, random or reversed with some chance, and is held to the mixture,
    so that few answers suffice to turn a reversed one round. Who is reversed on one aspect is
    so on all: *elsewhere* (r, t) is what answers on other aspects say of the type, in logs.
    *before* is the estimate of the step before.
    """
    honest = designed_confusion(classes, ratings.levels, spread=settings.spread)
    shares = np.array(settings.type_shares)
    counts = np.zeros((ratings.annotators, classes, ratings.levels))
    if posterior is not None:
        cell = ratings.annotator * ratings.levels + ratings.label
        flat = add_by_row(cell, posterior[ratings.item], size=ratings.annotators * ratings.levels)
        counts = flat.reshape(ratings.annotators, ratings.levels, classes).transpose(0, 2, 1)
    # Before any estimate nobody is believed, so that the pool begins as designed, not as
    # whatever most annotators do.
    types = np.zeros((ratings.annotators, len(TYPES))) if before is None else before.types
    evidence = np.zeros_like(types)
    for _ in range(3):
        # The pool comes first: counts are blurred by what is not known of the classes, and
        # beside the sharp designed annotator everybody would look random.
        straight = np.einsum("r,rcl->cl", types[:, 0], counts)
        turned = np.einsum("r,rcl->cl", types[:, 2], counts)[:, ::-1]
        pool = straight + turned + settings.pool_strength * honest
        pool = pool / pool.sum(axis=1, keepdims=True)
        prototypes = np.stack([pool, np.full_like(pool, 1 / ratings.levels), pool[:, ::-1]])
        evidence = _log_evidence(counts, settings.annotator_strength * prototypes)
        weighed = evidence + np.log(shares) + (0.0 if elsewhere is None else elsewhere)
        types = np.exp(weighed - weighed.max(axis=1, keepdims=True))
        types /= types.sum(axis=1, keepdims=True)
        shares = settings.type_strength * np.array(settings.type_shares) + types.sum(axis=0)
        shares = shares / shares.sum()
    held = np.einsum("rt,tcl->rcl", types, prototypes) * settings.annotator_strength
    psi = counts + held
    return Confusions(psi=psi / psi.sum(axis=2, keepdims=True), types=types, evidence=evidence)


def _log_evidence(counts: FloatArray, prior: FloatArray) -> FloatArray:
    """Return (r, t): log Dirichlet-multinomial chance of the counts under each prototype."""
    both = counts[:, None] + prior[None]
    cells = (gammaln(both) - gammaln(prior)[None]).sum(axis=(2, 3))
    rows = (gammaln(prior.sum(axis=2))[None] - gammaln(both.sum(axis=3))).sum(axis=2)
    evidence: FloatArray = cells + rows
    return evidence
