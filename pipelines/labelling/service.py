"""The labelling service of one zone: its own server or an existing one, with people on it."""

import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import sqlalchemy as sa

from annotation.client import LabelStudioClient
from annotation.interfaces import interface_named
from annotation.server import (
    Provisioned,
    ServerSecrets,
    check_port,
    environment_folder,
    install,
    launch,
    outlive_us,
    provision,
    read_or_make_secrets,
    server_status,
    start,
    stop,
)
from annotation.server.process import HOST, SERVER
from annotation.server.provisioning import check_names
from annotation.server.secrets import with_password
from data_contracts.errors import FlywheelError
from pipelines.labelling.deletions import replace_projects
from pipelines.labelling.ledger import open_ledger, projects_of, record_people, record_server
from pipelines.labelling.ledger import server_of as ledger_server
from pipelines.media.signing import entry_path, zone_key
from pipelines.stores.atomic import locked

TOKEN: Final = "FLYWHEEL_LABEL_STUDIO_TOKEN"
DOOR: Final = "door"  # the process that people reach; Label Studio stands behind it
FIRST: Final = "annotator-1"  # seated where nobody is named or seated
USUAL: Final = ("pair_image", "pair_text")  # what a newcomer answers with unless it is said
Advance = Callable[[int, int], None]
Bars = Callable[[str], Advance]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Where one annotator begins."""

    annotator_id: str
    address: str
    url: str  # on a server of our own it signs them in for some days
    projects: dict[str, str]  # interface -> where its next task is


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What stands after `flywheel annotate up`."""

    url: str
    own_server: bool
    passwords: str  # the file that holds them, readable by us alone
    links: tuple[Link, ...]


def bring_up(
    root: Path,
    annotators: Sequence[str],
    interfaces: Sequence[str],
    *,
    port: int,
    url: str | None,
    bars: Bars,
    outlives: bool = True,
) -> Service:
    """Install and start the zone's server unless it runs, and provision it; safe to repeat.

    Args:
        root: the zone's folder; one server, database and set of keys each.
        annotators: their ids; none: who is seated already.
        interfaces: names such as *pair_image*; none: what each of them has already.
        port: of our own server, on loopback.
        url: of an existing server; None starts our own.
        bars: draws progress.
        outlives: whether what is started here goes on when this process ends, once all is done.
            If not, or if we are killed before, it ends with us, even by SIGKILL.

    Raises:
        FlywheelError: any step was refused; what was made before it stays and is kept.
    """
    seats = {
        who: [interface_named(name) for name in names]
        for who, names in seats_of(root, annotators, interfaces).items()
    }
    folder = server_folder(root)
    with locked(root / "labelling" / ".up", exclusive=True), _staying(folder, outlives):
        inner = _own_port(root, folder) if url is None else None
        known = read_or_make_secrets(folder)
        if inner is not None:
            python = install(environment_folder(), bars=bars)
            begin = bars("start Label Studio, 10 s or so")
            begin(0, 1)
            _start(root, folder, python, known, port=port, inner=inner)
            begin(1, 1)
        client = client_of(root, url)
        ledger = open_ledger(root)
        client.whoami()
        record_server(ledger, client.url)
        made = provision(
            client,
            seats,
            password_of=lambda address: with_password(folder, address)[1],
            recorded={
                (row.annotator_id, row.interface): row.project_id for row in projects_of(ledger)
            },
            advance=bars("accounts and projects"),
        )
        _record(root, ledger, made)
    shown = client.url if url else server_status(folder, DOOR).url or client.url
    links = tuple(
        _link(
            shown,
            person.annotator_id,
            person.address,
            {
                p.interface: p.project_id
                for p in made.projects
                if p.annotator_id == person.annotator_id
            },
            begins=entry_path(zone_key(root), person.annotator_id, now=time.time())
            if url is None
            else "/projects/",
        )
        for person in made.annotators
    )
    return Service(
        url=shown,
        own_server=url is None,
        passwords=str(folder / "secrets.json"),
        links=links,
    )


def seats_of(
    root: Path, annotators: Sequence[str], interfaces: Sequence[str]
) -> dict[str, Sequence[str]]:
    """Return who is to answer with what: who and what is not named is taken as it stands.

    So nobody is seated beside the others by somebody who only starts the server again.

    Raises:
        FlywheelError: a name cannot be one, or is named twice.
    """
    seated = _seated(root)
    names = list(annotators) or sorted(seated) or [FIRST]
    check_names(names)
    return {name: list(interfaces) or seated.get(name) or list(USUAL) for name in names}


