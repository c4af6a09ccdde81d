"""`flywheel annotate report`: how annotators do, as one page for their lead."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import AsJson, DryRun, Reports, Root
from pipelines.commands.reply import in_columns, reply, spaced


def report(
    root: Root = Path(".flywheel/general"),
    turn: Annotated[
        str, typer.Option(help="A turn of the wheel, such as turn-001.  [default: all]")
    ] = "",
    out: Reports = Path("reports"),
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Write how annotators do: agreement, gold, confusion, sides, pace, predictions, weeks.

    It reads the answers that were pulled last and needs no server. The page `quality.html` and
    its numbers, `quality.json`, are for the lead: they name annotators.

    Example: flywheel annotate report --root .flywheel/general --out reports
    """
    from pipelines.labelling.quality_figures import headline
    from pipelines.labelling.quality_report import write_quality_report
    from pipelines.labelling.quality_sources import figures_of_zone

    figures = figures_of_zone(root, turn or None)
    rows = [
        [row["annotator_id"], spaced(row["answers"]), _percent(row["agrees"]),
         _percent(row["gold_right"]), ", ".join(row["look_at"]) or "-"]
        for row in figures["annotators"]
    ]  # fmt: skip
    lines = [headline(figures)]
    if rows:
        lines += in_columns(["annotator", "answers", "agrees", "gold right", "look at"], rows)
    if dry_run:
        lines.append(f"dry run: would write quality.html and quality.json into {out}")
        reply({**figures, "dry_run": True}, lines, as_json=as_json)
        return
    files = write_quality_report(figures, out)
    lines.append(f"report: {files.page}")
    reply({**figures, "page": str(files.page)}, lines, as_json=as_json)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"
