"""`flywheel audit`: which models learned from one person."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import AsJson, Root


def audit(
    person: Annotated[str, typer.Argument(help="A user id or an annotator id.")],
    root: Root = Path(".flywheel/demo/ours-7"),
    html: Annotated[
        Path | None, typer.Option(help="Also write the answer as a page into this file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say which snapshots and checkpoints learned from a person, by the samples training saw.

    What only moved a statistic (the de-noiser's parameters) is not counted.

    Example: flywheel audit u_00042 --root .flywheel/demo/ours-7 --html u_00042.html
    """
    from dataclasses import asdict
    from datetime import UTC, datetime

    from pipelines.audit.page import write_page
    from pipelines.auditing import trace_person
    from pipelines.commands.reply import in_columns, reply, spaced
    from pipelines.releasing import opened_zone

    found = trace_person(opened_zone(root), person)
    if html is not None:
        write_page(html, found, person=person, zone=root.absolute().name, at=datetime.now(UTC))
    learned = [model for model in found.models if model.learned]
    snapshots = [
        [each.snapshot_id[:12], spaced(each.pairs), spaced(each.training), spaced(each.of)]
        for each in found.snapshots
    ]
    models = [
        [
            model.checkpoint[:12],
            model.kind,
            (model.snapshot_id or "-")[:12],
            f"{spaced(model.samples)} of {spaced(model.of)}",
            "-" if model.first_step is None else str(model.first_step),
            ", ".join(each[:12] for each in model.inherits) or "-",
            ", ".join(model.pointers) or "-",
        ]
        for model in learned
    ]
    lines = [
        f"{person}: {spaced(found.events)} events, {spaced(found.answers)} answers",
        "",
        *in_columns(["snapshot", "pairs", "for training", "of"], snapshots),
        "",
        *(
            in_columns(
                ["model", "kind", "snapshot", "samples", "first step", "built on", "stands at"],
                models,
            )
            if models
            else [f"no model of {len(found.models)} learned from this person"]
        ),
    ]
    if html is not None:
        lines += ["", f"page: {html}"]
    told = asdict(found) | {"learned": [model.checkpoint for model in learned]}
    reply({"person": person} | told, lines, as_json=as_json)
