"""Reliability diagrams: how often a model is right where it says how sure it is."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.report.looks import FAINT, HONEST, LINE, PAPER
from pipelines.report.plots import Plot, blank_axes, finished_plot, styled_plot


@styled_plot
def reliability_diagram(bins: Sequence[Mapping[str, Any]], *, title: str) -> Plot:
    """Draw bins of pairs: said on the x axis, right on the y axis, size by number of pairs."""
    figure, axes = blank_axes(width=3.2, height=2.9)
    axes.plot([0.5, 1], [0.5, 1], color=FAINT.light, linewidth=1, linestyle=(0, (4, 3)))
    most = max(each["pairs"] for each in bins)
    said, right = [each["said"] for each in bins], [each["right"] for each in bins]
    axes.plot(said, right, color=HONEST.light, linewidth=1.2, alpha=0.5)
    axes.scatter(
        said, right, s=[20 + 130 * each["pairs"] / most for each in bins], color=HONEST.light,
        edgecolor=PAPER.light, linewidth=0.8, zorder=3,
    )  # fmt: skip
    axes.set_xlim(0.48, 1.02)
    axes.set_ylim(min(0.45, *right) - 0.03, 1.03)
    axes.set_xticks([0.5, 0.75, 1.0], ["50 %", "75 %", "100 %"])
    axes.set_yticks([0.5, 0.75, 1.0], ["50 %", "75 %", "100 %"])
    axes.grid(color=LINE.light, linewidth=0.8)
    figure.subplots_adjust(left=0.2, right=0.92, top=0.97, bottom=0.14)
    told = "; ".join(f"said {s:.0%}, right {r:.0%}" for s, r in zip(said, right, strict=True))
    return finished_plot(
        figure, title=title, alt=f"{title}: {told}", note="Said (across), right (up); dot: pairs"
    )
