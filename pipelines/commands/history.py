"""How promote and rollback show what was released, and by whom."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from pipelines.commands.reply import in_columns, reply

if TYPE_CHECKING:
    from pipelines.stores import PointerMove


def show_history(moves: "Sequence[PointerMove]", *, as_json: bool) -> None:
    """Write every move of the release, oldest first; the last row is what is released now."""
    rows = [
        [
            move.at[:19],
            move.action,
            move.value[:12],
            (move.previous or "-")[:12],
            move.by,
            move.reason,
        ]
        for move in moves
    ]
    head = ["at (UTC)", "move", "policy", "before", "by", "reason"]
    lines = in_columns(head, rows) if rows else ["nothing was released yet"]
    reply({"history": [asdict(move) for move in moves]}, lines, as_json=as_json)


def show_move(before: str | None, now: str, *, reason: str, dry_run: bool, as_json: bool) -> None:
    """Say which policy was released before and which is now."""
    was = "nothing" if before is None else before[:12]
    if before == now:
        line = f"policy {now[:12]} is released already; nothing changed"
    else:
        line = f"{'dry run: ' if dry_run else ''}released policy {now[:12]} (before: {was})"
    fields = {"before": before, "released": now, "reason": reason, "dry_run": dry_run}
    reply(fields, [line], as_json=as_json)
