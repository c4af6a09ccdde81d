"""The click model: exposures as arrays, and what signals say by intent, class and activity."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.special import ndtri

from pipelines.preferences.kernel import FloatArray, IntArray
from pipelines.signals.signal_patterns import activity_buckets, praised
from pipelines.signals.signal_table import INTENTS, designed_chances, pattern_bits

SLOTS = 8  # positions beyond the eighth share the last slot
_EDGE = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickSettings:
    """Designed priors of the click model, and how much they weigh."""

    buckets: int = 6
    first_examined: float = 0.95  # anchor: without one, examination is not identified
    signal_strength: float = 20.0  # pseudo-exposures behind each designed chance
    bucket_strength: float = 100.0  # pseudo-exposures that hold a bucket to the pool
    examined_strength: float = 20.0
    curve_terms: int = 2  # logit of a signal's chance by class: 2 a line, 3 a parabola, 0 free
    user_strength: float = 3.0  # pseudo-exposures behind a user's intents
    intent_shares: tuple[float, float, float] = (0.88, 0.1, 0.02)  # before any exposure
    share_strength: float = 20.0  # pseudo-users behind intent_shares


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickTable:
    """Exposures sorted by item and then canonically; keys are distinct (pattern, bucket, slot)."""

    start: IntArray  # (items + 1,)
    user: IntArray  # (e,)
    key: IntArray  # (e,)
    bits: FloatArray  # (k, s)
    bucket: IntArray  # (k,)
    slot: IntArray  # (k,)
    slot_names: tuple[str, ...]
    slot_prior: FloatArray  # (slots,) designed chance of being examined
    slot_fixed: FloatArray  # (slots,) 1 where the chance is an anchor
    users: tuple[str, ...]
    user_bucket: IntArray  # (u,)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickParameters:
    """What the click model has learned."""

    phi: FloatArray  # (bucket, m, c, s) chance of a signal, given examined
    eta: FloatArray  # (slots,) chance of being examined
    shares: FloatArray  # (u, m)
    alpha: FloatArray  # (bucket, m) pseudo-exposures of a new user


def click_table(exposures: pa.Table, item_ids: pa.Array, *, settings: ClickSettings) -> ClickTable:
    """Encode training exposures of known items; row order does not matter."""
    item = pc.index_in(exposures["generation_id"], value_set=item_ids).to_numpy()
    names = pc.unique(exposures["user_id"].combine_chunks()).cast(pa.string())
    names = names.take(pc.sort_indices(names))
    user = pc.index_in(exposures["user_id"], value_set=names).to_numpy().astype(np.int64)
    user_bucket = activity_buckets(user, praised(exposures), len(names), buckets=settings.buckets)

    position = pc.fill_null(exposures["position"], -1).to_numpy()
    place = np.where(position < 0, SLOTS, np.minimum(position, SLOTS - 1)).astype(np.int64)
    surfaces = sorted(set(pc.unique(exposures["surface"]).to_pylist()))
    surface = pc.index_in(exposures["surface"], value_set=pa.array(surfaces, pa.string()))
    raw_slot = surface.to_numpy().astype(np.int64) * (SLOTS + 1) + place
    slots, slot = np.unique(raw_slot, return_inverse=True)

    pattern = exposures["pattern"].to_numpy().astype(np.int64)
    patterns, of_pattern = np.unique(pattern, return_inverse=True)
    bucket = user_bucket[user]
    full = (of_pattern * settings.buckets + bucket) * len(slots) + slot
    keys, key = np.unique(full, return_inverse=True)

    order = np.lexsort((key, user, item))
    at = slots % (SLOTS + 1)
    return ClickTable(
        start=np.searchsorted(item[order], np.arange(len(item_ids) + 1)).astype(np.int64),
        user=user[order],
        key=key[order].astype(np.int64),
        bits=pattern_bits(patterns)[keys // (settings.buckets * len(slots))],
        bucket=keys // len(slots) % settings.buckets,
        slot=keys % len(slots),
        slot_names=tuple(
            f"{surfaces[s // (SLOTS + 1)]}:{'unknown' if p == SLOTS else p}"
            for s, p in zip(slots, at, strict=True)
        ),
        slot_prior=np.where(
            at == SLOTS, 0.8, settings.first_examined * 0.85 ** np.minimum(at, SLOTS - 1)
        ),
        slot_fixed=(at == 0).astype(np.float64),
        users=tuple(names.to_pylist()),
        user_bucket=user_bucket,
    )


def first_parameters(
    table: ClickTable, chances: FloatArray, *, settings: ClickSettings
) -> ClickParameters:
    """Begin at the priors; *chances* (m, c, s) are designed or anchored."""
    alpha = np.tile(
        settings.user_strength * np.array(settings.intent_shares), (settings.buckets, 1)
    )
    return ClickParameters(
        phi=np.tile(chances, (settings.buckets, 1, 1, 1)),
        eta=table.slot_prior.copy(),
        shares=alpha[table.user_bucket] / settings.user_strength,
        alpha=alpha,
    )


def emission(table: ClickTable, parameters: ClickParameters) -> FloatArray:
    """Return (k, m, c): the chance of each key's pattern, looked at or not."""
    seen = _seen(table, parameters)
    eta = parameters.eta[table.slot][:, None, None]
    silent = (table.bits.sum(axis=1) == 0)[:, None, None]
    chance: FloatArray = eta * seen + (1 - eta) * silent
    return chance


