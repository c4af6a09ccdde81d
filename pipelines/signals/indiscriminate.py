"""Indiscriminate users: who praises much, and none of it depends on what was shown, or where.

A person praises what people praise, or has a taste of their own; either way nobody praises what
they did not look at, and the lower places of a grid are looked at less. A program that praises
half of what it sees does so everywhere. Two accounts of each user are compared: one rate for
everything, or a person as ready as people are, whose praise follows popularity and place.
"""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.special import expit, logit

from pipelines.signals.signal_table import BoolArray, FloatArray, has_signal
from pipelines.signals.tenant_users import User, number_users

IntArray = NDArray[np.int64]

EAGER: Final = ("like", "share", "upscale", "remix")  # mockers download, so that is left out
PULLS: Final = np.linspace(-3.0, 3.0, 13)  # what speaks for praise, in logits; bins of half a logit
OFTEN: Final = 0.3  # who praises less of what they see passes ...
TIMES: Final = 2.0  # ... and who praises less than so many times what the median user does
FEW: Final = 10  # and so does who saw fewer
SURE: Final = 3.0  # log of how many times more probable one rate must be: 20
OTHERS: Final = 6.0  # exposures of average praise that stand behind each generation
APART: Final = 0.5  # logits by which people differ in how readily they praise, at least
FOLLOWS: Final = 0.2  # slope of people's praise in PULLS below which nobody can be told apart
FITTED: Final = 20_000  # users from whom it is learned how people are
PLACES: Final = 9


def find_indiscriminate(exposures: pa.Table) -> list[User]:
    """Name the users who praise much of what they see, whatever it is.

    Args:
        exposures: EXPOSURE rows.

    Returns:
        Users in their order.
    """
    if exposures.num_rows == 0:
        return []
    users, user = number_users(exposures["user_id"], exposures["tenant_id"])
    items = pc.dictionary_encode(exposures["generation_id"].combine_chunks())
    place = grid_places(exposures)
    gave = np.any([has_signal(exposures, name) for name in EAGER], axis=0)
    slots = np.zeros((2, PLACES))
    slots[0] = np.bincount(place, minlength=PLACES)
    slots[1] = np.bincount(place, weights=gave, minlength=PLACES)
    tally = pulled(
        user, items.indices.to_numpy().astype(np.int64), place, gave, slots=slots,
        users=len(users),
    )  # fmt: skip
    return users.named(praise_anything(*tally))


def grid_places(exposures: pa.Table) -> IntArray:
    """Return (e,) the place of each exposure: 0 to 7, the last for all beyond, 8 if not logged."""
    position = pc.fill_null(exposures["position"], -1).to_numpy()
    last = PLACES - 1
    place: IntArray = np.where(position < 0, last, np.minimum(position, last - 1)).astype(np.int64)
    return place


def pulled(
    user: IntArray, item: IntArray, place: IntArray, gave: BoolArray, *, slots: FloatArray,
    users: int,
) -> tuple[FloatArray, FloatArray]:  # fmt: skip
    """Count exposures by user and by how much speaks for praise: others' praise, and the place.

    All exposures of a generation must be there; tallies of several parts are added.

    Args:
        user: (e,) number of the user.
        item: (e,) number of the generation.
        place: (e,) from `grid_places`.
        gave: (e,) praised by one of EAGER.
        slots: (2, PLACES) exposures and praise by place, of all parts.
        users: how many there are.

    Returns:
        Seen and given, both (u, len(PULLS)).
    """
    mean = float(np.clip(slots[1].sum() / max(slots[0].sum(), 1), 1e-4, 1 - 1e-4))
    held = OTHERS * 10  # a place that is hardly used is taken for an average one
    at_place = logit((slots[1] + held * mean) / (slots[0] + held)) - logit(mean)
    fans = np.bincount(item, weights=gave)
    saw = np.bincount(item)
    popular = (fans[item] - gave + OTHERS * mean) / (saw[item] - 1 + OTHERS)
    pull = logit(np.clip(popular, 1e-4, 1 - 1e-4)) - logit(mean) + at_place[place]
    step = PULLS[1] - PULLS[0]
    binned = np.clip(np.rint((pull - PULLS[0]) / step), 0, len(PULLS) - 1).astype(np.int64)
    cell, shape = user * len(PULLS) + binned, (users, len(PULLS))
    size = users * len(PULLS)
    return (
        np.bincount(cell, minlength=size).reshape(shape).astype(np.float64),
        np.bincount(cell, weights=gave, minlength=size).reshape(shape).astype(np.float64),
    )


