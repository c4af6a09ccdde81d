"""A server ends with whoever started it, however that ends, unless it was let go."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest

from annotation.server import launch, server_status, stop
from annotation.server.tether import start_tethered, untie
from data_contracts.errors import FlywheelError
from pipelines.labelling.service import free_port

# A server that answers at /health, and has a child as Label Studio may have.
SERVER = """
import http.server, subprocess, sys, time
time.sleep(float(sys.argv[2]))
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Healthy).serve_forever()
"""
STARTER = """
import os, sys, time
from pathlib import Path
from annotation.server import launch, outlive_us
folder, port, delay, then = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
launch(folder, [sys.executable, str(folder / "server.py"), port, delay], os.environ,
       name="server", url=f"http://127.0.0.1:{port}")
if then == "let go":
    outlive_us(folder, ["server"])
print("up", flush=True)
time.sleep(0 if then == "end" else 600)
"""


class Started:
    """A process that started the server of *folder*."""

    def __init__(self, folder, *, then, delay=0.0):
        self.folder = folder
        (folder / "server.py").write_text(SERVER)
        self.process = subprocess.Popen(
            [sys.executable, "-c", STARTER, folder, str(free_port()), str(delay), then],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        if delay:
            wait_for(lambda: server_status(folder).state == "starting")
        else:
            assert self.process.stdout.readline() == "up\n"
        self.server = psutil.Process(server_status(folder).pid)
        if not delay:
            wait_for(self.server.children)
        keeper = self.server.parent()
        self.everyone = [keeper, self.server, *self.server.children()]

    def kill(self):
        """Kill the starter without notice."""
        self.process.kill()
        self.process.wait()

    def left(self, within=10.0):
        """Return who still runs after some seconds."""
        _, left = psutil.wait_procs(self.everyone, timeout=within)
        return [each for each in left if each.status() != psutil.STATUS_ZOMBIE]

    def clear(self):
        """End what a failed test left."""
        self.process.kill()
        self.process.communicate()
        for each in self.everyone[1:]:
            if each.is_running():
                each.kill()


@pytest.fixture
def started(tmp_path):
    made = []

    def start(**how):
        made.append(Started(tmp_path, **how))
        return made[-1]

    yield start
    for each in made:
        each.clear()


def wait_for(condition, within=20.0):
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.05)


def test_it_ends_with_a_starter_that_is_killed_without_notice(started):
    here = started(then="stay")
    here.kill()
    assert here.left() == []
    assert server_status(here.folder).state == "down"


def test_it_ends_with_a_starter_that_is_killed_before_it_answers(started):
    here = started(then="stay", delay=600.0)
    here.kill()
    assert here.left() == []


def test_it_ends_with_a_starter_that_ends_by_itself(started):
    here = started(then="end")
    assert here.process.wait() == 0
    assert here.left() == []


def test_what_was_let_go_outlives_its_starter_and_is_stopped_by_others(started):
    here = started(then="let go")
    here.kill()
    assert set(here.left(within=2.0)) == set(here.everyone)
    assert server_status(here.folder).state == "up"
    assert stop(here.folder)
    assert here.left() == []


def test_a_step_of_the_clock_loses_no_server(started, monkeypatch):
    here = started(then="let go")
    boot = psutil.boot_time()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: boot + 60)
    assert server_status(here.folder).pid == here.server.pid
    assert stop(here.folder)
    assert here.left() == []


def test_a_signal_to_the_keeper_ends_the_server(started):
    here = started(then="let go")
    here.everyone[0].send_signal(signal.SIGTERM)
    assert here.left() == []


def test_who_does_not_end_when_asked_is_made_to(tmp_path):
    stubborn = textwrap.dedent("""
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print(1, flush=True)
        time.sleep(600)
    """)
    with (tmp_path / "log").open("w+b") as log:
        pid = start_tethered([sys.executable, "-c", stubborn], folder=tmp_path,
                             settings=os.environ, log=log, grace=0.5)  # fmt: skip
        wait_for(lambda: (tmp_path / "log").read_text() == "1\n")
    server = psutil.Process(pid)
    begin = time.monotonic()
    untie(pid)  # closes the tether, as our end would
    assert not server.is_running()
    assert time.monotonic() - begin >= 0.5


def test_a_server_that_ends_at_once_is_an_error_of_one_sentence(tmp_path):
    for command in ([sys.executable, "-c", "print(1/0)"], ["/nowhere/at/all"]):
        with pytest.raises(
            FlywheelError, match=r"ended before it answered; .*log says why"
        ) as said:
            launch(tmp_path, command, os.environ, name="server", url="http://127.0.0.1:1")
        assert "\n" not in str(said.value)
        assert server_status(tmp_path).state == "down"
