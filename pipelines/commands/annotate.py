"""`flywheel annotate`: a Label Studio with annotators and labelling projects on it."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import AsJson, DryRun, Root
from pipelines.commands.reply import in_columns, progress_bars, reply


class Action(StrEnum):
    """What to do with the labelling service."""

    UP = "up"
    DOWN = "down"
    STATUS = "status"


def annotate(
    action: Annotated[Action, typer.Argument(help="up, down or status.", show_default=False)],
    root: Root = Path(".flywheel/general"),
    annotator: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Who answers; repeat for several.  [default: annotator-1]"
        ),
    ] = None,
    interface: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="What they answer with, such as pair_image, blind_video or critique_text; "
            "repeat for several.  [default: pair_image and pair_text]",
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="Port of our own server.", min=1, max=65535)] = 8080,
    url: Annotated[
        str,
        typer.Option(
            help="An existing server; its token is read from FLYWHEEL_LABEL_STUDIO_TOKEN."
        ),
    ] = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Install, start and provision Label Studio on loopback; print one link an annotator.

    The server lives in an environment of its own, made once. Sign-up is closed, nothing is
    reported to anybody, every zone has its own database and keys. Repeating changes nothing.

    Example: flywheel annotate up --annotator ann-1 --annotator ann-2 --interface pair_image
    """
    from pipelines.labelling.service import service_status, take_down

    if action is Action.STATUS or (dry_run and action is Action.DOWN):
        found = service_status(root)
        people = [f"{name}: {', '.join(each)}" for name, each in found["annotators"].items()]
        where = f" at {found['url']}" if found["url"] else ""
        reply(found, [f"Label Studio is {found['state']}{where}", *people], as_json=as_json)
    elif action is Action.DOWN:
        ran = take_down(root)
        said = "stopped Label Studio; its data stays" if ran else "Label Studio was not running"
        reply({"stopped": ran}, [said], as_json=as_json)
    else:
        _up(root, annotator, interface, port=port, url=url, dry_run=dry_run, as_json=as_json)


def _up(
    root: Path,
    annotator: list[str] | None,
    interface: list[str] | None,
    *,
    port: int,
    url: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    from dataclasses import asdict

    from annotation.interfaces import interface_named
    from annotation.server.installation import environment_folder, installed, pinned
    from pipelines.labelling.service import bring_up

    people = annotator or ["annotator-1"]
    forms = interface or ["pair_image", "pair_text"]
    if dry_run:
        for name in forms:
            interface_named(name)
        install = not url and not installed(environment_folder())
        what = f"install {len(pinned())} packages, " if install else ""
        where = url or f"http://127.0.0.1:{port}"
        line = f"dry run: would {what}use {where} for {', '.join(people)} with {', '.join(forms)}"
        fields = {"dry_run": True, "install": install, "url": where, "annotators": people}
        reply(fields, [line], as_json=as_json)
        return
    with progress_bars() as bars:
        made = bring_up(root, people, forms, port=port, url=url or None, bars=bars)
    rows = [[link.annotator_id, link.address, link.url] for link in made.links]
    lines = [f"Label Studio answers at {made.url}"]
    lines += in_columns(["annotator", "signs in as", "begins at"], rows)
    lines.append(f"passwords are in {made.passwords}, which only you can read")
    reply(asdict(made), lines, as_json=as_json)
