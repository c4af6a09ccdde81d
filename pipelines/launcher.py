"""The launcher: Dagster's pages and daemon on loopback, started together and stopped together."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil

from data_contracts.errors import FlywheelError
from pipelines.orchestrator import dagster_home

HOST: Final = "127.0.0.1"  # the pages have no login, so nobody else may reach them
DEFINITIONS: Final = "pipelines.definitions"
_STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GRACE: Final = 12.0  # seconds in which Dagster may end its runs
_LAST_GRACE: Final = 2.0  # seconds for what it left behind, such as idle code servers


class _Stop(BaseException):
    """A signal asked us to stop."""


def serve(
    root: Path,
    *,
    port: int,
    module: str = DEFINITIONS,
    ready: Callable[[str], None],
    patience: float = 120.0,
) -> None:
    """Run Dagster for the wheel under *root* until a signal asks to stop; leave no child behind.

    Args:
        root: the wheel's folder; *module* finds it in FLYWHEEL_ROOT.
        port: of the pages, on loopback.
        module: where the definitions are.
        ready: called with the address once the pages answer.
        patience: seconds to wait for them.

    Raises:
        FlywheelError: the port is taken, or Dagster ended or stayed silent.
    """
    check_port(port)
    home = dagster_home(root)
    surroundings = os.environ | {
        "FLYWHEEL_ROOT": str(root.absolute()),
        "DAGSTER_HOME": str(home),
        "PYTHONWARNINGS": "ignore",  # a page of advice to developers hides the address
    }
    with stopping_signals():
        # A session of its own: Ctrl-C reaches us alone, and we pass it on once.
        dagster = subprocess.Popen(
            dagster_command(module, port),
            cwd=root,
            env=surroundings,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            _wait_until_ready(dagster, port, patience=patience)
            ready(f"http://{HOST}:{port}")
            code = dagster.wait()
            raise FlywheelError(f"Dagster ended by itself with code {code}; its last lines say why")
        except _Stop:
            pass
        finally:
            with _deaf():
                stop_tree(dagster)


def dagster_command(module: str, port: int) -> list[str]:
    """Return what starts Dagster's pages, daemon and code server, quietly."""
    python = [sys.executable, "-m", "dagster", "dev"]
    return [*python, "-m", module, "-h", HOST, "-p", str(port), "--log-level", "warning"]


def check_port(port: int) -> None:
    """Return if *port* is free on loopback.

    Raises:
        FlywheelError: something listens there, or we may not.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise FlywheelError(
                f"port {port} is taken or not ours to use; choose another with --port"
            ) from error


@contextmanager
def stopping_signals() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP stop us, even where our parent had them ignored (nohup, &).

    A child starts with the default actions, for a handler does not outlive exec.
    """

    def stop(*_: Any) -> None:
        raise _Stop

    before = {each: signal.signal(each, stop) for each in _STOPPING}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def stop_tree(process: "subprocess.Popen[Any]", *, grace: float = _GRACE) -> None:
    """Ask *process* to end, then its descendants, then end what is left."""
    everyone = _descendants(process.pid)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace)
    for ask in (psutil.Process.terminate, psutil.Process.kill):
        left = [each for each in everyone if each.is_running()]
        for each in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                ask(each)
        psutil.wait_procs(left, timeout=_LAST_GRACE)
    process.wait()


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        top = psutil.Process(pid)
        return [*top.children(recursive=True), top]
    except psutil.NoSuchProcess:
        return []


@contextmanager
def _deaf() -> Iterator[None]:
    """Ignore further signals: a second Ctrl-C must not leave children behind."""
    before = {each: signal.signal(each, signal.SIG_IGN) for each in _STOPPING}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _wait_until_ready(dagster: "subprocess.Popen[Any]", port: int, *, patience: float) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if dagster.poll() is not None:
            raise FlywheelError(
                f"Dagster ended with code {dagster.returncode} before its pages answered; "
                "its last lines say why"
            )
        if _answers(f"http://{HOST}:{port}/server_info"):
            return
        time.sleep(0.2)
    raise FlywheelError(f"Dagster's pages did not answer within {patience:.0f} s; stopped it")


def _answers(address: str) -> bool:
    # No proxy: the address is our own machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
