"""Installation: who waits sees what happens, uv is used where it is, nothing half is kept."""

import sqlite3
import sys

import pytest

from annotation.server import environment_folder, installation
from annotation.server.installation import DATABASE, installed, watched
from data_contracts.errors import FlywheelError

PYTHON = """#!/bin/sh
case "$*" in
  *pip*) mkdir -p "{site}/a-1.dist-info" "{site}/b-2.dist-info"
         echo "Collecting a==1"; echo "Collecting b==2"; sleep 0.3; exit {pip} ;;
  *migrate*) for n in 1 2 3; do echo "  Applying x.$n... OK"; sleep 0.1; done; exit {migrate} ;;
esac
"""
UV = """#!/bin/sh
echo "no such package"
mkdir -p "{site}/a-1.dist-info"
exit {uv}
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An environment with a Python that only pretends, two pins, and perhaps a uv beside it."""
    environment = tmp_path / "server"
    site = environment / "lib" / "python3.11" / "site-packages"
    pins, tools = tmp_path / "pins.txt", tmp_path / "tools"
    pins.write_text("# two\na==1\nb==2\n")
    tools.mkdir()

    def made(*, pip=0, migrate=0, uv=None):
        def venv(command, **_):
            (environment / "bin").mkdir(parents=True)
            (site / "label_studio").mkdir(parents=True)
            (site / "label_studio" / "manage.py").touch()
            written = {environment / "bin" / "python": PYTHON} | (
                {tools / "uv": UV} if uv is not None else {}
            )
            for file, script in written.items():
                file.write_text(script.format(site=site, pip=pip, migrate=migrate, uv=uv))
                file.chmod(0o755)
            return type("Done", (), {"returncode": 0})

        monkeypatch.setattr(installation.subprocess, "run", venv)
        monkeypatch.setattr(installation, "PINS", pins)
        monkeypatch.setattr(installation, "_LOOK_S", 0.02)
        monkeypatch.setattr(installation, "_MIGRATIONS", 3)
        monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
        return environment

    return made


@pytest.fixture
def shown():
    """Bars that remember every step, by title."""
    steps = {}

    def bar(title):
        return lambda done, total: steps.setdefault(title, []).append((done, total))

    return bar, steps


def test_bars_move_while_packages_are_taken_and_unpacked_and_end_full(place, shown):
    bar, steps = shown
    environment = place()
    assert installation.install(environment, bars=bar) == environment / "bin" / "python"
    packages, database = steps.values()
    assert packages[-1] == (4, 4), "two packages, taken and unpacked"
    assert database[-1] == (3, 3)
    assert len(set(database)) > 2, "it moves"
    assert all(done < total for done, total in packages[:-1] + database[:-1])
    assert installed(environment)


def test_uv_takes_the_packages_where_it_is_there(place, shown):
    bar, steps = shown
    environment = place(uv=0, pip=1)
    installation.install(environment, bars=bar)
    assert next(iter(steps.values()))[-1] == (2, 2)


def test_pip_goes_on_where_uv_cannot(place):
    environment = place(uv=2)
    installation.install(environment)
    assert installed(environment)


@pytest.mark.parametrize(
    ("fails", "says"), [({"pip": 1}, "Collecting b==2"), ({"migrate": 1}, r"Applying x\.3")]
)
def test_what_failed_is_one_sentence_and_nothing_half_is_kept(place, fails, says):
    environment = place(**fails)
    with pytest.raises(FlywheelError, match=says) as refused:
        installation.install(environment)
    assert "\n" not in str(refused.value)
    assert not installed(environment)


def test_what_a_command_says_is_seen_while_it_runs(tmp_path):
    said = []
    script = "import time; print('one', flush=True); time.sleep(1.5); print('two')"
    assert watched([sys.executable, "-c", script], tmp_path / "log", said.append) == 0
    assert b"one\n" in said
    assert not any(b"two" in each for each in said), "the end is in the log"


@pytest.mark.slow  # needs the real installation, made once: minutes
def test_the_bar_of_the_database_counts_the_pinned_versions_migrations():
    if not installed(environment_folder()):
        pytest.skip("Label Studio is not installed here")
    [file] = (environment_folder() / DATABASE).glob("*.sqlite3")
    with sqlite3.connect(file) as database:
        [(count,)] = database.execute("select count(*) from django_migrations")
    assert count == installation._MIGRATIONS
