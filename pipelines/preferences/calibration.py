"""Calibration: how far signals may be believed once the fit stands.

Impressions of one generation are not independent given its class: what makes it look strange
to one mocker makes it look strange to all. A product over impressions is then too sure, so the
evidence of mockery on one generation is discounted the more there is of it. What is left over
is one temperature, chosen on gold that the signals have not seen.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from pipelines.preferences import click_model
from pipelines.preferences.channels import Channel, gold_chances, messages, to_class
from pipelines.preferences.click_model import ClickParameters
from pipelines.preferences.click_table import ClickTable
from pipelines.preferences.kernel import FloatArray, IntArray, e_step, normalise, rows_of
from pipelines.signals.signal_table import INTENTS

SHARED: Final = 0.3  # how alike the mockers of one generation see it, beyond its class
MIN_GOLD: Final = 20  # gold generations with exposures; fewer judge nothing
SPREAD: Final = 0.15  # of the log temperature, before any gold
_GRID: Final = np.exp(np.linspace(np.log(0.5), np.log(3.0), 91))


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """By what the log-odds of signals are divided, and how much better that foretells gold."""

    temperature: float
    judged: int  # gold generations with exposures
    before: float  # mean log-likelihood ratio of their gold to chance, at temperature 1
    after: float


UNTRIED: Final = Calibration(temperature=1.0, judged=0, before=0.0, after=0.0)


def click_evidence(
    table: ClickTable, parameters: ClickParameters, class_shares: FloatArray, *, items: int
) -> FloatArray:
    """Return (i, c): log chance of each item's signals by class, up to a constant per item.

    m expected acts of mockery on an item count as m / (1 + SHARED m): the design effect of
    equally correlated answers (Kish, 1965).
    """
    evidence: FloatArray = np.empty((items, len(class_shares)))
    beliefs = click_model.beliefs(table, parameters)
    for inside, shown in table.parts():
        item, size = rows_of(shown), len(shown.start) - 1
        mocks = parameters.shares[shown.user, INTENTS.index("mock")]
        on_item = np.bincount(item, weights=mocks * shown.weight, minlength=size)
        discount = 1 - mocks + mocks / (1 + SHARED * on_item[item])
        discounted = shown._replace(weight=shown.weight * discount)
        counts = e_step(discounted, beliefs, np.zeros((size, len(class_shares))))
        evidence[inside] = np.log(np.maximum(counts.posterior, 1e-300))
    return evidence


def answer_evidence(channels: tuple[Channel, ...], items: int, classes: int) -> FloatArray:
    """Return (i, c): log chance of each item's answers and gold by class; 0 where none."""
    total = np.zeros((items, classes))
    for channel in channels:
        total[channel.touched] += to_class(channel, messages(channel, classes))
    return total


def calibrate(
    clicks: FloatArray,
    class_shares: FloatArray,
    exposed: FloatArray,
    gold: tuple[IntArray, IntArray] | None,
) -> Calibration:
    """Choose the temperature at which signals alone foretell gold best.

    Args:
        clicks: (i, c) from `click_evidence`.
        class_shares: (c,).
        exposed: (i,) exposures that are evidence.
        gold: items and their levels; None: none.

    Returns:
        The most likely temperature under a log-normal prior around 1; exactly 1 where fewer
        than MIN_GOLD items can judge.
    """
    if gold is None:
        return UNTRIED
    item, level = (values[exposed[gold[0]] > 0] for values in gold)
    if len(item) < MIN_GOLD:
        return UNTRIED
    chances = gold_chances(clicks.shape[1])[level]
    chance_of_level = chances @ class_shares

    def foretold(temperature: float) -> float:
        believed = normalise(clicks[item] / temperature + np.log(class_shares))[0]
        return float(np.log((believed * chances).sum(axis=1) / chance_of_level).sum())

    scores = np.array([foretold(float(t)) for t in _GRID])
    best = int(np.argmax(scores - 0.5 * (np.log(_GRID) / SPREAD) ** 2))
    return Calibration(
        temperature=round(float(_GRID[best]), 6),
        judged=len(item),
        before=foretold(1.0) / len(item),
        after=float(scores[best]) / len(item),
    )
