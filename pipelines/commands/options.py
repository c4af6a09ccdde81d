"""Options that several commands share: the same words mean the same thing everywhere."""

from pathlib import Path
from typing import Annotated

import typer

Root = Annotated[
    Path, typer.Option(help="Folder of the zone: its stores and catalogue.", show_default=True)
]
Door = Annotated[
    Path, typer.Option(help="Folder of the door: its keys and projects.", show_default=True)
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")]
Reason = Annotated[str, typer.Option(help="Why, in your words; kept in the history.")]
By = Annotated[str, typer.Option(help="Who moves it; default: the user who is logged in.")]
History = Annotated[bool, typer.Option("--history", help="List every move instead.")]
Reports = Annotated[Path, typer.Option(help="Folder that the report is written into.")]
