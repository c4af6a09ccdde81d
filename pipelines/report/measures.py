"""Quality, validity and diversity, made ready for the page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipelines.report.looks import ARMS, ASPECTS
from pipelines.report.model import (
    Arm,
    AspectName,
    Demo,
    Diversity,
    Turn,
    Validity,
)
from pipelines.report.plots import Dot, Line, Plot, dot_plot, dot_plot_height, turn_plot
from pipelines.report.standing import compared, featured, in_order, standing, title_of, turns_of
from pipelines.report.verdict import (
    DIVERSITY_MAY_FALL,
    VALIDITY_MAY_FALL,
    Tone,
    bracket,
    in_sentence,
    number,
    tone_of,
)

_Estimate = tuple[float, float, float]  # value, low, high


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One large number with what it means."""

    value: str
    interval: str
    caption: str
    tone: Tone | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A table row that belongs to an arm; cells are (value, interval) or None if not measured."""

    arm: str
    title: str
    cells: tuple[tuple[str, str] | None, ...]
    tone: Tone | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """True quality by aspect, out of 100."""

    plots: tuple[Plot, ...]
    small_plots: tuple[Plot, ...]
    aspects: tuple[str, ...]
    rows: tuple[Row, ...]
    by_turn: tuple[Row, ...]  # overall, one column a turn and seed
    turns: tuple[str, ...]


def tiles(demo: Demo) -> list[Tile]:
    """Pick the few numbers worth reading first."""
    arm = featured(demo)
    last = standing(arm)
    found: list[Tile] = []
    if last and "overall" in last.quality:
        score = last.quality["overall"]
        found.append(
            Tile(
                value=number(score.mean),
                interval=bracket(score.low, score.high),
                caption=f"{title_of(demo, arm.name)}: true overall quality, out of 100",
            )
        )
    for rival in ("base", "naive", "sft_only"):
        row = compared(demo, arm.name, rival)
        if row and rival != arm.name:
            found.append(
                Tile(
                    value=number(row.difference, signed=True),
                    interval=bracket(row.low, row.high),
                    caption=f"points against {in_sentence(title_of(demo, rival))}",
                    tone=tone_of(row),
                )
            )
    return found


def quality(demo: Demo) -> Quality | None:
    """Show every aspect of every arm; None where nothing was measured."""
    arms = [arm for arm in in_order(demo.arms) if (last := standing(arm)) and last.quality]
    if not arms:
        return None
    aspects = [
        name for name in ASPECTS if any(name in row.quality for a in arms for row in a.turns)
    ]
    moments = sorted(
        {(row.turn, row.seed) for arm in arms for row in arm.turns if "overall" in row.quality},
        key=lambda moment: (moment[0], moment[1] is not None, moment[1] or 0),
    )
    plots = [_over_turns(demo, arms)] if any(len(turns_of(arm)) > 1 for arm in arms) else []
    return Quality(
        plots=(*plots, *(_aspect_plot(demo, arms, aspect) for aspect in aspects[:1])),
        small_plots=tuple(_aspect_plot(demo, arms, aspect, small=True) for aspect in aspects[1:]),
        aspects=tuple(ASPECTS[aspect][0] for aspect in aspects),
        rows=tuple(_quality_row(demo, arm, aspects) for arm in arms),
        by_turn=tuple(_moment_row(demo, arm, moments) for arm in arms),
        turns=tuple(
            f"turn {turn}" + (f", seed {seed}" if seed is not None else "")
            for turn, seed in moments
        ),
    )


def held_plots(demo: Demo) -> list[Plot]:
    """Draw validity and diversity with what base allows shaded."""
    base = next((arm for arm in demo.arms if arm.name == "base"), None)
    start = standing(base) if base else None
    valid = _dots(demo, lambda turn: _share(turn.validity))
    diverse = _dots(demo, lambda turn: _spread(turn.diversity))
    plots = []
    if valid:
        floor = start.validity.share - VALIDITY_MAY_FALL if start and start.validity else None
        plots.append(
            dot_plot(
                valid,
                title="Validity",
                note="% of unconstrained samples whose scene parses. "
                "Shaded: at most 1 point below base.",
                allowed=None if floor is None else (100 * floor, 100.0),
            )
        )
    if diverse:
        start_value = start.diversity.value if start and start.diversity else None
        top = max(dot.high for dot in diverse)
        plots.append(
            dot_plot(
                diverse,
                title="Diversity",
                note="How different the samples of one prompt are. "
                "Shaded: at most 10 % below base.",
                allowed=None
                if start_value is None
                else ((1 - DIVERSITY_MAY_FALL) * start_value, max(top, start_value) * 1.02),
                digits=3,
            )
        )
    return plots


def _over_turns(demo: Demo, arms: Sequence[Arm]) -> Plot:
    """Draw overall quality by turn; every arm starts from base, which does not turn."""
    base = next((arm for arm in arms if arm.name == "base"), None)
    start = standing(base) if base else None
    end = max(max(turns_of(arm)) for arm in arms)
    lines = []
    for arm in arms:
        rows = [row for turn in turns_of(arm) if (row := standing(arm, turn))]
        points = [(row.turn, row.quality["overall"]) for row in rows if "overall" in row.quality]
        origin = start.quality["overall"].mean if start and "overall" in start.quality else None
        lines.append(
            Line(
                look=ARMS[arm.name],
                x=tuple(float(turn) for turn, _ in points),
                y=tuple(value.mean for _, value in points),
                low=tuple(value.low for _, value in points),
                high=tuple(value.high for _, value in points),
                origin=origin if points and points[0][0] > 0 else None,
                until=float(end) if arm is base else None,
            )
        )
    said = "; ".join(
        f"{title_of(demo, arm.name)} {', '.join(number(y) for y in line.y)}"
        for arm, line in zip(arms, lines, strict=True)
    )
    return turn_plot(
        lines,
        title="Turn by turn: overall quality",
        note="Out of 100, with 95 % intervals. Dashed: base, which does not turn.",
        alt=f"Overall quality by turn of the wheel: {said}",
        height=dot_plot_height(len(arms)),
    )


def _aspect_plot(
    demo: Demo, arms: Sequence[Arm], aspect: AspectName, *, small: bool = False
) -> Plot:
    dots = _dots(demo, lambda turn: _quality(turn, aspect), arms=arms)
    base = next((dot.value for dot in dots if dot.look is ARMS["base"]), None)
    title, question = ASPECTS[aspect]
    return dot_plot(dots, title=title, note=question, reference=base, small=small)


def _dots(
    demo: Demo, read: Callable[[Turn], _Estimate | None], *, arms: Sequence[Arm] | None = None
) -> list[Dot]:
    found = []
    for arm in in_order(demo.arms if arms is None else arms):
        rows = [row for turn in turns_of(arm) if (row := standing(arm, turn))]
        estimates = [estimate for row in rows if (estimate := read(row))]
        if estimates:
            *before, (value, low, high) = estimates
            found.append(
                Dot(
                    label=title_of(demo, arm.name),
                    look=ARMS[arm.name],
                    value=value,
                    low=low,
                    high=high,
                    before=tuple(middle for middle, _, _ in before),
                )
            )
    return found


def _quality(turn: Turn, aspect: AspectName) -> _Estimate | None:
    value = turn.quality.get(aspect)
    if value is None:
        return None
    scale = 1 if aspect == "overall" else 100
    return (scale * value.mean, scale * value.low, scale * value.high)


def _share(value: Validity | None) -> _Estimate | None:
    return (100 * value.share, 100 * value.low, 100 * value.high) if value else None


def _spread(value: Diversity | None) -> _Estimate | None:
    return (value.value, value.low, value.high) if value else None


def _cell(value: _Estimate | None) -> tuple[str, str] | None:
    return (number(value[0]), bracket(value[1], value[2])) if value else None


def _quality_row(demo: Demo, arm: Arm, aspects: Sequence[AspectName]) -> Row:
    last = standing(arm)
    return Row(
        arm=arm.name,
        title=title_of(demo, arm.name),
        cells=tuple(_cell(_quality(last, aspect)) if last else None for aspect in aspects),
    )


def _moment_row(demo: Demo, arm: Arm, moments: Sequence[tuple[int, int | None]]) -> Row:
    rows = {(row.turn, row.seed): row for row in arm.turns}
    return Row(
        arm=arm.name,
        title=title_of(demo, arm.name),
        cells=tuple(
            _cell(_quality(rows[moment], "overall")) if moment in rows else None
            for moment in moments
        ),
    )
