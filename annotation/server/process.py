"""The server's process: started on loopback with safe settings, found again, stopped whole.

What is started here ends with the process that started it, until that lets it `outlive_us`.
"""

import contextlib
import json
import os
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import psutil

from annotation.server.birth import birth
from annotation.server.installation import DATABASE
from annotation.server.secrets import LEAD, ServerSecrets
from annotation.server.tether import let_go, start_tethered, untie
from data_contracts.errors import FlywheelError

HOST: Final = "127.0.0.1"
SERVER: Final = "server"
_NOWHERE: Final = "http://127.0.0.1:9"  # the discard port: nobody answers
# Django holds some hundred thousand objects for ever. Looking for garbage among them stops the
# server for half a second at every second long list, so after the first answer nobody looks there.
_LABEL_STUDIO: Final = """
import gc, sys
from django.core.signals import request_finished
from label_studio.server import main

def freeze(**_):
    request_finished.disconnect(freeze)
    gc.collect()
    gc.freeze()

request_finished.connect(freeze)
sys.exit(main())
"""
# Films play by one key instead of three at once; the tool that draws rotated boxes, which no
# answer may hold, has none.
_KEYS: Final = {
    "media:playpause": {"key": "space", "description": "Play and pause"},
    "tool:rect-3point": {"key": None, "description": "Not used here"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """What is known of one server."""

    state: Literal["up", "starting", "down"]
    url: str | None  # None: it was never started, or is down
    pid: int | None


def surroundings(folder: Path, known: ServerSecrets, *, port: int, shown_at: str) -> dict[str, str]:
    """Return the environment of the server's process: a closed one, nothing of ours leaks in.

    Sign-up needs the lead's invitation, nothing is reported to anybody, and the proxies lead
    nowhere, so that a library that would still call out cannot. Any account may name addresses
    for the server to ask (webhooks, imports, model backends): none of this machine or its network
    is asked, Dagster's page without a login least of all.
    """
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")
            if name in os.environ}  # fmt: skip
    settings = {
        "BASE_DATA_DIR": str(folder / "data"),
        "HOST": shown_at,
        "ALLOWED_HOSTS": f"{HOST},localhost",
        "CORS_ALLOW_ALL_ORIGINS": "false",
        "CORS_ALLOWED_ORIGINS": f"http://{HOST}:{port},{shown_at}",
        "USERNAME": LEAD,
        "PASSWORD": known.lead_password,
        "USER_TOKEN": known.lead_token,
        "ENABLE_LEGACY_API_TOKEN": "true",
        "DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "FEATURE_FLAGS_OFFLINE": "true",
        "LOCAL_FILES_SERVING_ENABLED": "false",
        "ENABLE_LOCAL_FILES_STORAGE": "false",
        "SSRF_PROTECTION_ENABLED": "true",
        "USE_DEFAULT_BANNED_SUBNETS": "true",  # loopback too: our own services listen there
        "ML_BLOCK_LOCAL_IP": "true",
        "DEBUG": "false",
        "EDITOR_KEYMAP": json.dumps(_KEYS),
    }
    return {
        **kept,
        **{f"LABEL_STUDIO_{name}": value for name, value in settings.items()},
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "HOME": str(folder / "data"),
        "SECRET_KEY": known.secret_key,
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "http_proxy": _NOWHERE,
        "https_proxy": _NOWHERE,
        "no_proxy": f"{HOST},localhost",
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",
    }


def start(
    folder: Path,
    python: Path,
    known: ServerSecrets,
    *,
    port: int,
    shown_at: str,
    patience: float = 600.0,
    waiting: Callable[[float], None] | None = None,
) -> ServerStatus:
    """Start the server of *folder* on loopback unless it runs; return when it answers.

    Args:
        folder: its data, keys, log and record; one per zone, so a sensitive tenant gets an
            instance, database and keys of its own.
        python: of the environment that `install` made.
        known: its keys.
        port: on loopback.
        shown_at: the address that people use; the door's.
        patience: seconds to wait; the first start makes the database and takes longest.
        waiting: told the seconds waited so far.

    Raises:
        FlywheelError: the port is taken, the server ended, or it stayed silent.
    """
    found = server_status(folder)
    if found.state == "up":
        return found
    if found.state == "starting" and found.pid is not None:
        return _wait(folder, found.pid, name=SERVER, patience=patience, waiting=waiting)
    check_port(port)
    _lay_database(python.parent.parent / DATABASE, folder / "data")
    command = [
        str(python), "-P", "-c", _LABEL_STUDIO, "start", "--no-browser",
        "--internal-host", HOST, "--port", str(port),
    ]  # fmt: skip
    return launch(
        folder, command, surroundings(folder, known, port=port, shown_at=shown_at),
        name=SERVER, url=f"http://{HOST}:{port}", patience=patience, waiting=waiting,
    )  # fmt: skip


def launch(
    folder: Path,
    command: Sequence[str],
    settings: Mapping[str, str],
    *,
    name: str,
    url: str,
    patience: float = 600.0,
    waiting: Callable[[float], None] | None = None,
) -> ServerStatus:
    """Start a process of *folder* that ends with us; return when it answers at *url*.

    Raises:
        FlywheelError: it ended, or it stayed silent.
    """
    with (folder / f"{name}.log").open("ab") as log:
        os.fchmod(log.fileno(), 0o600)
        pid = start_tethered(command, folder=folder, settings=settings, log=log)
    born = birth(pid) if pid is not None else None
    if pid is None or born is None:
        raise _ended_early(folder, name)
    record = {"pid": pid, "born": born, "url": url}
    (folder / f"{name}.json").write_text(json.dumps(record) + "\n", "utf-8")
    return _wait(folder, pid, name=name, patience=patience, waiting=waiting)


def outlive_us(folder: Path, names: Sequence[str]) -> None:
    """Let what we started in *folder* go on when we end; what others started is no matter."""
    for name in names:
        process = _process(_record(folder, name))
        if process is not None:
            let_go(process.pid)


def server_status(folder: Path, name: str = SERVER) -> ServerStatus:
    """Say whether the server of *folder* runs and answers."""
    record = _record(folder, name)
    process = _process(record)
    if process is None:
        return ServerStatus(state="down", url=None, pid=None)
    url = str(record["url"])
    return ServerStatus(state="up" if answers(url) else "starting", url=url, pid=process.pid)


def stop(folder: Path, *, name: str = SERVER, grace: float = 10.0) -> bool:
    """Stop the server of *folder* and its children; say whether it ran."""
    process = _process(_record(folder, name))
    if process is None:
        (folder / f"{name}.json").unlink(missing_ok=True)
        return False
    everyone = [process]
    with contextlib.suppress(psutil.NoSuchProcess):
        everyone = [*process.children(recursive=True), process]
    for each in everyone:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.terminate()
    _, left = psutil.wait_procs(everyone, timeout=grace)
    for each in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(left, timeout=grace)
    untie(process.pid)
    (folder / f"{name}.json").unlink(missing_ok=True)
    return True


def answers(url: str) -> bool:
    """Say whether a Label Studio answers at *url*."""
    # No proxy: the address is our own machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/health", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _lay_database(empty: Path, data: Path) -> None:
    """Begin with a copy of the empty database: whole or not at all, never over a used one."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in sorted(empty.glob("*.sqlite3")):
        if not (data / file.name).exists():
            partial = data / f".{file.name}.{os.getpid()}"
            shutil.copyfile(file, partial)
            partial.rename(data / file.name)


def _wait(
    folder: Path,
    pid: int,
    *,
    name: str,
    patience: float,
    waiting: Callable[[float], None] | None,
) -> ServerStatus:
    began = time.monotonic()
    while (waited := time.monotonic() - began) < patience:
        found = server_status(folder, name)
        if found.state == "up":
            return found
        if not _alive(pid):
            (folder / f"{name}.json").unlink(missing_ok=True)
            raise _ended_early(folder, name)
        if waiting is not None:
            waiting(waited)
        time.sleep(0.25)
    stop(folder, name=name)
    raise FlywheelError(
        f"the {name} did not answer within {patience:.0f} s and was stopped; "
        f"{folder.name}/{name}.log says why"
    )


def _ended_early(folder: Path, name: str) -> FlywheelError:
    return FlywheelError(f"the {name} ended before it answered; {folder.name}/{name}.log says why")


def _alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _record(folder: Path, name: str) -> Mapping[str, float | str]:
    try:
        found: Mapping[str, float | str] = json.loads((folder / f"{name}.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _process(record: Mapping[str, float | str]) -> psutil.Process | None:
    """Return the recorded process; a number that was given to somebody else is not it."""
    try:
        process = psutil.Process(int(record["pid"]))
        same = birth(process.pid) == record["born"]
    except (KeyError, ValueError, psutil.NoSuchProcess):
        return None
    return process if same and process.status() != psutil.STATUS_ZOMBIE else None


def check_port(port: int) -> None:
    """Return if *port* is free on loopback.

    Raises:
        FlywheelError: something listens there, or we may not.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise FlywheelError(
                f"port {port} is taken or not ours to use; choose another with --port"
            ) from error
