"""Anchoring: signal priors learned where people answered, for worlds where signs are reversed."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from pipelines.preferences import click_model
from pipelines.preferences.channels import Channel
from pipelines.preferences.click_table import ClickTable
from pipelines.preferences.em import IntentSettings, run_em
from pipelines.preferences.kernel import FloatArray, IntArray, rows_of
from pipelines.preferences.signal_curves import fit_curves

TRIAL: Final = 12  # steps of a fit to clicks alone: enough to tell signs
MIN_COVERED: Final = 40  # items with answers and exposures; fewer say too little
HELD: Final = 20.0  # pseudo-exposures that hold each class to the mean over classes


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchoring:
    """Which signal priors to use, and how well each foretold answers it had not seen."""

    chances: FloatArray  # (m, c, s)
    prior: str  # designed or anchored
    scores: dict[str, float]  # mean log-likelihood ratio of an item's answers; empty: untried


def anchor(
    table: ClickTable | None, channels: tuple[Channel, ...], *, settings: IntentSettings
) -> Anchoring:
    """Choose designed or anchored priors by the log-likelihood of answers held out.

    Each prior is tried on clicks alone; the anchored one is learned on one half of the items
    with answers and judged on the other, in turn.
    """
    plain = click_model.designed(settings.classes)
    if table is not None:
        plain = click_model.logged_only(plain, table)
    covered = np.unique(np.concatenate([channel.touched for channel in channels]))
    shown = covered if table is None else covered[table.exposed[covered] > 0]
    if table is None or len(shown) < MIN_COVERED or not settings.anchor:
        return Anchoring(chances=plain, prior="designed", scores={})
    explicit = run_em(None, channels, plain, settings=settings).posterior
    short = replace(settings, max_iterations=TRIAL)
    silent = tuple(mute(channel) for channel in channels)

    def foretold(chances: FloatArray, items: IntArray) -> FloatArray:
        believed = run_em(table, silent, chances, settings=short).posterior
        ratio: FloatArray = np.log((believed[items] * explicit[items]).sum(1) * settings.classes)
        return ratio

    by_design = foretold(plain, shown)
    by_anchor = np.empty_like(by_design)
    half = np.arange(len(shown)) % 2
    for held in (0, 1):
        learned = anchored_chances(table, explicit, shown[half != held])
        by_anchor[half == held] = foretold(learned, shown[half == held])
    scores = {"designed": float(by_design.mean()), "anchored": float(by_anchor.mean())}
    gain = by_anchor - by_design
    # Two standard errors: signs that are right by design must not be lost to chance.
    if gain.mean() <= 2 * gain.std() / np.sqrt(len(gain)):
        return Anchoring(chances=plain, prior="designed", scores=scores)
    return Anchoring(
        chances=anchored_chances(table, explicit, shown), prior="anchored", scores=scores
    )


def anchored_chances(table: ClickTable, explicit: FloatArray, items: IntArray) -> FloatArray:
    """Return (m, c, s): what endorsing users signal by class, as seen on *items*.

    Only the endorse intent is learned; what mockers and indiscriminate users do keeps its
    design, so that users tell them apart.
    """
    inside = np.zeros(len(explicit), dtype=bool)
    inside[items] = True
    classes, signals = explicit.shape[1], table.bits.shape[1]
    given: FloatArray = np.zeros((classes, signals))
    times: FloatArray = np.zeros(classes)
    for part, shown in table.parts():
        item = rows_of(shown)
        mine = np.flatnonzero(inside[part][item])
        believed = explicit[part][item[mine]] * shown.weight[mine, None]
        key = shown.key[mine]
        given = given + believed.T @ table.bits[key]
        times = times + believed.T @ table.slot_prior[table.slot[key]]
    mean = (given.sum(axis=0) + 0.1) / (times.sum() + 10.0)
    chances = click_model.logged_only(click_model.designed(explicit.shape[1]), table)
    chances[0] = fit_curves(given + HELD * mean, times + HELD)
    return np.clip(chances, 1e-4, 1 - 1e-4)


def mute(channel: Channel) -> Channel:
    """Return *channel* with nothing said."""
    nothing = np.zeros(0, dtype=np.int64)
    return replace(
        channel, ratings=None, comparisons=None, confusions=None, judges=None, gold=None,
        touched=nothing,
    )  # fmt: skip
