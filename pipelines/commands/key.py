"""`flywheel key`: who may send events through the door, and into which zone."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import AsJson, Door, Root
from pipelines.commands.reply import in_columns, reply


def key(
    tenant: Annotated[str, typer.Argument(help="Whose events it is for.")] = "",
    project: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A project of the tenant; repeat for several."),
    ] = None,
    root: Root = Path(".flywheel/general"),
    owner: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Whose permission a reader needs; repeat for several.  [default: general]",
        ),
    ] = None,
    door: Door = Path(".flywheel/door"),
    revoke: Annotated[str, typer.Option(metavar="KEY_ID", help="Take a key back instead.")] = "",
    listed: Annotated[bool, typer.Option("--list", help="List the keys instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make an API key for a tenant, and place its projects in the zone that --root names.

    The key is shown once; only its hash is kept. A revoked key is refused within a
    second. A project stays in the zone it was placed in.

    Example: flywheel key acme --project campaign-7 --root .flywheel/general
    """
    from contextlib import closing
    from dataclasses import asdict
    from datetime import UTC, datetime

    from data_contracts.labels import Label
    from pipelines.intake.door.access import AccessBook

    now = datetime.now(UTC)
    with closing(AccessBook(door)) as book:
        if listed:
            keys = [asdict(each) for each in book.issued()]
            rows = [[str(value or "") for value in each.values()] for each in keys]
            head = ["key", "tenant", "issued", "revoked"]
            reply({"keys": keys}, in_columns(head, rows), as_json=as_json)
            return
        if revoke:
            book.revoke(revoke, at=now)
            reply({"revoked": revoke}, [f"key {revoke} is no longer valid"], as_json=as_json)
            return
        if not tenant:
            raise typer.BadParameter("name a tenant, or use --list or --revoke")
        projects = list(project or ())
        book.place(tenant, projects, zone=root, label=Label(frozenset(owner or ())))
        key_id, secret = book.issue(tenant, at=now)
    lines = [
        f"key {key_id} for tenant {tenant}, shown this once:",
        secret,
        f"projects placed in zone {root.name}: {', '.join(projects) or 'none'}",
    ]
    fields = {"key_id": key_id, "key": secret, "tenant_id": tenant, "projects": projects}
    reply(fields, lines, as_json=as_json)
