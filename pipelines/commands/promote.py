"""`flywheel promote`: a person releases a policy."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.history import show_history, show_move
from pipelines.commands.options import AsJson, By, DryRun, History, Reason, Root


def promote(
    checkpoint: Annotated[
        str, typer.Argument(help="Id of a policy, or its first characters.", show_default=False)
    ] = "",
    root: Root = Path(".flywheel/demo/ours-7"),
    reason: Reason = "",
    by: By = "",
    override: Annotated[
        bool,
        typer.Option(
            "--override", help="Release what people or reports refuse; needs --by, is recorded."
        ),
    ] = False,
    history: History = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Release a policy: the next generations come from it. Its files are verified first.

    On real evidence, people must have preferred it blindly on held-out prompts; a report or a hide
    of what it made vetoes. A named person may decide otherwise. Labels that moved since it was
    trained refuse it whoever asks.

    Example: flywheel promote 3f9c2a7be041 --reason "wins on hands, checked by eye"
    """
    import getpass
    from datetime import UTC, datetime

    from data_contracts.errors import FlywheelError
    from pipelines.releasing import (
        POLICY,
        named_policy,
        opened_zone,
        policy_history,
        refused_rules,
        standing_findings,
    )

    stores = opened_zone(root)
    if history:
        show_history(policy_history(stores), as_json=as_json)
        return
    if not checkpoint or not reason:
        missing = "a checkpoint" if not checkpoint else "--reason"
        raise FlywheelError(f"promote needs {missing}; see `flywheel promote --help`")
    policy = named_policy(stores, checkpoint)
    before = stores.catalogue.release(POLICY)
    if policy != before:
        findings = standing_findings(root, stores, policy)
        overridden = refused_rules(findings, overridden=override, by=by)
        if overridden:
            reason = f"override of {', '.join(overridden)}: {reason}"
    if not dry_run:
        by, at = by or getpass.getuser(), datetime.now(UTC)
        stores.catalogue.promote(POLICY, policy, reason=reason, by=by, at=at)
    show_move(before, policy, reason=reason, dry_run=dry_run, as_json=as_json)
