"""Charts of the page, drawn once by day and recoloured for the night."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipelines.report.looks import HONEST, LINE, MOCKER, PAPER, TEXT
from pipelines.report.plots import Plot, blank_axes, finished_plot, styled_plot


@styled_plot
def confidence_chart(counts: Sequence[int]) -> Plot:
    """Draw how sure the pairs are: counts over equal steps of probability from .5 to 1."""
    title = "How sure the pairs are"
    figure, axes = _histogram(counts, 0.5, 1.0, colour=HONEST.light, unit="pairs")
    axes.set_xticks([0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    alt = f"{title}: {sum(counts)} pairs, {sum(counts[len(counts) // 2 :])} of them above .75"
    return finished_plot(figure, title=title, alt=alt, note="Chance that the chosen one is better")


@styled_plot
def mock_chart(counts: Sequence[int]) -> Plot:
    """Draw how the inferred mock share of users falls; counts over equal steps from 0 to 1."""
    title = "How much of what users do is mockery"
    figure, axes = _histogram(counts, 0.0, 1.0, colour=MOCKER.light, unit="users")
    axes.set_yscale("symlog", linthresh=1.0)  # mockers are few beside the honest
    axes.yaxis.set_major_formatter("{x:.0f}")  # powers of ten would be written as markup
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    alt = f"{title}: {sum(counts)} users, {sum(counts[len(counts) // 2 :])} above one half"
    return finished_plot(figure, title=title, alt=alt, note="Users by share of mockery; log scale")


@styled_plot
def signal_chart(signals: Sequence[dict[str, Any]]) -> Plot:
    """Draw what each signal says: its chance at the worst and at the best class, by intent."""
    title = "What each signal says"
    height = 0.75 + 0.3 * len(signals)
    figure, axes = blank_axes(width=5.0, height=height)
    for place, each in enumerate(reversed(signals)):
        for name, ink, lift in (("endorse", HONEST, 0.13), ("mock", MOCKER, -0.13)):
            worst, best = each[name]
            axes.plot([worst, best], [place + lift] * 2, color=ink.light, linewidth=1.4)
            axes.plot(
                best, place + lift, "o", color=ink.light, markersize=6,
                markeredgecolor=PAPER.light, markeredgewidth=0.8,
            )  # fmt: skip
            axes.plot(worst, place + lift, "|", color=ink.light, markersize=8)
    axes.set_yticks(range(len(signals)), [each["signal"] for each in reversed(signals)])
    axes.grid(axis="x", color=LINE.light, linewidth=0.8)
    axes.set_xlim(-0.02, None)
    figure.subplots_adjust(left=0.2, right=0.97, top=0.98, bottom=0.4 / height)
    alt = f"{title}: chance of {len(signals)} signals at worst and best, endorsing and mocking"
    note = "Chance when looked at; bar: worst class, dot: best. Upper line endorses, lower mocks"
    return finished_plot(figure, title=title, alt=alt, note=note)


def _histogram(
    counts: Sequence[int], low: float, high: float, *, colour: str, unit: str
) -> tuple[Any, Any]:
    figure, axes = blank_axes(width=5.0, height=2.6)
    edges = np.linspace(low, high, len(counts) + 1)
    axes.bar(
        edges[:-1], counts, width=np.diff(edges), align="edge", color=colour, alpha=0.8,
        edgecolor=PAPER.light, linewidth=0.6,
    )  # fmt: skip
    axes.grid(axis="y", color=LINE.light, linewidth=0.8)
    axes.set_xlim(low, high)
    axes.set_ylabel(unit, color=TEXT.light)
    figure.subplots_adjust(left=0.15, right=0.95, top=0.965, bottom=0.125)
    return figure, axes