def _seated(root: Path) -> dict[str, list[str]]:
    people: dict[str, list[str]] = {}
    if (root / "labelling").is_dir():
        for row in projects_of(open_ledger(root)):
            people.setdefault(row.annotator_id, []).append(row.interface)
    return people


def _record(root: Path, ledger: sa.Engine, made: Provisioned) -> None:
    """Record who and what stands on the server, while nobody pushes or syncs."""
    desk = root / "labelling"
    with locked(desk / ".sync", exclusive=True), locked(desk / ".push", exclusive=True):
        projects = [
            {"project_id": p.project_id, "annotator_id": p.annotator_id, "interface": p.interface}
            for p in made.projects
        ]
        replace_projects(ledger, projects)
        record_people(
            ledger,
            [
                {"annotator_id": a.annotator_id, "user_id": a.user_id, "address": a.address}
                for a in made.annotators
            ],
            projects,
        )


@contextlib.contextmanager
def _staying(folder: Path, outlives: bool) -> Iterator[None]:
    """Let the servers stay once all is done or a step was refused; not if we are killed here."""
    try:
        yield
    except FlywheelError:
        if outlives:
            outlive_us(folder, (SERVER, DOOR))
        raise
    if outlives:
        outlive_us(folder, (SERVER, DOOR))


def take_down(root: Path) -> bool:
    """Stop the zone's own server and its door; say whether it ran. Its data and keys stay."""
    stop(server_folder(root), name=DOOR)
    return stop(server_folder(root))


def service_status(root: Path) -> dict[str, Any]:
    """Say whether the zone's server answers, and who is on it."""
    found = server_status(server_folder(root))
    door = server_status(server_folder(root), DOOR)
    return {
        "state": found.state,
        "url": door.url or found.url,
        "pid": found.pid,
        "annotators": _seated(root),
    }


def client_of(root: Path, url: str | None = None) -> LabelStudioClient:
    """Return the lead's client: of *url* with the token from the environment, else of our own.

    Raises:
        FlywheelError: no server is known, ours is down, or the token is missing.
    """
    recorded = ledger_server(open_ledger(root)) if (root / "labelling").is_dir() else None
    own = server_status(server_folder(root))
    address = url or own.url or recorded
    if address is None:
        raise FlywheelError("no Label Studio is known here; run `flywheel annotate up` first")
    if address == own.url:
        return LabelStudioClient(address, read_or_make_secrets(server_folder(root)).lead_token)
    token = os.environ.get(TOKEN, "")
    if not token:
        raise FlywheelError(
            f"Label Studio at {address} is not ours or is down; set {TOKEN} to a token from its "
            "account page, or run `flywheel annotate up`"
        )
    return LabelStudioClient(address, token)


def _own_port(root: Path, folder: Path) -> int:
    """Return the port of the zone's own server; it is kept, for the ledger is bound to its address.

    Raises:
        FlywheelError: the ledger is bound to a server that is not ours.
    """
    recorded = ledger_server(open_ledger(root))
    if recorded is None:
        return free_port()
    parts = urlsplit(recorded)
    # One that we started has left its data here.
    if parts.hostname != HOST or parts.port is None or not (folder / "data").is_dir():
        raise FlywheelError(
            f"this zone's annotators are on {recorded}; name it with --url, or use another "
            "--root for a server of our own"
        )
    return parts.port


def _start(
    root: Path, folder: Path, python: Path, known: ServerSecrets, *, port: int, inner: int
) -> None:
    """Start Label Studio on port *inner* and the door on *port*, unless they run."""
    door = server_status(folder, DOOR)
    if door.state == "down" and server_status(folder).state == "down":
        check_port(port)
    shown_at = door.url or f"http://{HOST}:{port}"
    running = start(folder, python, known, port=inner, shown_at=shown_at)
    assert running.url is not None
    if door.state == "down":
        command = [sys.executable, "-m", "pipelines.media.serve", str(root.absolute()),
                   str(port), running.url]  # fmt: skip
        launch(folder, command, os.environ, name=DOOR, url=f"http://{HOST}:{port}")


def free_port() -> int:
    """Return a port of loopback that is free now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def server_folder(root: Path) -> Path:
    """Return where the zone's own server keeps its data and keys."""
    return root.absolute() / "label-studio"


def _link(url: str, annotator: str, address: str, projects: dict[str, int], *, begins: str) -> Link:
    streams = {
        name: f"{url}/projects/{number}/data?labeling=1" for name, number in projects.items()
    }
    return Link(annotator_id=annotator, address=address, url=f"{url}{begins}", projects=streams)
