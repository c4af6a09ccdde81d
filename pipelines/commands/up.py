"""`flywheel up`: Dagster's pages for one wheel, on this machine only."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import Root


def up(
    root: Root = Path(".flywheel/demo/ours-7"),
    port: Annotated[int, typer.Option(help="Port of the pages.", min=1, max=65535)] = 3000,
    module: Annotated[
        str, typer.Option(help="Module that holds the Dagster definitions.")
    ] = "pipelines.definitions",
) -> None:
    """Start Dagster for a wheel on 127.0.0.1; Ctrl-C or SIGTERM stops it whole.

    Example: flywheel up --root .flywheel/demo/ours-7 --port 3000
    """
    from pipelines.launcher import serve
    from pipelines.settings import read_resolved

    wheel = read_resolved(root)

    def ready(address: str) -> None:
        typer.echo(f"Dagster shows wheel {wheel.name} at {address}")
        typer.echo("Ctrl-C stops it")

    serve(root, port=port, module=module, ready=ready)
