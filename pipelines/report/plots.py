"""Plots as SVG data URIs, drawn once by day and recoloured for the night."""

import base64
import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, wraps
from typing import Any, Final, ParamSpec

from pipelines.report import looks
from pipelines.report.looks import ARMS, FAINT, HONEST, LINE, MOCKER, PAPER, TEXT, ArmLook

# Inches, at 72 to the inch: near the width on the page, so that text is equally large everywhere.
_WIDTH: Final = 5.0
_SMALL: Final = 3.6
_FONT: Final = (
    "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif"
)
_RC: Final = {
    "svg.fonttype": "none",  # text stays text, in the reader's own font
    "svg.hashsalt": "flywheel",  # ids depend on content alone: same input, same bytes
    "font.family": ["DejaVu Sans"],
    "font.size": 11.0,
    "axes.unicode_minus": True,
    "text.parse_math": False,  # a title with dollars is a title, not a formula
}


_Given = ParamSpec("_Given")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """One plot for both modes, with words for those who cannot see it."""

    light: str
    dark: str
    alt: str
    title: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """One line of a dot plot; *before* are earlier values, oldest first."""

    label: str
    look: ArmLook
    value: float
    low: float
    high: float
    before: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One arm's line; *low* and *high* are empty where there is no interval."""

    look: ArmLook
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    faint: bool = False
    origin: float | None = None  # where the arm stood before its first turn of the wheel
    until: float | None = None  # the last value holds up to here: an arm that does not turn


def styled_plot(draw: Callable[_Given, Plot]) -> Callable[_Given, Plot]:
    """Draw under the page's settings, whatever the caller has set."""

    @wraps(draw)
    def inside(*given: _Given.args, **named: _Given.kwargs) -> Plot:
        import matplotlib as mpl

        with mpl.rc_context(_RC):
            return draw(*given, **named)

    return inside


@styled_plot
def dot_plot(
    dots: Sequence[Dot],
    *,
    title: str,
    note: str = "",
    reference: float | None = None,
    allowed: tuple[float, float] | None = None,
    digits: int = 1,
    signed: bool = False,
    small: bool = False,
) -> Plot:
    """Draw estimates with intervals, a row each; *reference* is dashed, *allowed* is shaded."""
    width, height = (_SMALL if small else _WIDTH), dot_plot_height(len(dots))
    figure, axes = blank_axes(width=width, height=height)
    if allowed is not None:
        axes.axvspan(*allowed, color=looks.BAND.light, linewidth=0, zorder=0)
    if reference is not None:
        axes.axvline(reference, color=FAINT.light, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    for place, dot in enumerate(reversed(dots)):
        colour = dot.look.ink.light
        trail = [*dot.before, dot.value]
        if dot.before:
            axes.plot(trail, [place] * len(trail), color=colour, alpha=0.25, linewidth=1.2)
            axes.plot(
                dot.before, [place] * len(dot.before), dot.look.marker, color=colour,
                alpha=0.35, markersize=5, markeredgewidth=0,
            )  # fmt: skip
        _estimate(axes, dot, place)
        axes.annotate(
            _written(dot.value, digits, signed), (1.03, place),
            xycoords=("axes fraction", "data"), va="center", color=TEXT.light,
        )  # fmt: skip
    axes.set_yticks(range(len(dots)), [dot.label for dot in reversed(dots)])
    axes.set_ylim(-0.6, len(dots) - 0.4)
    axes.grid(axis="x", color=LINE.light, linewidth=0.8)
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=4 if small else 6)
    figure.subplots_adjust(
        left=1.15 / width, right=1 - 0.62 / width, top=0.99, bottom=0.32 / height
    )
    said = "; ".join(
        f"{dot.label} {_written(dot.value, digits, signed)} "
        f"[{_written(dot.low, digits, signed)}, {_written(dot.high, digits, signed)}]"
        for dot in dots
    )
    return finished_plot(figure, title=title, note=note, alt=f"{title}: {said}")


def dot_plot_height(dots: int) -> float:
    """Return the height of a dot plot in inches, so that a neighbour can match it."""
    return 0.6 + 0.42 * max(dots, 3.5)