def praise_anything(seen: FloatArray, given: FloatArray) -> BoolArray:
    """Say of each user whether one rate for everything explains the praise, and no person does.

    Args:
        seen: (u, b) exposures by pull, from `pulled`.
        given: (u, b) praise.
    """
    shown, praise = seen.sum(axis=1), given.sum(axis=1)
    said: BoolArray = np.zeros(len(seen), dtype=bool)
    judged = shown >= FEW
    rate = praise / np.maximum(shown, 1.0)
    often = max(OFTEN, TIMES * float(np.median(rate[judged]))) if judged.any() else OFTEN
    suspects, others = judged & (rate >= often), np.flatnonzero(judged & (rate < often))
    if not suspects.any() or not len(others):
        return said
    # Evenly by how much they praise and saw, so that names and order do not matter.
    order = others[np.lexsort((shown[others], rate[others]))]
    some = order[np.unique(np.linspace(0, len(order) - 1, FITTED).astype(np.int64))]
    mean, slope = float(logit(np.clip(praise.sum() / shown.sum(), 1e-4, 0.5))), 1.0
    ready: FloatArray = np.full(len(some), mean)
    for _ in range(10):
        ready, _ = _readiness(seen[some], given[some], slope, ready, mean, 1.0)
        chance = expit(ready[:, None] + slope * PULLS)
        gain = ((given[some] - seen[some] * chance) * PULLS).sum()
        curve = (seen[some] * chance * (1 - chance) * PULLS**2).sum()
        slope = float(np.clip(slope + gain / max(curve, 1e-9), -5.0, 5.0))
    if slope < FOLLOWS:
        return said
    ready, _ = _readiness(seen[some], given[some], slope, ready, mean, 1.0)
    centre = float(np.median(ready))
    # Adversaries praise much: only who praises less than most says how people differ.
    spread = max(centre - float(np.quantile(ready, 0.16)), APART)
    seen, given = seen[suspects], given[suspects]
    ready, width = _readiness(seen, given, slope, np.full(len(seen), centre), centre, 1 / spread**2)
    chance = np.clip(expit(ready[:, None] + slope * PULLS), 1e-9, 1 - 1e-9)
    person = (given * np.log(chance) + (seen - given) * np.log1p(-chance)).sum(axis=1)
    person += np.log(width / spread) - 0.5 * ((ready - centre) / spread) ** 2
    shown, praise = seen.sum(axis=1), given.sum(axis=1)
    rate = (praise + 0.5) / (shown + 1)
    machine = praise * np.log(rate) + (shown - praise) * np.log1p(-rate)
    # Any rate from *often* to 1 is as likely; both accounts are averaged over what they leave open.
    machine += 0.5 * np.log(2 * np.pi * rate * (1 - rate) / shown) - np.log1p(-min(often, 0.9))
    said[np.flatnonzero(suspects)] = machine - person > SURE
    return said


def _readiness(
    seen: FloatArray, given: FloatArray, slope: float, ready: FloatArray, mean: float, firm: float
) -> tuple[FloatArray, FloatArray]:
    """Return (u,) how ready each user is to praise, in logits, and its standard deviation."""
    for _ in range(8):
        chance = expit(ready[:, None] + slope * PULLS)
        gain = (given - seen * chance).sum(axis=1) - firm * (ready - mean)
        curve = (seen * chance * (1 - chance)).sum(axis=1) + firm
        ready = ready + np.clip(gain / curve, -2.0, 2.0)
    width: FloatArray = 1.0 / np.sqrt(curve)
    return ready, width
