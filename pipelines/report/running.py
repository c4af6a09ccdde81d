"""How the run went: the gate's decisions, training curves, where the time went."""

from collections import defaultdict
from dataclasses import dataclass

from pipelines.report.looks import ARMS
from pipelines.report.model import Curve, Demo, GateRule
from pipelines.report.plots import Line, Plot, drawable, line_plot
from pipelines.report.standing import featured, in_order, title_of

_BELONG_TOGETHER = 8  # stages with a colour of their own


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the release gate decided after one turn of the wheel."""

    arm: str
    title: str
    turn: int
    seed: int | None
    released: bool | None
    checkpoint: str | None
    rules: tuple[GateRule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeBar:
    """One arm's wall time; parts are (stage number, stage, seconds, width in %)."""

    arm: str
    title: str
    total: float
    parts: tuple[tuple[int, str, float, float], ...]


def decisions(demo: Demo) -> tuple[list[Decision], list[Decision]]:
    """List the gate's decisions: the featured arm's, then the other arms'."""
    lead = featured(demo).name
    found = [
        Decision(
            arm=arm.name,
            title=title_of(demo, arm.name),
            turn=row.turn,
            seed=row.seed,
            released=row.released,
            checkpoint=row.checkpoint,
            rules=row.gate,
        )
        for arm in in_order(demo.arms)
        for row in sorted(arm.turns, key=lambda row: (row.turn, row.seed or 0))
        if row.gate or row.released is not None
    ]
    return (
        [decision for decision in found if decision.arm == lead],
        [decision for decision in found if decision.arm != lead],
    )


def curve_plots(demo: Demo) -> list[Plot]:
    """Draw one plot a stage and metric; earlier turns of the wheel are faint."""
    grouped: defaultdict[tuple[str, str], list[Curve]] = defaultdict(list)
    for curve in demo.curves:
        grouped[curve.stage, curve.metric].append(curve)
    return [_curves(demo, stage, metric, rows) for (stage, metric), rows in grouped.items()]


def time_stages(demo: Demo) -> list[str]:
    """List stages in the order in which they ran; the rarest share the last colour."""
    return list(dict.fromkeys(row.stage for row in demo.time))


def time_bars(demo: Demo) -> list[TimeBar]:
    """Sum seconds by arm and stage, over turns and seeds."""
    stages = time_stages(demo)
    sums: defaultdict[tuple[str, str], float] = defaultdict(float)
    for row in demo.time:
        sums[row.arm, row.stage] += row.seconds
    names = [arm.name for arm in in_order(demo.arms) if any(arm.name == key[0] for key in sums)]
    totals = {name: sum(sums[name, stage] for stage in stages) for name in names}
    longest = max(totals.values(), default=0.0) or 1.0
    return [
        TimeBar(
            arm=name,
            title=title_of(demo, name),
            total=totals[name],
            parts=tuple(
                (min(place, _BELONG_TOGETHER - 1), stage, seconds, 100 * seconds / longest)
                for place, stage in enumerate(stages)
                if (seconds := sums[name, stage])
            ),
        )
        for name in names
    ]


def _curves(demo: Demo, stage: str, metric: str, rows: list[Curve]) -> Plot:
    last = max(row.turn for row in rows)
    order = list(ARMS)
    ordered = sorted(rows, key=lambda row: (order.index(row.arm), row.turn, row.seed or 0))
    names = dict.fromkeys(title_of(demo, row.arm) for row in ordered)
    return line_plot(
        [
            Line(
                look=ARMS[row.arm],
                x=tuple(float(step) for step in row.steps),
                y=tuple(drawable(value) for value in row.values),
                faint=row.turn < last,
            )
            for row in ordered
        ],
        title=f"{stage}: {metric}",
        note="By step. Faint and dashed: earlier turns of the wheel."
        if any(row.turn < last for row in rows)
        else "By step.",
        alt=f"{stage} {metric} by step for {', '.join(names)}",
    )
