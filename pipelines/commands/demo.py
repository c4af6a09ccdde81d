"""`flywheel demo`: the whole wheel on a simulated studio."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import AsJson
from pipelines.commands.reply import reply


def demo(
    root: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the wheels, one an arm and seed.  [default: .flywheel/demo; of films "
            ".flywheel/films]"
        ),
    ] = None,
    reports: Annotated[
        Path | None,
        typer.Option(
            help="Folder that the report is written into.  [default: reports; of films "
            "reports/films]"
        ),
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option(help="Repeat for several.  [default: 7]", min=0)
    ] = None,
    mockery: Annotated[
        float | None, typer.Option(help="Share of downloads that are mockery.", min=0, max=0.9)
    ] = None,
    all_arms: Annotated[
        bool, typer.Option("--all-arms", help="All seven arms, not only base, naive and ours.")
    ] = False,
    nano: Annotated[
        bool, typer.Option("--nano", help="A wheel of seconds: it turns, its quality is untuned.")
    ] = False,
    films: Annotated[
        bool, typer.Option("--films", help="The studio asks for short films, not for pictures.")
    ] = False,
    label_studio: Annotated[
        bool,
        typer.Option(
            "--label-studio",
            help="The simulated annotators answer through a real Label Studio: base and ours, "
            "some minutes more a turn.",
        ),
    ] = False,
    turns: Annotated[int, typer.Option(help="Turns of the wheel.", min=1, max=10)] = 2,
    settings: Annotated[
        Path | None, typer.Option(help="TOML file; what it leaves out keeps its default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Turn the wheel on a simulated studio and write reports/demo.html.

    Example: flywheel demo --seed 7 --seed 8 --mockery 0.5
    """
    from pipelines.demo import DemoOptions, run_demo

    page = run_demo(
        DemoOptions(
            root=root or Path(".flywheel") / ("films" if films else "demo"),
            reports=reports or Path("reports", *(["films"] if films else [])),
            seeds=seed or [7],
            mockery=mockery,
            all_arms=all_arms,
            nano=nano,
            films=films,
            label_studio=label_studio,
            turns=turns,
            settings=settings,
        )
    )
    reply({"report": str(page)}, [f"report: {page}"], as_json=as_json)
