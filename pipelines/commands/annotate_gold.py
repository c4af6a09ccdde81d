"""`flywheel annotate gold` and `budget`: what is known beforehand, and what a day may ask."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import AsJson, DryRun, Root
from pipelines.commands.reply import reply


def gold(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="Parquet, CSV or JSONL: generation_id, other_generation_id (empty: a rating), "
            "aspect, value."
        ),
    ] = None,
    mark: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ASSIGNMENT=ANSWER",
            help="The field `assignment` of a task, and A, B or same, or ASPECT:LEVEL of a "
            "critique; repeat for several.",
        ),
    ] = None,
    root: Root = Path(".flywheel/general"),
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Say which answers are known; they are mixed into annotators' work, where nothing shows it.

    Comparisons that annotators settled become gold by themselves, for who never met them. The
    lead's word and a file's stand above that.

    Example: flywheel annotate gold known.csv --root .flywheel/general
    """
    from pipelines.labelling.gold import gold_of, marked_gold, record_gold
    from pipelines.labelling.gold_file import read_gold
    from pipelines.labelling.ledger import open_ledger
    from pipelines.stores import open_stores

    if file is None and not mark:
        raise typer.BadParameter("name a file, or --mark what you know")
    ledger = open_ledger(root)
    known = marked_gold(ledger, mark or [])
    if file is not None:
        known += read_gold(file, open_stores(root))
    recorded = 0 if dry_run else record_gold(ledger, known)
    questions = len({each.question.task_id for each in known})
    said = f"{questions} questions whose answer is known; {recorded} new or changed, " + (
        f"{gold_of(ledger).num_rows} answers known in all"
    )
    if dry_run:
        said = f"dry run: would record {questions} questions whose answer is known"
    reply(
        {"questions": questions, "recorded": recorded, "dry_run": dry_run}, [said], as_json=as_json
    )


def budget(
    per_day: Annotated[
        int | None, typer.Argument(help="Tasks a day (UTC).", min=0, show_default=False)
    ] = None,
    lift: Annotated[bool, typer.Option("--lift", help="Ask as much as there is again.")] = False,
    annotator: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Whose; repeat for several.  [default: everybody]"),
    ] = None,
    root: Root = Path(".flywheel/general"),
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Set how much is asked of an annotator on one day; what is beyond it waits for the next.

    What they answered today and what still waits for them count together.

    Example: flywheel annotate budget 120 --annotator ann-1
    """
    from pipelines.labelling.budgets import budgets_of, set_budget
    from pipelines.labelling.ledger import open_ledger

    if (per_day is None) != lift:
        raise typer.BadParameter("name a number of tasks, or --lift")
    what = "no budget" if per_day is None else f"{per_day} a day"
    ledger = open_ledger(root)
    if dry_run:
        said = f"dry run: would set {what} for {', '.join(annotator or []) or 'everybody'}"
        reply({"dry_run": True, "budgets": budgets_of(ledger)}, [said], as_json=as_json)
        return
    names = set_budget(ledger, annotator or [], per_day)
    reply(
        {"budgets": budgets_of(ledger)},
        [f"{what} for {', '.join(names) or 'nobody: there are no annotators yet'}"],
        as_json=as_json,
    )
