"""What every command shares: help with an example, speed, silence, and plain answers to errors."""

import os
import subprocess
import sys

import pytest
import typer
from deliveries import assert_one_sentence

from pipelines import cli

COMMANDS = sorted(typer.main.get_command(cli.build_app()).commands)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_an_example(flywheel, command):
    answer = flywheel(command, "--help")
    assert answer.code == 0
    assert f"Example: flywheel {command}" in answer.out


def test_help_lists_every_command(flywheel):
    assert [c for c in COMMANDS if c not in flywheel("--help").out] == []


def test_help_costs_nothing():
    """Nothing heavy is imported before a command runs."""
    code = (
        "import sys; from pipelines.cli import run; run(['--help']); "
        "heavy = {'torch', 'dagster', 'pyarrow', 'duckdb', 'pandas', 'transformers'}; "
        "sys.exit(repr(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    before = cpu_seconds_of_children()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert cpu_seconds_of_children() - before < 1.0


def test_telemetry_is_off_before_anything_is_imported():
    code = (
        "import os; from pipelines.cli import run; run(['--help']); "
        "print(*(os.environ[n] for n in ('HF_HUB_OFFLINE', 'DO_NOT_TRACK', "
        "'GX_ANALYTICS_ENABLED', 'HF_HUB_DISABLE_TELEMETRY', 'OMP_NUM_THREADS')))"
    )
    bare = {name: value for name, value in os.environ.items() if name not in cli.SURROUNDINGS}
    bare.pop("OMP_NUM_THREADS", None)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=bare
    )
    assert done.stdout.splitlines()[-1] == "1 1 false 1 1"


@pytest.mark.parametrize("words", [["applaud"], ["ingest"], ["ingest", "x", "--colour", "red"]])
def test_a_mistyped_command_is_one_sentence(flywheel, words):
    answer = flywheel(*words)
    assert answer.code == cli.MISTAKE
    assert_one_sentence(answer)
    assert "--help" in answer.err


def cpu_seconds_of_children():
    """CPU time, for the clock on the wall also counts what else the machine does."""
    spent = os.times()
    return spent.children_user + spent.children_system


def broken(error):
    def build():
        def app(**_):
            raise error

        return app

    return build


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (KeyboardInterrupt(), 130, ""),
        (OSError(28, "No space left on device"), cli.FAILED, "the disk is full"),
        (PermissionError(13, "Permission denied", "here"), cli.MISTAKE, "here: permission denied"),
        (ModuleNotFoundError("no", name="torch"), cli.FAILED, "package torch is missing"),
        (ValueError("a prompt somebody wrote"), cli.FAILED, "ValueError"),
    ],
)
def test_whatever_goes_wrong_is_one_sentence(flywheel, monkeypatch, error, code, says):
    monkeypatch.setattr(cli, "build_app", broken(error))
    answer = flywheel("demo")
    assert answer.code == code
    assert says in answer.err
    assert "Traceback" not in answer.err
    assert "somebody wrote" not in answer.err


def test_the_traceback_is_there_for_who_asks(flywheel, monkeypatch):
    monkeypatch.setattr(cli, "build_app", broken(ValueError("inside")))
    monkeypatch.setenv(cli.TRACEBACK, "1")
    with pytest.raises(ValueError, match="inside"):
        flywheel("demo")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_one_sentence(flywheel, tmp_path):
    file = tmp_path / "e.jsonl"
    file.write_text("{}")
    file.chmod(0)
    assert_one_sentence(flywheel("ingest", file, "--root", tmp_path / "zone"))
