"""`flywheel train`: one post-training run from a job file."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import AsJson, DryRun


def train(
    job: Annotated[Path, typer.Option(help="TOML file that says what to train, from what, how.")],
    launchpad: Annotated[
        bool,
        typer.Option("--launchpad", help="Print what the launchpad takes, and on which partition."),
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Train a reward model or a policy on a snapshot; Dagster's launchpad gives the same run.

    A dry run counts pairs, rehearses four steps and estimates time and memory. Ctrl-C stops a
    run between two steps; stopped or killed, the same command goes on where it was.

    Example: flywheel train --job conf/jobs/dpo.toml --dry-run
    """
    from pipelines.commands.live import live_bar
    from pipelines.commands.reply import in_columns, reply, spaced
    from pipelines.post_training import read_job
    from pipelines.train_run import launchpad_text, preview, run

    wanted = read_job(job)
    if launchpad:
        typer.echo(launchpad_text(wanted), nl=False)
        return
    if dry_run:
        seen = preview(wanted)
        pairs = ", ".join(f"{spaced(n)} {split}" for split, n in seen["pairs"].items())
        device = seen["device_memory_mb"]
        rows = [
            ["what", f"{seen['kind']}, {seen['turn']}, snapshot {seen['snapshot'][:12]}"],
            ["starts from", f"checkpoint {seen['starts_from'][:12]}"],
            ["pairs", pairs],
            ["steps", f"{spaced(seen['steps'])}, {spaced(seen['rows_seen'])} rows seen"],
            ["time", f"about {seen['seconds']:.0f} s, {seen['seconds_a_step']:.2f} s a step"],
            ["memory", f"about {seen['memory_mb']:.0f} MB"]
            if device is None
            else ["memory", f"about {device:.0f} MB on the GPU, {seen['memory_mb']:.0f} MB beside"],
            [
                "processes",
                f"{seen['processes']}; one process's share was rehearsed, time and memory are its",
            ],
            ["digest", seen["digest"][:12]],
        ]
        if seen["members"] > 1:
            models = f"{seen['members']}; one was rehearsed, time and memory are for all"
            rows.insert(-1, ["models", models])
        reply(seen, in_columns(["dry run", ""], rows), as_json=as_json)
        return
    try:
        with live_bar(wanted.kind) as bar:
            done = run(wanted, say=bar.say, waits=bar.waits)
    except KeyboardInterrupt as stopped:
        typer.echo(f"flywheel: {stopped}", err=True)
        raise
    told = {name: done[name] for name in ("turn", "run", "snapshot", "checkpoint", "seconds")}
    told["digest"] = done["configuration_digest"]
    if done.get("validation"):
        told["validation"] = done["validation"]
    lines = [
        f"{wanted.kind} trained on {done['turn']} in {done['seconds']:.0f} s: "
        f"checkpoint {done['checkpoint'][:12]}, digest {told['digest'][:12]}",
        f"curves and log: flywheel up --root {wanted.wheel} (run {done['run'][:8]})",
        f"TensorBoard: tensorboard --logdir {wanted.wheel}/jobs/tensorboard",
    ]
    reply(told, lines, as_json=as_json)
