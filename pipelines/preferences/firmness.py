"""Firmness: how hard the designed priors are held, by which foretells signals it has not seen.

With few exposures loose priors let the click model explain noise; where a platform's users differ
from the design, firm ones hold it to what is not so. Neither is right everywhere.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from pipelines.preferences import click_model
from pipelines.preferences.anchoring import mute
from pipelines.preferences.channels import Channel
from pipelines.preferences.click_model import ClickParameters, ClickSettings
from pipelines.preferences.click_table import ClickTable
from pipelines.preferences.em import IntentSettings, run_em
from pipelines.preferences.kernel import Shown, e_step
from pipelines.signals.signal_table import BoolArray

# From here on firm priors weigh less than a twentieth of what is seen, and converge sooner.
PLENTY: Final = 150_000
FOLDS: Final = 20  # of held-out generations, from which the error of a gain is learned
_STEPS: Final = 40  # loose priors drift late: a shorter trial would not show it


def loosened(settings: ClickSettings) -> ClickSettings:
    """Return *settings* with priors that yield to few exposures."""
    return replace(settings, signal_strength=20.0, user_strength=3.0)


def choose_firmness(
    table: ClickTable | None, channels: tuple[Channel, ...], *, settings: IntentSettings
) -> tuple[ClickSettings, dict[str, float]]:
    """Choose firm or loose priors by the log-likelihood of the signals on held-out items.

    Parameters are learned from signals on every other item (answers are not heard) and judged
    on the rest, where a user is known only from elsewhere.

    Loose priors are taken where they foretell better by *firmness_margin* standard errors.

    Returns:
        The settings to fit with, and mean log-likelihood per held-out exposure by firmness;
        empty where exposures are plenty and the firm priors stay untried.
    """
    if table is None or table.size >= PLENTY or not settings.adapt:
        return settings.clicks, {}
    held = table.item % 2 == 1
    if held.all() or not held.any():
        return settings.clicks, {}
    firm, loose = settings.clicks, loosened(settings.clicks)
    learned = {
        name: _learned(table, channels, held, settings=replace(settings, clicks=clicks))
        for name, clicks in (("firm", firm), ("loose", loose))
    }
    scores = {
        name: _foretold(table, trial, held, settings=settings) / float(held.sum())
        for name, trial in learned.items()
    }
    gain = scores["loose"] - scores["firm"]
    if gain > 0 and settings.firmness_margin > 0:
        gain -= settings.firmness_margin * _gain_error(table, learned, held, settings=settings)
    return (loose if gain > 0 else firm), scores


def _learned(
    table: ClickTable,
    channels: tuple[Channel, ...],
    held: BoolArray,
    *,
    settings: IntentSettings,
) -> tuple[ClickTable, ClickParameters | None]:
    learned = replace(table, shown=_rows(table, ~held), counted_by=None)
    plain = click_model.logged_only(click_model.designed(settings.classes), table)
    silent = tuple(mute(channel) for channel in channels)
    short = replace(settings, max_iterations=min(settings.max_iterations, _STEPS))
    return learned, run_em(learned, silent, plain, settings=short).clicks


def _foretold(
    table: ClickTable,
    trial: tuple[ClickTable, ClickParameters | None],
    held: BoolArray,
    *,
    settings: IntentSettings,
) -> float:
    """Return the log-likelihood of *held* exposures."""
    learned, clicks = trial
    if clicks is None:
        return 0.0
    flat = np.full((len(table.shown.start) - 1, settings.classes), -np.log(settings.classes))
    counts = e_step(_rows(table, held), click_model.beliefs(learned, clicks), flat)
    return counts.log_likelihood


def _gain_error(
    table: ClickTable,
    learned: Mapping[str, tuple[ClickTable, ClickParameters | None]],
    held: BoolArray,
    *,
    settings: IntentSettings,
) -> float:
    """Return the standard error of what loose priors gain per held-out exposure.

    Generations are dealt to FOLDS; the gain of each fold is one draw.
    """
    fold = table.item // 2 % FOLDS
    gains, sizes = np.zeros(FOLDS), np.zeros(FOLDS)
    for n in range(FOLDS):
        inside = held & (fold == n)
        firm, loose = (
            _foretold(table, learned[name], inside, settings=settings) for name in ("firm", "loose")
        )
        gains[n], sizes[n] = loose - firm, inside.sum()
    residual = gains - sizes * gains.sum() / max(sizes.sum(), 1.0)
    error = np.sqrt(FOLDS / (FOLDS - 1) * (residual**2).sum()) / max(sizes.sum(), 1.0)
    return float(error)


def _rows(table: ClickTable, chosen: BoolArray) -> Shown:
    shown, item = table.shown, table.item[chosen]
    return shown._replace(
        start=np.searchsorted(item, np.arange(len(shown.start))).astype(np.int64),
        user=shown.user[chosen],
        key=shown.key[chosen],
        weight=shown.weight[chosen],
    )
