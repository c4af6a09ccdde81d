"""The lead's report: one page that needs nothing else, and its numbers beside it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from pipelines.labelling.quality_charts import interval_chart, weeks_chart
from pipelines.labelling.quality_figures import Figures, confusion_tables, headline
from pipelines.report.environment import page_environment
from pipelines.report.files import replace_file
from pipelines.report.plots import Plot

Row = Mapping[str, Any]
_ASKED: Final = {"rating": "rated", "comparison": "compared"}
_SHOWN: Final = 24  # annotators on a plot; all are in the table
_WEEKS: Final = 12  # annotators with a plot of their weeks


class QualityFiles(NamedTuple):
    """Where the report was written."""

    figures: Path
    page: Path


def write_quality_report(figures: Figures, folder: Path) -> QualityFiles:
    """Write `quality.json` and `quality.html` into *folder*, each whole or not at all.

    Raises:
        OSError: the disk refused; what stood there before still stands.
    """
    files = QualityFiles(figures=folder / "quality.json", page=folder / "quality.html")
    page = render_quality(figures)
    text = json.dumps(figures, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(files.figures, text + "\n")
    replace_file(files.page, page)
    return files


def render_quality(figures: Figures) -> str:
    """Render the figures as HTML; same figures, same text."""
    people = figures["annotators"]
    return (
        page_environment("pipelines.labelling")
        .get_template("quality.html.j2")
        .render(
            figures=figures,
            headline=headline(figures),
            agreement=_agreement_plot(figures["agreement"]),
            plots=[plot for plot in _people_plots(people, figures["everybody"]) if plot],
            weeks=_weeks_plots(people, figures["weeks"]),
            confusions=[
                (row["annotator_id"], row["look_at"], tables)
                for row in people
                if (tables := confusion_tables(figures, row["annotator_id"]))
            ],
            ratings=[row for row in figures["gold"]["accuracy"] if row["kind"] == "rating"],
            hidden=max(len(people) - _SHOWN, 0),
        )
    )


def _agreement_plot(rows: Sequence[Row]) -> Plot | None:
    told = [
        (f"{row['aspect'].replace('_', ' ')}, {_ASKED[row['kind']]}", row["alpha"],
         _or(row["low"], row["alpha"]), _or(row["high"], row["alpha"]), False)
        for row in rows if row["alpha"] is not None
    ]  # fmt: skip
    if not told:
        return None
    return interval_chart(
        told, title="Agreement beyond chance, by aspect", percent=False, reference=0.0, names=2.3,
        note="Krippendorff's alpha with its 95 % interval: 1 is full agreement, 0 chance.",
    )  # fmt: skip


def _people_plots(people: Sequence[Row], everybody: Row) -> Iterable[Plot | None]:
    shown = people[:_SHOWN]
    yield _plot(
        shown, "agrees", "agrees", ("says the opposite of others", "agrees less than others"),
        title="Agreement with the others", reference=everybody["agrees"],
        note="Share of the others who chose the same side of a pair; dashed: everybody.",
    )  # fmt: skip
    yield _plot(
        shown, "gold_right", "gold", ("misses gold more than others",),
        title="Gold answered right", reference=everybody["gold_right"],
        note="Questions whose answer is known; dashed: everybody.",
    )  # fmt: skip
    yield _plot(
        shown, "left_share", "left", ("prefers the left", "prefers the right"),
        title="How often the left one won", reference=0.5,
        note="Sides are drawn by chance, so that an even hand ends at one half.",
    )  # fmt: skip
    yield _plot(
        shown, "pace", "pace", ("answers in a hurry", "takes far longer than others"),
        title="Pace", reference=1.0, percent=False, log=True,
        note="Median time for an answer over everybody's; 1 is the usual time.",
    )  # fmt: skip
    yield _plot(
        shown, "anchored", "anchored", ("follows predictions",),
        title="Anchoring by predictions", reference=0.0,
        note="Agreement lost where a prediction was kept, beside unaided answers.",
    )  # fmt: skip


def _plot(
    rows: Sequence[Row], name: str, edges: str, wanted: Sequence[str], **more: Any
) -> Plot | None:
    told = [
        (row["annotator_id"], row[name], _or(row[f"{edges}_low"], row[name]),
         _or(row[f"{edges}_high"], row[name]), any(each in wanted for each in row["look_at"]))
        for row in rows if row[name] is not None
    ]  # fmt: skip
    return interval_chart(told, **more) if told else None


def _weeks_plots(people: Sequence[Row], weeks: Sequence[Row]) -> list[Plot]:
    """Draw the weeks of those who want a word first; nothing while all is of one week."""
    shared: dict[str, float] = {}
    together: dict[str, float] = {}
    for row in weeks:
        shared[row["week"]] = shared.get(row["week"], 0) + row["shared"]
        agreed = (row["agrees"] or 0.0) * row["shared"]
        together[row["week"]] = together.get(row["week"], 0.0) + agreed
    everybody = {week: together[week] / count for week, count in shared.items() if count}
    if len(everybody) < 2:
        return []
    return [
        weeks_chart(name, [row for row in weeks if row["annotator_id"] == name], everybody)
        for name in [row["annotator_id"] for row in people][:_WEEKS]
    ]


def _or(value: float | None, instead: float) -> float:
    return instead if value is None else value
