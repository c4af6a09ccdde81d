"""Dagster starts on loopback only, and stops whole, however it was started."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import psutil
import pytest

from data_contracts.errors import FlywheelError
from pipelines import launcher
from pipelines.orchestrator import dagster_home
from pipelines.settings import WheelSettings, write_resolved

STAND_IN = """
import dagster as dg

@dg.asset
def one() -> None: ...

defs = dg.Definitions(assets=[one])
"""


def free_port():
    with socket.socket() as probe:
        probe.bind((launcher.HOST, 0))
        return probe.getsockname()[1]


def wait_for(condition, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"nothing within {seconds} s")


def everyone(pid):
    top = psutil.Process(pid)
    return [top, *top.children(recursive=True)]


def test_it_serves_on_loopback_and_ctrl_c_stops_it_even_in_the_background(tmp_path):
    """Shells start background jobs with SIGINT ignored; nohup adds SIGHUP."""
    write_resolved(WheelSettings(name="ours"), tmp_path / "wheel")
    (tmp_path / "stand_in_definitions.py").write_text(STAND_IN)
    port = free_port()
    command = [sys.executable, "-m", "pipelines.cli", "up", "--root", str(tmp_path / "wheel"),
               "--port", str(port), "--module", "stand_in_definitions"]  # fmt: skip
    up = subprocess.Popen(
        ["sh", "-c", 'trap "" INT HUP; exec "$@"', "sh", *command],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    try:
        assert f"at http://127.0.0.1:{port}" in up.stdout.readline()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info") as answer:
            assert "dagster_version" in json.load(answer)
        family = everyone(up.pid)
        assert len(family) > 2
        listening = {
            each.laddr.ip for process in family for each in process.net_connections("tcp")
            if each.status == psutil.CONN_LISTEN
        }  # fmt: skip
        assert listening <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
        with pytest.raises(FlywheelError, match=f"port {port} is taken"):
            launcher.check_port(port)
        up.send_signal(signal.SIGINT)
        assert up.wait(30) == 0
    finally:
        launcher.stop_tree(up, grace=1)
    wait_for(lambda: not any(each.is_running() for each in family), 5)
    settings = (tmp_path / "wheel" / "dagster" / "dagster.yaml").read_text()
    assert "telemetry:\n  enabled: false" in settings


PAGES = """
import subprocess, sys
from pathlib import Path
from pipelines import launcher
from pipelines.orchestrator import dagster_home

server = '''
import http.server, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal, time;"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGINT, signal.SIG_IGN);"
    "time.sleep(600)"])
class Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Pages).serve_forever()
'''
launcher.dagster_command = lambda module, port: [sys.executable, "-c", server, str(port)]
launcher.serve(Path(sys.argv[1]), port=int(sys.argv[2]), ready=lambda url: print(url, flush=True))
"""


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_every_child_even_a_deaf_one(tmp_path, told):
    serving = subprocess.Popen(
        [sys.executable, "-c", PAGES, str(tmp_path), str(free_port())],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert serving.stdout.readline().startswith("http://127.0.0.1:")
    family = wait_for(lambda: (f := everyone(serving.pid))[2:] and f, 10)
    serving.send_signal(told)
    assert serving.wait(30) == 0
    assert not any(each.is_running() and each.pid != serving.pid for each in family)


def test_pages_that_never_come_are_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(
        launcher, "dagster_command", lambda *_: [sys.executable, "-c", "raise SystemExit(3)"]
    )
    with pytest.raises(FlywheelError, match="ended with code 3 before its pages answered"):
        launcher.serve(tmp_path, port=free_port(), ready=print)


def test_a_configuration_that_a_person_wrote_is_kept(tmp_path):
    (tmp_path / "dagster").mkdir()
    (tmp_path / "dagster" / "dagster.yaml").write_text("# mine\n")
    assert dagster_home(tmp_path) == tmp_path / "dagster"
    assert (tmp_path / "dagster" / "dagster.yaml").read_text() == "# mine\n"
