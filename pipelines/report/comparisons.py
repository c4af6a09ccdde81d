"""Who beats whom, by how much, and how surely."""

from pipelines.report.looks import ARMS, ASPECTS
from pipelines.report.model import ArmName, Comparison, Demo
from pipelines.report.plots import Dot, Plot, dot_plot
from pipelines.report.standing import compared, featured, in_order, title_of
from pipelines.report.verdict import Tone, tone_of


def comparison_plots(demo: Demo) -> list[Plot]:
    """Draw every arm against base, then the featured arm against every other."""
    lead = featured(demo).name
    names = [arm.name for arm in in_order(demo.arms)]
    rival = title_of(demo, lead)
    gained = [(name, compared(demo, name, "base")) for name in names]
    ahead = [(name, compared(demo, lead, name)) for name in names]
    drawn = (("Each arm minus base", gained), (f"{rival} minus each arm", ahead))
    return [
        dot_plot(
            [_difference(demo, name, row) for name, row in rows if row],
            title=title,
            note="Points of overall quality. Right of the dashed line: better. "
            "An interval that touches it decides nothing.",
            reference=0.0,
            signed=True,
        )
        for title, rows in drawn
        if any(row for _, row in rows)
    ]


def comparison_rows(demo: Demo) -> list[tuple[Comparison, str, str, str, Tone]]:
    """List every comparison as (row, arm, against, aspect, tone), differences out of 100."""
    return [
        (
            _out_of_100(row),
            title_of(demo, row.arm),
            title_of(demo, row.against),
            ASPECTS[row.aspect][0],
            tone_of(row),
        )
        for row in demo.comparisons
    ]


def _difference(demo: Demo, name: ArmName, row: Comparison) -> Dot:
    return Dot(
        label=title_of(demo, name),
        look=ARMS[name],
        value=row.difference,
        low=row.low,
        high=row.high,
    )


def _out_of_100(row: Comparison) -> Comparison:
    if row.aspect == "overall":
        return row
    return row.model_copy(
        update={
            "difference": 100 * row.difference,
            "low": 100 * row.low,
            "high": 100 * row.high,
        }
    )
