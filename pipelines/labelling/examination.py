"""What would stop annotators of one zone from working, and what to do about it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from annotation.client import LabelStudioClient
from annotation.interfaces import interface_named
from annotation.server import environment_folder, server_status
from annotation.server.installation import installed
from annotation.server.process import SERVER
from annotation.server.provisioning import accounts, labelling_projects
from annotation.server.secrets import SECRETS
from data_contracts.errors import FlywheelError
from pipelines.examining import Finding
from pipelines.labelling.ledger import (
    ANNOTATORS,
    open_ledger,
    projects_of,
    standing_of,
)
from pipelines.labelling.service import DOOR, client_of, server_folder
from pipelines.stores.catalogue_tables import transaction

_UP = "run `flywheel annotate up`"


def examine_desk(root: Path) -> list[Finding]:
    """Examine installation, keys, server, door, accounts, projects and answers of one zone.

    Nothing is started, made or changed.
    """
    found = [_installation()]
    if not (root / "labelling").is_dir():
        return [*found, Finding(subject="desk", state="note", says=f"nobody was seated yet; {_UP}")]
    folder = server_folder(root)
    if (folder / SECRETS).is_file():
        found.append(_keys(folder))
    running = True
    if (folder / f"{SERVER}.log").is_file():  # a server of our own was started here
        processes = [_process(folder, name) for name in (SERVER, DOOR)]
        found += processes
        running = processes[0].state == "ok"
    asked = _server(root) if running else ()
    return [*found, *asked, *_answers(root)]


def _installation() -> Finding:
    if installed(environment_folder()):
        return Finding(subject="installation", state="ok", says="Label Studio as pinned")
    return Finding(
        subject="installation",
        state="note",
        says=f"Label Studio is not installed here; {_UP}, which takes minutes the first time",
    )


def _keys(folder: Path) -> Finding:
    mode = (folder / SECRETS).stat().st_mode & 0o777
    if mode & 0o077:
        return Finding(
            subject="keys",
            state="bad",
            says=f"others can read {folder.name}/{SECRETS}; run `chmod 600` on it, and change the "
            "passwords if somebody did",
        )
    return Finding(subject="keys", state="ok", says="readable by you alone")


def _process(folder: Path, name: str) -> Finding:
    status = server_status(folder, name)
    if status.state == "up":
        return Finding(subject=name, state="ok", says=f"answers at {status.url}")
    says = (
        f"started, but does not answer yet at {status.url}"
        if status.state == "starting"
        else f"down; {_UP}; {folder.name}/{name}.log says what happened"
    )
    return Finding(subject=name, state="bad", says=says)


def _server(root: Path) -> Iterator[Finding]:
    """Ask the server itself, once for all; a server that refuses is one finding."""
    ledger = open_ledger(root)
    try:
        client = client_of(root)
        client.whoami()
        yield Finding(subject="token", state="ok", says=f"known at {client.url}")
        yield _accounts(client, ledger)
        yield _projects(client, projects_of(ledger))
    except FlywheelError as error:
        yield Finding(subject="token", state="bad", says=str(error))


def _accounts(client: LabelStudioClient, ledger: sa.Engine) -> Finding:
    there = accounts(client)
    with transaction(ledger, writes=False) as connection:
        people = connection.execute(sa.select(ANNOTATORS)).all()
    lost = sorted(p.annotator_id for p in people if there.get(p.address) != p.user_id)
    if lost:
        return Finding(
            subject="accounts",
            state="bad",
            says=f"{', '.join(lost[:5])}: no such account on the server, or another one; give "
            "them new names with `flywheel annotate up`",
        )
    return Finding(subject="accounts", state="ok", says=f"{len(people)} annotators")


def _projects(client: LabelStudioClient, wanted: Sequence[sa.Row[Any]]) -> Finding:
    there = {int(each["id"]): each for each in labelling_projects(client).values()}
    lost = [row for row in wanted if row.project_id not in there]
    old = [
        row
        for row in wanted
        if row.project_id in there
        and there[row.project_id].get("label_config") != interface_named(row.interface).config
    ]
    if lost or old:
        said = [f"{row.interface} of {row.annotator_id} is gone" for row in lost]
        said += [f"{row.interface} of {row.annotator_id} shows an older interface" for row in old]
        names = sorted({row.annotator_id for row in (*lost, *old)})
        forms = {
            name: sorted({row.interface for row in (*lost, *old) if row.annotator_id == name})
            for name in names
        }
        again = ", then with ".join(
            " ".join([f"--annotator {name}", *(f"--interface {form}" for form in forms[name])])
            for name in names[:5]
        )
        return Finding(
            subject="projects",
            state="bad",
            says=f"{'; '.join(said[:5])}; {_UP} with {again}",
        )
    return Finding(subject="projects", state="ok", says=f"{len(wanted)} as provisioned")


def _answers(root: Path) -> Iterator[Finding]:
    ledger = open_ledger(root)
    standing = standing_of(ledger)
    given, answered, broken = (
        sum(int(each[name]) for each in standing) for name in ("given", "answered", "quarantined")
    )
    yield Finding(
        subject="answers", state="ok", says=f"{answered} of {given} tasks answered and read"
    )
    if broken:
        yield Finding(
            subject="quarantine",
            state="note",
            says=f"{broken} answers could not be believed; the table `answers` of the ledger has "
            "their ids and reasons",
        )
    strange = sum(int(row.strangers) for row in projects_of(ledger))
    if strange:
        yield Finding(
            subject="strangers",
            state="note",
            says=f"{strange} tasks in the labelling projects are not ours and are left alone",
        )
