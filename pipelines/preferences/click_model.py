"""The click model: what signals say by intent and class, for users who differ in readiness.

Some people like one thing in three, some one in thirty, and a studio's heavy users download
much of what they see. What a signal says can only be judged against the user's own readiness
to give it, so each endorsing user leans from the average by a learned amount per signal.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import expit

from pipelines.preferences.click_table import ClickTable
from pipelines.preferences.kernel import Beliefs, Counts, FloatArray
from pipelines.preferences.signal_curves import EDGE, class_powers, fit_curves, line_through
from pipelines.signals.signal_table import INTENTS, designed_chances

# A user's chance of every signal in every class is held for so many users at a time.
USERS_AT_ONCE: Final = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickSettings:
    """Designed priors of the click model, and how much they weigh."""

    first_examined: float = 0.95  # anchor: without one, examination is not identified
    examined_strength: float = 20.0  # pseudo-exposures behind each designed examination
    signal_strength: float = 1000.0  # pseudo-exposures a class behind each designed chance
    user_strength: float = 8.0  # pseudo-exposures behind a user's intents
    intent_shares: tuple[float, float, float] = (0.88, 0.1, 0.02)  # before any exposure
    share_strength: float = 20.0  # pseudo-users behind intent_shares
    lean_variance: float = 0.3  # of users' readiness in logits, before any exposure
    lean_strength: float = 30.0  # pseudo-users behind lean_variance


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickParameters:
    """What the click model has learned."""

    phi: FloatArray  # (m, c, s) chance of a signal, looked at; of the average endorsing user
    line: FloatArray  # (2, s) the same for intent 0, in logits
    lean: FloatArray  # (u, s) each user's readiness beyond the average, in logits
    lean_variance: FloatArray  # (s,)
    eta: FloatArray  # (slots,) chance of being looked at
    shares: FloatArray  # (u, m)
    alpha: FloatArray  # (m,) pseudo-exposures of a new user


def designed(classes: int) -> FloatArray:
    """Return (m, c, s) the designed chances, kept inside (0, 1)."""
    return np.clip(designed_chances(classes), EDGE, 1 - EDGE)


def logged_only(chances: FloatArray, table: ClickTable) -> FloatArray:
    """Return *chances* with signals that nobody ever gave made impossible.

    Many platforms log no dwell or have no remix; that nobody dwells says nothing of anybody.
    """
    given = table.key_counts @ table.bits
    kept: FloatArray = np.where(given > 0, chances, EDGE)
    return kept


def first_parameters(
    table: ClickTable, chances: FloatArray, *, settings: ClickSettings
) -> ClickParameters:
    """Begin at the priors; *chances* (m, c, s) are designed or anchored."""
    users, signals = len(table.users), chances.shape[-1]
    alpha = settings.user_strength * np.array(settings.intent_shares)
    return ClickParameters(
        phi=chances,
        line=line_through(chances[0]),
        lean=np.zeros((users, signals)),
        lean_variance=np.full(signals, settings.lean_variance),
        eta=table.slot_prior,
        shares=np.tile(alpha / alpha.sum(), (users, 1)),
        alpha=alpha,
    )


def beliefs(table: ClickTable, parameters: ClickParameters) -> Beliefs:
    """Return what the kernel needs to know of users and keys."""
    looked = parameters.eta[table.slot]
    silent = (table.bits.sum(axis=1) == 0)[:, None, None]
    log_on, log_off = np.log(parameters.phi), np.log1p(-parameters.phi)
    on = np.einsum("ks,mcs->kmc", table.bits, log_on - log_off)
    seen = np.exp(on + log_off.sum(axis=-1))
    logits = class_powers(parameters.phi.shape[1]) @ parameters.line
    quiet = np.empty((len(table.users), parameters.phi.shape[1]))
    for some in _user_blocks(len(quiet)):
        quiet[some] = (1 - _user_chances(parameters, some)).prod(axis=-1)
    return Beliefs(
        shares=parameters.shares,
        emission=looked[:, None, None] * seen + (1 - looked)[:, None, None] * silent,
        looked=looked,
        odds=np.exp(table.bits @ logits.T),
        boost=np.exp(parameters.lean),
        quiet=quiet,
    )


def update(
    table: ClickTable,
    parameters: ClickParameters,
    counts: Counts,
    chances: FloatArray,
    *,
    settings: ClickSettings,
) -> ClickParameters:
    """Learn from expected counts (the M-step), pulled towards *chances* and the average user."""
    by_key = counts.by_key
    eta = parameters.eta[table.slot][:, None, None]
    silent = (table.bits.sum(axis=1) == 0)[:, None, None]
    log_off = np.log1p(-parameters.phi).sum(axis=-1)
    seen = eta * np.exp(log_off)
    looked = by_key * np.where(silent, seen / (seen + 1 - eta), 1.0)
    looked[:, 0] = counts.key_looked

    given = np.einsum("kmc,ks->mcs", looked, table.bits)
    times = looked.sum(axis=0)
    # Indiscriminate users say the same of every class, or they would absorb quality.
    last = INTENTS.index("indiscriminate")
    given[last], times[last] = given[last].sum(axis=0), times[last].sum()
    phi = fit_curves(given + settings.signal_strength * chances, times + settings.signal_strength)
    line, lean, variance = _learn_endorsement(
        table, parameters, counts, given[0], chances[0], settings=settings
    )
    phi[0] = np.clip(expit(class_powers(phi.shape[1]) @ line), EDGE, 1 - EDGE)

    slots = len(table.slot_prior)
    there = np.bincount(table.slot, weights=by_key.sum(axis=(1, 2)), minlength=slots)
    seen_there = np.bincount(table.slot, weights=looked.sum(axis=(1, 2)), minlength=slots)
    free = (seen_there + settings.examined_strength * table.slot_prior) / (
        there + settings.examined_strength
    )
    shares = parameters.alpha + counts.by_user
    shares = shares / shares.sum(axis=1, keepdims=True)
    pool = settings.share_strength * np.array(settings.intent_shares) + table.trusted @ shares
    return ClickParameters(
        phi=phi,
        line=line,
        lean=lean,
        lean_variance=variance,
        eta=np.clip(np.where(table.slot_fixed > 0, table.slot_prior, free), EDGE, 1 - EDGE),
        shares=shares,
        alpha=settings.user_strength * pool / pool.sum(),
    )


def _learn_endorsement(
    table: ClickTable,
    parameters: ClickParameters,
    counts: Counts,
    given: FloatArray,
    chances: FloatArray,
    *,
    settings: ClickSettings,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Take one Newton step for the line, then one for every user's lean and its variance."""
    powers = class_powers(len(chances))
    strength = settings.signal_strength
    average = expit(powers @ parameters.line)
    expected, bend = np.zeros_like(average), np.zeros_like(average)
    by_user, stiff = np.empty_like(parameters.lean), np.empty_like(parameters.lean)
    for some in _user_blocks(len(by_user)):
        chance = _user_chances(parameters, some)
        hoped = counts.user_looked[some, :, None] * chance
        spread_out = hoped * (1 - chance)
        expected, bend = expected + hoped.sum(axis=0), bend + spread_out.sum(axis=0)
        by_user[some], stiff[some] = hoped.sum(axis=1), spread_out.sum(axis=1)
    expected = expected + strength * average
    bend = bend + strength * average * (1 - average)
    slope = powers.T @ (given + strength * chances - expected)
    curvature = np.einsum("cs,ct,cu->stu", bend, powers, powers) + 1e-3 * np.eye(2)
    line = parameters.line + np.clip(
        np.linalg.solve(curvature, slope.T[..., None])[..., 0].T, -1.0, 1.0
    )

    pull = counts.user_given - by_user
    pull = pull - parameters.lean / parameters.lean_variance
    stiff = stiff + 1 / parameters.lean_variance
    lean = parameters.lean + np.clip(pull / stiff, -1.0, 1.0)
    spread = table.trusted @ (lean**2 + 1 / stiff)
    spread = spread + settings.lean_strength * settings.lean_variance
    return line, lean, spread / (table.trusted.sum() + settings.lean_strength)


def _user_blocks(users: int) -> list[slice]:
    return [slice(n, n + USERS_AT_ONCE) for n in range(0, users, USERS_AT_ONCE)]


def _user_chances(parameters: ClickParameters, some: slice) -> FloatArray:
    """Return (u, c, s): the chance of each signal from *some* endorsing users who look."""
    logits = class_powers(parameters.phi.shape[1]) @ parameters.line
    # The expit of a sum, but with one exponential a user and signal: classes share it.
    chances = np.exp(-parameters.lean[some, None]) * np.exp(-logits)
    chances += 1.0
    np.divide(1.0, chances, out=chances)
    return np.clip(chances, EDGE, 1 - EDGE, out=chances)
