"""`flywheel import`: public sets of human judgements."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.commands.options import AsJson, DryRun, Reports
from pipelines.commands.reply import in_columns, progress_bars, reply, spaced

if TYPE_CHECKING:
    from collections.abc import Mapping


def import_set(
    name: Annotated[str, typer.Argument(help="Which set: see docs/how-to/import-a-public-set.md.")],
    path: Annotated[Path, typer.Argument(help="Its folder or file.")],
    root: Annotated[
        Path | None, typer.Option(help="Folder of the zone.  [default: .flywheel/import/NAME]")
    ] = None,
    reports: Reports = Path("reports"),
    no_train: Annotated[bool, typer.Option("--no-train", help="Stop at the pairs.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of training and intervals.", min=0)] = 7,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Import people's judgements: agreement, pairs and, where there is content, small models.

    Training is short on purpose (100 steps for the reward model, 60 for SFT, 80 for DPO; 16
    pairs a step, 192 tokens a text): minutes on one core. No text is ever printed.

    Example: flywheel import dsg_tifa160 sets/dsg_tifa160
    """
    from datetime import UTC, datetime

    from pipelines.importing import ImportOptions, preview_import, run_import

    options = ImportOptions(
        name=name,
        path=path,
        root=root or Path(".flywheel/import") / name,
        reports=reports,
        train=not no_train,
        seed=seed,
    )
    now = datetime.now(UTC)
    if dry_run:
        counts = preview_import(options, now=now)
        lines = [*_counted(counts), "dry run: nothing was stored"]
        reply(counts | {"dry_run": True}, lines, as_json=as_json)
        return
    with progress_bars() as bar:
        made = run_import(options, now=now, bar=bar)
    lines = [*_counted(made.figures), *_found(made.figures), f"report: {made.page}"]
    reply(made.figures | {"report": str(made.page)}, lines, as_json=as_json)


def _counted(figures: "Mapping[str, Any]") -> list[str]:
    reasons: dict[str, int] = figures["quarantined"]
    lines = [
        f"received {spaced(figures['received'])} = accepted {spaced(figures['accepted'])} "
        f"+ quarantined {spaced(sum(reasons.values()))}"
    ]
    if reasons:
        lines += in_columns(["reason", "rows"], [[why, spaced(n)] for why, n in reasons.items()])
    return lines


def _found(figures: "Mapping[str, Any]") -> list[str]:
    lines = [
        f"{each['aspect']}{' (' + each['question'] + ')' if each['question'] else ''}: "
        f"alpha {each['alpha']:.3f} [{each['low']:.3f}, {each['high']:.3f}] "
        f"({each['annotators'] or 'unnamed'} annotators, {spaced(each['answers'])} answers"
        f"{', machines' if each['by'] != 'people' else ''})"
        for each in figures["agreement"]
        if each["alpha"] is not None and each["low"] is not None
    ]
    if figures["events"]:
        kinds = figures["events"]["kinds"]
        lines.append("events: " + ", ".join(f"{kind} {spaced(n)}" for kind, n in kinds.items()))
        lines += [
            f"{each['policy']} as {each['log']} implies it in {each['campaign'][:40]}: "
            f"click rate {_percent(each['implied'])} % "
            f"[{_percent(each['low'])}, {_percent(each['high'])}], "
            f"its own {_percent(each['own_rate'])} %"
            + (f"; {each['warning']}" if each["warning"] else "")
            for each in figures["events"]["policies"]
        ]
    snapshot = figures["snapshot"]
    if snapshot is not None:
        told = f"{spaced(snapshot['pairs'])} pairs in snapshot {snapshot['snapshot_id'][:12]}"
        lines.append(told)
    if figures["learned"] is not None:
        head = ["ranks held-out pairs as people did", "share", "95 % interval"]
        rows = [
            [each["says"], f"{100 * each['mean']:.1f} %",
             f"{100 * each['low']:.1f} to {100 * each['high']:.1f}"]
            for each in figures["learned"]["ranked_as_people_did"]
        ]  # fmt: skip
        lines += in_columns(head, rows)
        lines.append("a model this small is weak on real text; the report says how weak")
    return lines


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"