def update(
    table: ClickTable,
    parameters: ClickParameters,
    by_key: FloatArray,
    by_user: FloatArray,
    chances: FloatArray,
    *,
    settings: ClickSettings,
) -> ClickParameters:
    """Learn from expected counts (the M-step), pulled towards *chances* and the pool."""
    eta = parameters.eta[table.slot][:, None, None]
    silent = (table.bits.sum(axis=1) == 0)[:, None, None]
    seen = eta * _seen(table, parameters)
    looked = by_key * np.where(silent, seen / (seen + 1 - eta), 1.0)

    given = np.zeros((settings.buckets, *looked.shape[1:], table.bits.shape[1]))
    times = np.zeros(given.shape[:-1])
    for g in range(settings.buckets):
        mine = table.bucket == g
        given[g] = np.einsum("kmc,ks->mcs", looked[mine], table.bits[mine])
        times[g] = looked[mine].sum(axis=0)
    # Indiscriminate users say the same of every class, or they would absorb quality.
    last = INTENTS.index("indiscriminate")
    given[:, last] = given[:, last].sum(axis=1, keepdims=True)
    times[:, last] = times[:, last].sum(axis=1, keepdims=True)
    pooled = (given.sum(axis=0) + settings.signal_strength * chances) / (
        times.sum(axis=0) + settings.signal_strength
    )[..., None]
    phi = (given + settings.bucket_strength * pooled) / (times + settings.bucket_strength)[
        ..., None
    ]

    if settings.curve_terms:
        phi = fit_curves(
            given + settings.bucket_strength * pooled,
            times + settings.bucket_strength,
            terms=settings.curve_terms,
        )

    slots = len(table.slot_prior)
    shown = np.bincount(table.slot, weights=by_key.sum(axis=(1, 2)), minlength=slots)
    seen_there = np.bincount(table.slot, weights=looked.sum(axis=(1, 2)), minlength=slots)
    free = (seen_there + settings.examined_strength * table.slot_prior) / (
        shown + settings.examined_strength
    )

    shares = parameters.alpha[table.user_bucket] + by_user
    shares = shares / shares.sum(axis=1, keepdims=True)
    return ClickParameters(
        phi=np.clip(phi, _EDGE, 1 - _EDGE),
        eta=np.clip(np.where(table.slot_fixed > 0, table.slot_prior, free), _EDGE, 1 - _EDGE),
        shares=shares,
        alpha=_pooled_alpha(shares, table.user_bucket, settings=settings),
    )


def fit_curves(given: FloatArray, times: FloatArray, *, terms: int) -> FloatArray:
    """Fit each signal's chance by class as a polynomial in logits (binomial maximum likelihood).

    A free chance per class lets an intent bend until it explains noise; a curve cannot.

    Args:
        given: (..., c, s) expected number of signals given.
        times: (..., c) expected number of exposures looked at.
        terms: coefficients of the polynomial.

    Returns:
        (..., c, s) chances.
    """
    classes = times.shape[-1]
    at = ndtri((np.arange(classes) + 0.5) / classes)
    powers = at[:, None] ** np.arange(terms)  # (c, t)
    count = np.moveaxis(given, -1, -2)  # (..., s, c)
    size = np.broadcast_to(times[..., None, :], count.shape)
    rate = np.clip(count.sum(-1) / size.sum(-1), _EDGE, 1 - _EDGE)
    beta = np.zeros((*count.shape[:-1], terms))
    beta[..., 0] = np.log(rate / (1 - rate))
    ridge = 1e-3 * np.eye(terms)
    for _ in range(6):
        chance = 1 / (1 + np.exp(-(beta @ powers.T)))
        slope = (count - size * chance) @ powers
        bend = np.einsum("...c,ct,cu->...tu", size * chance * (1 - chance), powers, powers) + ridge
        step = np.linalg.solve(bend, slope[..., None])[..., 0]
        beta = beta + np.clip(step, -2.0, 2.0)
    fitted: FloatArray = np.moveaxis(1 / (1 + np.exp(-(beta @ powers.T))), -1, -2)
    return fitted


def designed(classes: int) -> FloatArray:
    """Return (m, c, s) the designed chances, kept inside (0, 1)."""
    return np.clip(designed_chances(classes), _EDGE, 1 - _EDGE)


def _pooled_alpha(shares: FloatArray, bucket: IntArray, *, settings: ClickSettings) -> FloatArray:
    prior = settings.share_strength * np.array(settings.intent_shares)
    alpha = np.empty((settings.buckets, shares.shape[1]))
    for g in range(settings.buckets):
        total = prior + shares[bucket == g].sum(axis=0)
        alpha[g] = settings.user_strength * total / total.sum()
    return alpha


def _seen(table: ClickTable, parameters: ClickParameters) -> FloatArray:
    log_on, log_off = np.log(parameters.phi), np.log1p(-parameters.phi)
    chance = np.empty((len(table.bits), *parameters.phi.shape[1:3]))
    for g in range(len(parameters.phi)):
        mine = table.bucket == g
        on = np.einsum("ks,mcs->kmc", table.bits[mine], (log_on - log_off)[g])
        chance[mine] = np.exp(on + log_off[g].sum(axis=-1))
    return chance
