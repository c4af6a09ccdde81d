"""`flywheel annotate`: a Label Studio with annotators and labelling projects on it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.commands.annotate_blind import blind
from pipelines.commands.annotate_gold import budget, gold
from pipelines.commands.annotate_report import report
from pipelines.commands.doctor import tell
from pipelines.commands.options import AsJson, DryRun, Root
from pipelines.commands.reply import in_columns, progress_bars, reply

ZONE = Path(".flywheel/general")


def up(
    root: Root = ZONE,
    annotator: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Who answers; repeat for several.  [default: who is seated, else annotator-1]",
        ),
    ] = None,
    interface: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="What they answer with, such as pair_image, blind_video, critique_text or "
            "edit_text; repeat for several.  [default: what they have; newcomers: pair_image and "
            "pair_text]",
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
    from dataclasses import asdict

    from annotation.interfaces import interface_named
    from annotation.server.installation import environment_folder, installed, pinned
    from pipelines.labelling.service import bring_up, seats_of

    if dry_run:
        seats = seats_of(root, annotator or [], interface or [])
        people, forms = list(seats), list(dict.fromkeys(f for each in seats.values() for f in each))
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
        made = bring_up(
            root, annotator or [], interface or [], port=port, url=url or None, bars=bars
        )
    rows = [[link.annotator_id, link.url] for link in made.links]
    lines = [f"Label Studio answers at {made.url}"]
    lines += in_columns(["annotator", "begins at"], rows)
    if made.own_server:
        lines.append("each link signs its annotator in for 7 days: give it to nobody else")
    lines.append(f"passwords are in {made.passwords}, which only you can read")
    reply(asdict(made), lines, as_json=as_json)


def down(root: Root = ZONE, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Stop the zone's own Label Studio and its door; data, accounts and keys stay.

    Example: flywheel annotate down
    """
    from pipelines.labelling.service import take_down

    if dry_run:
        status(root, as_json=as_json)
        return
    ran = take_down(root)
    said = "stopped Label Studio; its data stays" if ran else "Label Studio was not running"
    reply({"stopped": ran}, [said], as_json=as_json)


def status(root: Root = ZONE, as_json: AsJson = False) -> None:
    """Say whether the zone's Label Studio answers, and who answers with what.

    Example: flywheel annotate status
    """
    from pipelines.labelling.service import service_status

    found = service_status(root)
    people = [f"{name}: {', '.join(each)}" for name, each in found["annotators"].items()]
    where = f" at {found['url']}" if found["url"] else ""
    reply(found, [f"Label Studio is {found['state']}{where}", *people], as_json=as_json)


def doctor(root: Root = ZONE, as_json: AsJson = False) -> None:
    """Examine keys, server, accounts, projects and answers; each line says what to do.

    Example: flywheel annotate doctor
    """
    from pipelines.labelling.examination import examine_desk

    tell(examine_desk(root), as_json=as_json)


def annotate_app() -> typer.Typer:
    """Put the commands about annotators together."""
    app = typer.Typer(
        help="""Let people judge in Label Studio, and see how they do.

        Example: flywheel annotate up --annotator ann-1 --interface pair_image
        """,
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    commands: dict[str, Any] = {
        "up": up, "down": down, "status": status, "doctor": doctor, "report": report, "gold": gold,
        "budget": budget, "blind": blind,
    }  # fmt: skip
    for name, command in commands.items():
        app.command(name)(command)
    return app
