"""The keeper runs one server and ends it when whoever started it is gone.

A file of the standard library alone, run by a bare interpreter, so that it costs little. Its
standard input is a pipe that only the starter holds open: the pipe ends when the starter ends,
however that happens, and the server with it. The word *stay* in the pipe lets the server outlive
the starter; the keeper then only waits for its end.

    python -I -S keeper.py GRACE_S COMMAND...

It prints the server's process id. What the server says goes to standard error.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys


def main() -> int:
    """Run the server; return its exit code."""
    grace, *command = sys.argv[1:]
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # its number arrives at *woken*
    # A session of its own: one signal reaches the server and whatever it starts.
    server = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True
    )
    print(server.pid, flush=True)  # noqa: T201
    watched = [0, woken]
    while server.poll() is None:
        ready, _, _ = select.select(watched, [], [])
        told = os.read(woken, 1024) if woken in ready else b""
        said = os.read(0, 1024) if 0 in ready else None
        if said == b"" or signal.SIGTERM in told or signal.SIGINT in told:
            _end(server, float(grace))
        elif said:
            watched = [woken]
    return server.returncode


def _end(server: subprocess.Popen[bytes], grace: float) -> None:
    """Ask the server and its children to end, then make them."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(grace)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


if __name__ == "__main__":
    sys.exit(main())
