"""`flywheel rollback`: back to the policy released before."""

from pathlib import Path

from pipelines.commands.history import show_history, show_move
from pipelines.commands.options import AsJson, By, DryRun, History, Reason, Root


def rollback(
    root: Root = Path(".flywheel/demo/ours-7"),
    reason: Reason = "",
    by: By = "",
    history: History = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Return to the policy released before the current one; repeated, it walks further back.

    Example: flywheel rollback --reason "draws six fingers"
    """
    import getpass
    from datetime import UTC, datetime

    from data_contracts.errors import FlywheelError
    from pipelines.releasing import POLICY, opened_zone, policy_history, release_before

    stores = opened_zone(root)
    if history:
        show_history(policy_history(stores), as_json=as_json)
        return
    if not reason:
        raise FlywheelError("rollback needs --reason; see `flywheel rollback --help`")
    current = stores.catalogue.release(POLICY)
    target = release_before(stores)
    stores.checkpoints.verify(target)
    if not dry_run:
        by = by or getpass.getuser()
        stores.catalogue.rollback(POLICY, reason=reason, by=by, at=datetime.now(UTC))
    show_move(current, target, reason=reason, dry_run=dry_run, as_json=as_json)
