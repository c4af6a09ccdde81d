"""Tethers: a server ends with the process that started it, even by SIGKILL, until it is let go.

A parent's death signal would be simpler, but it follows the thread that started the server, and
threads end early. So each server has a keeper, which watches a pipe that we hold open.
"""

import contextlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

GRACE_S: Final = 10.0  # between asking a server to end and making it
_KEEPER: Final = Path(__file__).with_name("keeper.py")
# By the server's process id. Only the end of this process, or `let_go`, may close these pipes.
_HELD: dict[int, subprocess.Popen[str]] = {}


def start_tethered(
    command: Sequence[str],
    *,
    folder: Path,
    settings: Mapping[str, str],
    log: IO[bytes],
    grace: float = GRACE_S,
) -> int | None:
    """Start a server that ends when this process does; return its id, None if it never began.

    A process that was forked from ours without a program of its own holds the tether too.

    Args:
        command: of the server.
        folder: where it runs.
        settings: its whole environment.
        log: takes what it says.
        grace: seconds between asking it to end and making it.
    """
    keeper = subprocess.Popen(
        [sys.executable, "-I", "-S", str(_KEEPER), str(grace), *command],
        cwd=folder,
        env=dict(settings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,  # what ends our process group must not end the keeper
    )
    assert keeper.stdout is not None
    with keeper.stdout as told:
        said = told.readline().strip()
    if not said:
        keeper.wait()
        return None
    _HELD[int(said)] = keeper
    return int(said)


def let_go(server: int) -> None:
    """Let the server of this process id outlive us; one that is not tethered to us is no matter."""
    keeper = _HELD.pop(server, None)
    if keeper is not None and keeper.stdin is not None:
        with contextlib.suppress(BrokenPipeError), keeper.stdin as pipe:
            pipe.write("stay\n")


def untie(server: int) -> None:
    """Forget a server that was stopped, and wait for its keeper."""
    keeper = _HELD.pop(server, None)
    if keeper is not None:
        keeper.communicate()
