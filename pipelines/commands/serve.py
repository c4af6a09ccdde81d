"""`flywheel serve`: the door, where events come in over HTTP."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import Door


def serve(
    door: Door = Path(".flywheel/door"),
    host: Annotated[
        str, typer.Option(help="Address to listen at; beyond loopback put TLS in front.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the door.", min=1, max=65535)] = 8321,
) -> None:
    """Take in events over HTTP until Ctrl-C or SIGTERM; keys come from `flywheel key`.

    An event is acknowledged once it survives a power cut. `flywheel land`, or Dagster's sensor
    `journal_waits`, brings what came in into the table `events`.

    Example: flywheel serve --port 8321
    """
    from pipelines.intake.door.serving import open_door
    from pipelines.launcher import check_port

    if host == "127.0.0.1":
        check_port(port)

    def ready(address: str) -> None:
        typer.echo(f"the door is open at {address}/v1/events")
        typer.echo("Ctrl-C closes it")

    open_door(door, host=host, port=port, ready=ready)
