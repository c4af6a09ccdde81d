"""Charts of the lead's report: a line an annotator or aspect, each with its interval."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from pipelines.report.looks import FAINT, HONEST, LINE, MOCKER, PAPER, TEXT
from pipelines.report.plots import Plot, blank_axes, finished_plot, styled_plot

Row = Mapping[str, Any]


@styled_plot
def interval_chart(
    rows: Sequence[tuple[str, float, float, float, bool]],
    *,
    title: str,
    note: str,
    reference: float | None = None,
    percent: bool = True,
    log: bool = False,
    names: float = 1.55,
) -> Plot:
    """Draw estimates with intervals, a row each.

    Args:
        rows: name, estimate, low, high, whether a lead should look at it.
        title: of the chart.
        note: what it says, in a sentence.
        reference: a dashed line.
        percent: whether values are shares.
        log: whether equal ratios are equally far apart.
        names: inches that names may take.
    """
    height = 0.62 + 0.3 * max(len(rows), 2)
    figure, axes = blank_axes(width=5.0, height=height)
    if reference is not None:
        axes.axvline(reference, color=FAINT.light, linewidth=1, linestyle=(0, (4, 3)))
    for place, (_, middle, low, high, wanted) in enumerate(reversed(rows)):
        ink = (MOCKER if wanted else HONEST).light
        axes.plot([low, high], [place, place], color=ink, linewidth=1.8)
        axes.plot(
            middle, place, "D" if wanted else "o", color=ink, markersize=7,
            markeredgecolor=PAPER.light, markeredgewidth=0.8,
        )  # fmt: skip
    if log:
        axes.set_xscale("log")
        axes.set_xticks([0.1, 0.25, 0.5, 1, 2, 4, 10], ["1/10", "1/4", "1/2", "1", "2", "4", "10"])
        axes.minorticks_off()
        ends = [edge for row in rows for edge in row[2:4]]
        axes.set_xlim(min(0.4, 0.8 * min(ends, default=1)), max(2.5, 1.25 * max(ends, default=1)))
    else:
        axes.locator_params(axis="x", nbins=5)
    if percent:
        axes.xaxis.set_major_formatter(lambda value, _place: f"{100 * value:.0f} %")
    axes.set_yticks(range(len(rows)), [_short(row[0], int(13 * names)) for row in reversed(rows)])
    axes.set_ylim(-0.6, max(len(rows), 2) - 0.4)
    axes.grid(axis="x", color=LINE.light, linewidth=0.8)
    axes.spines["left"].set_visible(False)
    figure.subplots_adjust(
        left=names / 5.0, right=0.955, top=1 - 0.08 / height, bottom=0.34 / height
    )
    scale = 100 if percent else 1
    said = "; ".join(
        f"{name} {scale * middle:.3g} [{scale * low:.3g}, {scale * high:.3g}]"
        for name, middle, low, high, _ in rows
    )
    return finished_plot(figure, title=title, note=note, alt=f"{title}: {said}")


@styled_plot
def weeks_chart(annotator: str, weeks: Sequence[Row], everybody: Mapping[str, float]) -> Plot:
    """Draw one annotator's agreement and gold by week, everybody's agreement behind them.

    Args:
        annotator: whose.
        weeks: rows of `annotation.weeks.ANNOTATOR_WEEKS` of this annotator, dates in ISO.
        everybody: agreement of all by week.
    """
    figure, axes = blank_axes(width=3.6, height=2.1)
    order = sorted(everybody)
    place = {week: at for at, week in enumerate(order)}
    axes.plot(
        range(len(order)), [everybody[week] for week in order], color=FAINT.light, linewidth=1.1,
        linestyle=(0, (4, 3)),
    )  # fmt: skip
    for share, edges, ink, marker, shift in (
        ("agrees", "agrees", HONEST.light, "o", -0.06),
        ("gold_right", "gold", MOCKER.light, "s", 0.06),
    ):  # fmt: skip
        found = [row for row in weeks if row[share] is not None and row["week"] in place]
        x = [place[row["week"]] + shift for row in found]
        axes.plot(
            x, [row[share] for row in found], color=ink, linewidth=1.5, marker=marker,
            markersize=5.5, markeredgecolor=PAPER.light, markeredgewidth=0.6,
        )  # fmt: skip
        axes.vlines(
            x, [row[f"{edges}_low"] for row in found], [row[f"{edges}_high"] for row in found],
            color=ink, linewidth=1.1, alpha=0.7,
        )  # fmt: skip
    shown = order if len(order) <= 6 else order[:: -(-len(order) // 5)]
    axes.set_xticks([place[week] for week in shown], [_day(week) for week in shown])
    axes.set_xlim(-0.4, max(len(order) - 0.6, 0.4))
    axes.set_ylim(-0.02, 1.02)
    axes.set_yticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    axes.grid(axis="y", color=LINE.light, linewidth=0.8)
    axes.tick_params(axis="x", colors=TEXT.light, labelsize=9)
    figure.subplots_adjust(left=0.155, right=0.975, top=0.965, bottom=0.3 / 2.1)
    said = "; ".join(
        f"week of {row['week']} {100 * row['agrees']:.0f} %"
        for row in weeks
        if row["agrees"] is not None
    )
    return finished_plot(figure, title=annotator, note="", alt=f"{annotator} by week: {said}")


def _day(week: str) -> str:
    return date.fromisoformat(week).strftime("%d %b").lstrip("0")


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
