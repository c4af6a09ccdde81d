"""`flywheel doctor`: is this machine, this installation and this zone in order?"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.commands.options import AsJson
from pipelines.commands.reply import reply

if TYPE_CHECKING:
    from pipelines.examining import Finding


def doctor(
    root: Annotated[Path, typer.Option(help="Folder of the zone to examine, if it exists.")] = Path(
        ".flywheel/demo/ours-7"
    ),
    sets: Annotated[
        Path | None, typer.Option(help="Folder that holds public sets to import.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Examine Python, packages, disk, memory, GPU and a zone; each line is ok or says what to do.

    Example: flywheel doctor --root .flywheel/demo/ours-7
    """
    from pipelines.examining import examine

    tell(examine(root, sets=sets), as_json=as_json)


def tell(findings: "Sequence[Finding]", *, as_json: bool) -> None:
    """Print what was found, a line each; end with 1 where something is bad."""
    from dataclasses import asdict

    marks = {"ok": "ok  ", "note": "note", "bad": "BAD "}
    reply(
        {"findings": [asdict(each) for each in findings]},
        [f"{marks[each.state]}  {each.subject}: {each.says}" for each in findings],
        as_json=as_json,
    )
    if any(each.state == "bad" for each in findings):
        raise typer.Exit(1)
