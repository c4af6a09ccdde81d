"""`flywheel annotate blind`: people compare two policies without knowing whose sample is whose."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import AsJson, DryRun, Root


def blind(
    candidate: Annotated[str, typer.Argument(help="Id of a policy, or its first characters.")],
    against: Annotated[
        str, typer.Option(help="Champion, named likewise; default: the policy released last.")
    ] = "",
    root: Root = Path(".flywheel/general"),
    overlap: Annotated[
        int, typer.Option(help="Annotators who answer each question.", min=1, max=50)
    ] = 3,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Ask people which policy's picture or film is better, hiding whose it is; pull the answers.

    Asks the questions that `policy_report` or `flywheel evaluate` stored, in the interface
    blind_image, or blind_video where both drew films. Repeat it while people work: nobody is
    asked twice, and answers reach the table where `flywheel promote` looks for them.

    Example: flywheel annotate blind 3f9c2a7be041 --root .flywheel/general
    """
    import getpass
    from dataclasses import asdict
    from datetime import UTC, datetime

    from pipelines.commands.reply import in_columns, progress_bars, reply, spaced
    from pipelines.comparing.asking import ask_people, take_answers, tasks_to_give
    from pipelines.labelling.service import client_of
    from pipelines.releasing import named_champion, named_policy, opened_zone, zone_settings

    stores = opened_zone(root)
    mine = named_policy(stores, candidate)
    theirs = named_champion(stores, against, besides=mine)
    if dry_run:
        new = tasks_to_give(stores, mine, theirs, overlap=overlap)
        rows = [[who, spaced(count)] for who, count in new.items()]
        table = in_columns(["annotator", "new tasks"], rows) if rows else ["nobody is asked more"]
        fields = {"candidate": mine, "champion": theirs, "new_tasks": new, "dry_run": True}
        reply(fields, ["dry run: nothing is sent", *table], as_json=as_json)
        return
    client = client_of(root)
    with progress_bars() as bars:
        new_tasks = ask_people(
            stores, mine, theirs, client, overlap=overlap, advance=bars("push blind questions")
        )
    asked = take_answers(stores, mine, theirs, client, by=getpass.getuser(), at=datetime.now(UTC))
    need, human = zone_settings(root).gate.min_human_prompts, asked.human
    people = [
        [str(each["annotator_id"]), str(each["given"]), str(each["answered"])]
        for each in asked.people
    ]
    lines = [
        f"{mine[:12]} against {theirs[:12]}: {spaced(asked.questions)} questions, "
        f"{spaced(new_tasks)} new tasks",
        *in_columns(["annotator", "given", "answered"], people),
    ]
    if asked.quarantined:
        lines.append(f"{spaced(asked.quarantined)} answers are quarantined")
    if human is None:
        lines.append(f"nobody compared yet; the gate wants answers on {need} prompts")
    else:
        share = human.win_share
        lines.append(
            f"people preferred the candidate in {share.mean:.3f} ({share.low:.3f} to "
            f"{share.high:.3f}), {human.answers} answers on {human.prompts} prompts; "
            f"the gate wants {need}"
        )
    fields = {"candidate": mine, "champion": theirs, "new_tasks": new_tasks, "needed": need}
    reply(fields | asdict(asked), lines, as_json=as_json)
