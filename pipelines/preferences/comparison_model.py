"""Comparisons: Rao-Kupper with each annotator's sharpness, side bias and readiness to tie."""

from dataclasses import dataclass

import numpy as np

from pipelines.preferences.kernel import FloatArray, IntArray, add_by_row

LOSE, TIE, WIN = 0, 1, 2

# A grid instead of gradient steps: the posterior over it is exact, and reversed annotators
# (negative sharpness) are as reachable as sharp ones.
_SHARPNESS = np.array([-2.0, -1.0, -0.4, 0.0, 0.4, 0.8, 1.2, 1.8, 2.6])
_SHARPNESS_PRIOR = np.array([0.02, 0.03, 0.02, 0.08, 0.15, 0.2, 0.2, 0.2, 0.1])
_SIDE = np.array([-2.0, -1.0, -0.4, 0.0, 0.4, 1.0, 2.0])
_SIDE_PRIOR = np.array([0.03, 0.07, 0.15, 0.5, 0.15, 0.07, 0.03])
_TIE = np.array([0.05, 0.4, 0.9, 1.5])
_TIE_PRIOR = np.array([0.3, 0.3, 0.25, 0.15])
_GRID = np.stack(np.meshgrid(_SHARPNESS, _SIDE, _TIE, indexing="ij"), axis=-1).reshape(-1, 3)
_GRID_PRIOR = np.einsum("a,b,c->abc", _SHARPNESS_PRIOR, _SIDE_PRIOR, _TIE_PRIOR).ravel()
# Among the types of those who rate (`rating_model.TYPES`).
_HONEST, _RANDOM, _REVERSED = range(3)
_TYPE = np.select([_GRID[:, 0] > 0, _GRID[:, 0] == 0], [_HONEST, _RANDOM], _REVERSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparisons:
    """Answers on one aspect, in canonical order."""

    item: IntArray
    other: IntArray
    annotator: IntArray
    outcome: IntArray  # LOSE, TIE or WIN of item against other
    left: IntArray  # 1: item was shown left, -1: right, 0: unknown
    items: int
    annotators: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Judges:
    """What is believed of each annotator: (r, grid) chances, and the log chances they imply.

    *log_chance* is (r, c, c', outcome, side), side counted -1, 0, 1. *evidence* (r, t) is what
    these comparisons alone say of the type, honest, random or reversed, in logs; it says
    nothing of random.
    """

    belief: FloatArray
    log_chance: FloatArray
    evidence: FloatArray


def rao_kupper(strength: FloatArray, tie: FloatArray) -> FloatArray:
    """Return chances (..., 3) to lose, tie, win at a log strength difference.

    *tie* >= 0 is the log of Rao & Kupper's nu; at 0 there are no ties.

    Example:
        >>> rao_kupper(np.array(0.0), np.array(0.0)).round(2)
        array([0.5, 0. , 0.5])
    """
    win = 1 / (1 + np.exp(tie - strength))
    lose = 1 / (1 + np.exp(tie + strength))
    chances: FloatArray = np.stack([lose, np.maximum(1 - win - lose, 0.0), win], axis=-1)
    return chances


def learn_judges(
    comparisons: Comparisons,
    posterior: FloatArray | None,
    *,
    classes: int,
    elsewhere: FloatArray | None = None,
) -> Judges:
    """Believe in each annotator's parameters given the classes' *posterior*; None: the prior.

    Items whose row of *posterior* is nought are not known, and their comparisons count for
    nothing. Who is reversed on one aspect is so on all: *elsewhere* (r, t) is what other answers
    say of the type, in logs. Whoever is random on one aspect, or looks so while little is known
    of the classes, need not be on another.
    """
    table = _log_table(classes)  # (c, c', outcome, side, grid)
    belief = np.tile(np.log(_GRID_PRIOR), (comparisons.annotators, 1))
    if posterior is not None:
        cells = classes * classes
        joint = posterior[comparisons.item][:, :, None] * posterior[comparisons.other][:, None, :]
        at = comparisons.annotator * 9 + comparisons.outcome * 3 + comparisons.left + 1
        counts = add_by_row(at, joint.reshape(-1, cells), size=comparisons.annotators * 9)
        counts = counts.reshape(comparisons.annotators, 9, cells).transpose(0, 2, 1)
        belief = belief + counts.reshape(comparisons.annotators, -1) @ table.reshape(
            cells * 9, len(_GRID)
        )
    evidence = _type_evidence(belief)
    if elsewhere is not None:
        belief = belief + _directed(elsewhere)[:, _TYPE]
    belief = np.exp(belief - belief.max(axis=1, keepdims=True))
    belief /= belief.sum(axis=1, keepdims=True)
    log_chance = np.einsum("rg,abosg->rabos", belief, table)
    return Judges(belief=belief, log_chance=log_chance, evidence=evidence)


def comparison_messages(
    comparisons: Comparisons, judges: Judges, posterior: FloatArray
) -> FloatArray:
    """Return (i, c): expected log chance of an item's comparisons, its rivals as believed.

    This is the mean-field update: q of the rival comes from the step before.
    """
    log_chance = judges.log_chance[
        comparisons.annotator, :, :, comparisons.outcome, comparisons.left + 1
    ]
    to_item = np.einsum("nab,nb->na", log_chance, posterior[comparisons.other])
    to_other = np.einsum("nab,na->nb", log_chance, posterior[comparisons.item])
    first = add_by_row(comparisons.item, to_item, size=comparisons.items)
    return first + add_by_row(comparisons.other, to_other, size=comparisons.items)


def expected_sharpness(judges: Judges) -> FloatArray:
    """Return (r,) the mean log-odds that one class of difference gives; negative is reversed."""
    sharpness: FloatArray = judges.belief @ _GRID[:, 0]
    return sharpness


def expected_side(judges: Judges) -> FloatArray:
    """Return (r,) the mean log-odds given to whatever is shown left."""
    side: FloatArray = judges.belief @ _GRID[:, 1]
    return side


def reversed_chance(judges: Judges) -> FloatArray:
    """Return (r,) the chance that an annotator prefers the worse of two."""
    turned: FloatArray = judges.belief @ (_GRID[:, 0] < 0)
    return turned


def _type_evidence(log_joint: FloatArray) -> FloatArray:
    """Return (r, t): log chance of the answers by type; *log_joint* (r, g) holds the prior."""
    evidence = np.zeros((len(log_joint), 3))
    for kind in (_HONEST, _REVERSED):
        mine = log_joint[:, kind == _TYPE]
        top = mine.max(axis=1, keepdims=True)
        evidence[:, kind] = np.log(np.exp(mine - top).sum(axis=1)) + top[:, 0]
        evidence[:, kind] -= np.log(_GRID_PRIOR[kind == _TYPE].sum())
    return _directed(evidence)


def _directed(evidence: FloatArray) -> FloatArray:
    """Return *evidence* (r, t) scaled so that random is as likely after it as before."""
    sides = evidence[:, [_HONEST, _REVERSED]]
    prior = np.array([_GRID_PRIOR[kind == _TYPE].sum() for kind in (_HONEST, _REVERSED)])
    top = sides.max(axis=1)
    mean = np.log(np.exp(sides - top[:, None]) @ (prior / prior.sum())) + top
    directed: FloatArray = evidence - mean[:, None]
    directed[:, _RANDOM] = 0.0
    return directed


def _log_table(classes: int) -> FloatArray:
    value = np.linspace(0.0, 4.0, classes)  # classes apart, on the scale of five
    gap = value[:, None, None, None] - value[None, :, None, None]
    side = np.array([-1.0, 0.0, 1.0])[None, None, :, None]
    strength = gap * _GRID[:, 0] + side * _GRID[:, 1]
    chances = rao_kupper(strength, np.broadcast_to(_GRID[:, 2], strength.shape))
    # (c, c', side, grid, outcome) -> (c, c', outcome, side, grid), with a slip in a hundred.
    logs: FloatArray = np.log(0.99 * chances + 0.01 / 3).transpose(0, 1, 4, 2, 3)
    return logs