@styled_plot
def turn_plot(lines: Sequence[Line], *, title: str, alt: str, note: str, height: float) -> Plot:
    """Draw estimates with intervals over turns of the wheel."""
    figure, axes = blank_axes(width=_WIDTH, height=height)
    for place, line in enumerate(lines):
        # Arms stand side by side, so that their intervals do not hide one another.
        shift, colour = 0.03 * (place - (len(lines) - 1) / 2), line.look.ink.light
        x = [turn + shift if turn else 0.0 for turn in line.x]
        if line.origin is not None:
            axes.plot([0.0, x[0]], [line.origin, line.y[0]], color=colour, linewidth=1.7)
        if line.until is not None:
            axes.hlines(line.y[-1], x[-1], line.until, color=colour, linestyle=(0, (4, 3)))
        axes.plot(
            x, line.y, color=colour, linewidth=1.7, marker=line.look.marker, markersize=7.5,
            markeredgecolor=PAPER.light, markeredgewidth=0.8, zorder=3,
        )  # fmt: skip
        axes.vlines(x, line.low, line.high, color=colour, linewidth=1.6, zorder=2)
    axes.grid(axis="y", color=LINE.light, linewidth=0.8)
    ends = [max([*line.x, line.until or 0.0]) for line in lines]
    turns = range(int(max(ends)) + 1)
    axes.set_xticks(turns, ["start" if turn == 0 else f"turn {turn}" for turn in turns])
    axes.set_xlim(-0.2, max(ends) + 0.2)
    axes.locator_params(axis="y", nbins=6)
    figure.subplots_adjust(left=0.1, right=0.98, top=0.975, bottom=0.32 / height)
    return finished_plot(figure, title=title, note=note, alt=alt)


@styled_plot
def line_plot(lines: Sequence[Line], *, title: str, alt: str, note: str) -> Plot:
    """Draw lines over training steps; faint ones are dashed."""
    figure, axes = blank_axes(width=_SMALL, height=2.1)
    for line in lines:
        axes.plot(
            line.x, line.y, color=line.look.ink.light, linewidth=1.5,
            alpha=0.4 if line.faint else 0.95, linestyle=(0, (4, 3)) if line.faint else "-",
            marker=line.look.marker if len(line.x) == 1 else None,
        )  # fmt: skip
    axes.grid(axis="y", color=LINE.light, linewidth=0.8)
    axes.locator_params(axis="x", nbins=5, integer=True)
    axes.locator_params(axis="y", nbins=5)
    figure.subplots_adjust(left=0.135, right=0.965, top=0.965, bottom=0.32 / 2.1)
    return finished_plot(figure, title=title, note=note, alt=alt)


@styled_plot
def user_histogram(*, mockers: Sequence[float], others: Sequence[float], title: str) -> Plot:
    """Draw how the inferred mock share of users falls, by what they truly are."""
    figure, axes = blank_axes(width=_WIDTH, height=2.6)
    edges = [step / 20 for step in range(21)]
    for shares, colour, hatch in ((others, HONEST.light, None), (mockers, MOCKER.light, "////")):
        axes.hist(
            shares, bins=edges, color=colour, alpha=0.8, hatch=hatch,
            edgecolor=PAPER.light, linewidth=0.6,
        )  # fmt: skip
    axes.grid(axis="y", color=LINE.light, linewidth=0.8)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    axes.locator_params(axis="y", nbins=4, integer=True)
    axes.set_ylabel("users", color=TEXT.light)
    figure.subplots_adjust(left=0.125, right=0.93, top=0.965, bottom=0.125)
    alt = f"{title}: {len(mockers)} mockers and {len(others)} other users"
    return finished_plot(
        figure, title=title, alt=alt, note="Share of a user's signals that are mockery"
    )


def _estimate(axes: Any, dot: Dot, place: int) -> None:
    axes.errorbar(
        dot.value, place, xerr=[[max(0, dot.value - dot.low)], [max(0, dot.high - dot.value)]],
        fmt=dot.look.marker, color=dot.look.ink.light, markersize=8.5, elinewidth=1.8, capsize=3.5,
        capthick=1.4, markeredgecolor=PAPER.light, markeredgewidth=0.8, zorder=4,
    )  # fmt: skip


def _written(value: float, digits: int, signed: bool) -> str:
    return f"{value:{'+' if signed else ''}.{digits}f}".replace("-", "−")


def blank_axes(*, width: float, height: float) -> tuple[Any, Any]:
    """Return an empty figure and its axes in the page's manner; sizes in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="none")
    axes = figure.add_subplot(facecolor="none")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(LINE.light)
    axes.tick_params(colors=TEXT.light, length=0, pad=6)
    axes.set_axisbelow(True)
    return figure, axes


def finished_plot(figure: Any, *, title: str, note: str, alt: str) -> Plot:
    """Write *figure* for day and night."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    written = io.StringIO()
    FigureCanvasSVG(figure).print_svg(written, metadata={"Date": None, "Creator": None})
    svg = re.sub(r"'DejaVu Sans'[^;\"]*", _FONT, written.getvalue())
    night = re.sub(r"#[0-9a-f]{6}", lambda hit: _night().get(hit[0], hit[0]), svg)
    return Plot(light=_uri(svg), dark=_uri(night), alt=alt, title=title, note=note)


@cache
def _night() -> dict[str, str]:
    fixed = (TEXT, FAINT, LINE, PAPER, MOCKER, HONEST, looks.BAND)
    inks = [*fixed, *(look.ink for look in ARMS.values())]
    return {ink.light: ink.dark for ink in inks}


def _uri(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def drawable(value: float | None) -> float:
    """Turn a missing value into a gap in the line."""
    return math.nan if value is None else value
