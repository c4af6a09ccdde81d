"""One-sided voters: users whose praise goes to one model release, far more than peers explain."""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.special import betaln, expit, logsumexp

from pipelines.signals.adversaries import wilson_lower
from pipelines.signals.signal_patterns import praised
from pipelines.signals.signal_table import BoolArray, FloatArray
from pipelines.signals.tenant_users import User, number_users

STRENGTHS: Final = np.geomspace(2.0, 512.0, 17)  # how alike people's leanings are, tried
ONE_SIDED: Final = np.linspace(
    0.9, 0.999, 12
)  # share of a one-sided voter's praise, each as likely
FITTED: Final = 20_000  # users that the mixture is fitted on; the others are only judged by it
STEPS: Final = 200
ALWAYS: Final = 0.5  # of a release, surely praised: one-sided whatever peers do


def find_one_sided(
    exposures: pa.Table, generations: pa.Table, *, sure: float = 0.95, never: float = 0.2
) -> list[User]:
    """Name the users whose praise goes to one model release though peers' is spread.

    What share of a user's praise a release would get is expected from what the user saw of each
    release and how often everybody praises it. People lean around that share, a one-sided voter
    gives nine tenths and more; the mixture of both says how probable each is. So the name does
    not hang on how often somebody praises. Somebody who merely prefers a release likes some of the
    rest, and passes: praise of the rest must surely be rarer than *never* (Wilson's interval at
    two standard errors).

    Args:
        exposures: EXPOSURE rows.
        generations: generation_id, model_release; without that column nobody is named. What has no
            release is one of its own.
        sure: probability from which a user is named.
        never: share in [0, 1].

    Returns:
        Users in their order.
    """
    if exposures.num_rows == 0 or "model_release" not in generations.column_names:
        return []
    named = generations["model_release"].combine_chunks()
    releases = named.dictionary_encode(null_encoding="encode")
    if len(releases.dictionary) < 2:
        return []
    at = pc.index_in(
        exposures["generation_id"], value_set=generations["generation_id"].combine_chunks()
    ).to_numpy()
    release = releases.indices.to_numpy()[at]
    users, index = number_users(exposures["user_id"], exposures["tenant_id"])
    sides = len(releases.dictionary)
    gave = praised(exposures).astype(np.float64)
    cell = index * sides + release
    shape = (len(users), sides)
    size = shape[0] * shape[1]
    given = np.bincount(cell, weights=gave, minlength=size).reshape(shape).astype(np.float64)
    seen = np.bincount(cell, minlength=size).reshape(shape).astype(np.float64)
    return users.named(praise_one_side(given, seen, sure=sure, never=never))


def praise_one_side(
    given: FloatArray, seen: FloatArray, *, sure: float = 0.95, never: float = 0.2
) -> BoolArray:
    """Say of each user whether praise goes to one release only; as `find_one_sided`.

    Args:
        given: (u, r) exposures praised by user and release, of all who are to be compared.
        seen: (u, r) exposures.
        sure: probability from which it is said.
        never: share in [0, 1].
    """
    sided: BoolArray = np.zeros(len(given), dtype=bool)
    rate = given.sum(axis=0) / np.maximum(seen.sum(axis=0), 1.0)
    expected = seen * rate
    total, praise, shown = (each.sum(axis=1) for each in (expected, given, seen))
    for release in range(given.shape[1]):
        mine = expected[:, release]
        # A tenth at least stays for the rest, or even all praise for one release says nothing.
        apart = (praise > 0) & (mine > 0) & (mine < 0.9 * total)
        share = mine[apart] / total[apart]
        voting = np.zeros(len(given), dtype=bool)
        voting[apart] = one_sidedness(given[apart, release], praise[apart], share) > sure
        # Among few people the mixture cannot tell: there, whoever praises most of one release.
        much = np.maximum(seen[:, release], 1.0)
        most = wilson_lower(given[:, release], much, confidence=2.0) > ALWAYS
        rest = shown - seen[:, release]
        ignored = rest - praise + given[:, release]
        # The upper end for praise is one less the lower end for its absence.
        rare = 1 - wilson_lower(ignored, np.maximum(rest, 1.0), confidence=2.0) < never
        sided |= (voting | most) & rare & (rest > 0)
    return sided


def one_sidedness(given: FloatArray, praise: FloatArray, share: FloatArray) -> FloatArray:
    """Return (u,) how probably each user votes for one side alone.

    A mixture of two: people, beta-binomial around their expected *share* with one strength for
    all, and one-sided voters, whose share lies in ONE_SIDED. Strength and mixing weight are
    those of most likelihood on at most FITTED users, evenly taken, whatever their names.

    Args:
        given: (u,) praise for the side, of
        praise: (u,) praise in all, > 0.
        share: (u,) expected share of the side, in (0, 1).

    Example:
        >>> even = np.full(99, 10.0)
        >>> given = np.append(even, 20.0)
        >>> one_sidedness(given, np.full(100, 20.0), np.full(100, 0.5))[[0, 99]].round(3)
        array([0., 1.])
    """
    if len(given) == 0:
        return np.zeros(0)
    order = np.lexsort((given, praise, share))
    some = order[np.unique(np.linspace(0, len(order) - 1, FITTED).astype(np.int64))]
    leaning = np.stack(
        [_leaning(given[some], praise[some], share[some], strength) for strength in STRENGTHS]
    )
    voting = _voting(given[some], praise[some])
    # Each strength is fitted by itself: from the widest one alone, voters pass for people.
    weight = np.full((len(STRENGTHS), 1), 0.05)
    for _ in range(STEPS):
        before, weight = weight, np.clip(
            _sided(leaning, voting, weight).mean(axis=1, keepdims=True), 1e-6, 0.5
        )  # fmt: skip
        if float(np.abs(weight - before).max()) < 1e-7:
            break
    likely = np.logaddexp(np.log1p(-weight) + leaning, np.log(weight) + voting).sum(axis=1)
    best = int(likely.argmax())
    return _sided(
        _leaning(given, praise, share, STRENGTHS[best]), _voting(given, praise), weight[best]
    )


def _leaning(
    given: FloatArray, praise: FloatArray, share: FloatArray, strength: float
) -> FloatArray:
    one, other = share * strength, (1.0 - share) * strength
    logs: FloatArray = betaln(given + one, praise - given + other) - betaln(one, other)
    return logs


def _voting(given: FloatArray, praise: FloatArray) -> FloatArray:
    rest = (praise - given)[:, None]
    each = given[:, None] * np.log(ONE_SIDED) + rest * np.log1p(-ONE_SIDED)
    logs: FloatArray = logsumexp(each, axis=1) - np.log(len(ONE_SIDED))
    return logs


def _sided(leaning: FloatArray, voting: FloatArray, weight: FloatArray) -> NDArray[np.float64]:
    odds: FloatArray = voting - leaning + np.log(weight) - np.log1p(-weight)
    return np.asarray(expit(odds))
