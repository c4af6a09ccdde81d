"""`flywheel evaluate`: any policy against any other, as the gate measures them."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import AsJson, DryRun, Root


def evaluate(
    candidate: Annotated[str, typer.Argument(help="Id of a policy, or its first characters.")],
    against: Annotated[
        str, typer.Option(help="Champion, named likewise; default: the policy released last.")
    ] = "",
    root: Root = Path(".flywheel/demo/ours-7"),
    turn: Annotated[
        str,
        typer.Option(help="Whose held-out prompts; default: the turn that the candidate is of."),
    ] = "",
    prompts: Annotated[
        int | None, typer.Option(help="How many of them; default: the gate's.", min=2)
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(help="Pictures a prompt and policy; default: the gate's.", min=2),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of samples and intervals; default: the wheel's.", min=0)
    ] = None,
    reward_model: Annotated[
        str, typer.Option(help="Who scores, named likewise; default: the one the gate asks.")
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of card and report; default: reports/ of the zone."),
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Measure a candidate against a champion as the gate would; nothing is released.

    Both are sampled on prompts held out of training, scored, and held to every rule of the gate.
    Writes the comparison card with pictures and the same as JSON, and stores blind questions that
    `flywheel annotate blind` asks people. A dry run rehearses a share and estimates the time.
    Ends with 3 where the gate would refuse.

    Example: flywheel evaluate 3f9c2a7be041 --against d70d5b8fe98e --prompts 32
    """
    from pipelines.cli import REFUSED
    from pipelines.commands.live import live_bar
    from pipelines.commands.reply import in_columns, reply, spaced
    from pipelines.evaluation_run import EvaluationRequest, preview, run, verdict_of

    request = EvaluationRequest(
        root=root, candidate=candidate, against=against, turn=turn, prompts=prompts,
        samples=samples, seed=seed, reward_model=reward_model, out=out,
    )  # fmt: skip
    if dry_run:
        seen = preview(request)
        rows = [
            ["candidate", seen["candidate"][:12]],
            ["champion", seen["champion"][:12]],
            ["reward model", seen["reward_model"][:12]],
            ["prompts", f"{seen['prompts']} of {seen['held_out']} held out in {seen['turn']}"],
            ["samples", f"{spaced(seen['pictures'])}, {seen['samples']} a prompt and policy"],
            ["time", f"about {seen['seconds']:.0f} s"],
            ["card", seen["card"]],
            ["digest", seen["digest"][:12]],
        ]
        reply(seen, in_columns(["dry run", ""], rows), as_json=as_json)
        return
    try:
        with live_bar("evaluate") as bar:
            done = run(request, say=bar.say, waits=bar.waits)
    except KeyboardInterrupt as stopped:
        typer.echo(f"flywheel: {stopped}", err=True)
        raise
    measured = done["measured"]
    findings = [[f["rule"].replace("_", " "), verdict_of(f), f["detail"]] for f in done["findings"]]
    skills = [
        [each["skill_id"] or "no skill", str(each["prompts"]), each["says"]]
        for each in done.get("skills", [])
    ]
    lines = [
        f"{done['candidate'][:12]} against {done['champion'][:12]}: {measured['prompts']} prompts "
        f"held out in {done['turn']}, {measured['samples']} samples each, "
        f"reward model {done['reward_model'][:12]}",
        "",
        *in_columns(["rule", "verdict", "measured"], findings),
        "",
        *([*in_columns(["skill", "prompts", "says"], skills), ""] if skills else []),
        f"the gate would {'let it pass' if done['passed'] else 'refuse it'}; nothing was released",
        f"card: {done['card']}",
        f"report: {done['report']}",
    ]
    reply(done, lines, as_json=as_json)
    if not done["passed"]:
        raise typer.Exit(REFUSED)
