"""`flywheel land`: what came in through the door becomes rows of `events`."""

from pathlib import Path

from pipelines.commands.options import AsJson, DryRun, Root
from pipelines.commands.reply import in_columns, reply, spaced


def land(
    root: Root = Path(".flywheel/general"), dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """Bring the journal's events into the table `events`; Dagster's sensor does the same.

    Rows that break the contract are quarantined with a reason. If it is interrupted, run it
    again: nothing is lost and nothing comes twice.

    Example: flywheel land --root .flywheel/general
    """
    import getpass
    from collections import Counter
    from datetime import UTC, datetime

    from pipelines.landing import land_events, waiting_events

    waiting = waiting_events(root)
    received = accepted = 0
    quarantined: Counter[str] = Counter()
    if not dry_run:
        for part in land_events(root, now=datetime.now(UTC), by=getpass.getuser()):
            received += part.received
            accepted += part.accepted
            quarantined.update(part.quarantined)
    fields = {
        "waiting": waiting, "received": received, "accepted": accepted,
        "quarantined": dict(quarantined), "dry_run": dry_run,
    }  # fmt: skip
    if dry_run:
        lines = [f"dry run: {spaced(waiting)} events wait in the journal"]
    else:
        lines = [
            f"landed {spaced(received)} = accepted {spaced(accepted)} "
            f"+ quarantined {spaced(quarantined.total())}"
        ]
        rows = [[reason, spaced(count)] for reason, count in quarantined.most_common()]
        lines += in_columns(["reason", "rows"], rows) if rows else []
    reply(fields, lines, as_json=as_json)
