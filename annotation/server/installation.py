"""Installation: the pinned Label Studio in an environment of its own, made once."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from data_contracts.errors import FlywheelError

PINS: Final = Path(__file__).with_name("label-studio.txt")
PLACE: Final = "FLYWHEEL_LABEL_STUDIO_ENV"  # names another folder for the environment
DATABASE: Final = "empty-database"  # a folder with an empty database of this version
_WHOLE: Final = ".whole"  # written last: an environment without it is made again
_TAKEN: Final = re.compile(r"^(Collecting|Requirement already satisfied:) ")


def environment_folder() -> Path:
    """Return where the server's environment lies: beside our own, named by its pins.

    It survives `make clean`, and other pins get another folder. FLYWHEEL_LABEL_STUDIO_ENV
    names another place, for installations that nobody may write to.
    """
    named = os.environ.get(PLACE)
    if named:
        return Path(named).absolute()
    return Path(sys.prefix) / f"label-studio-{hashlib.sha256(PINS.read_bytes()).hexdigest()[:12]}"


def pinned() -> list[str]:
    """Return the pinned requirements of the server."""
    lines = PINS.read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def installed(environment: Path) -> bool:
    """Say whether the environment is whole and of these pins."""
    mark = environment / _WHOLE
    return mark.is_file() and mark.read_text("utf-8") == PINS.read_text("utf-8")


def install(environment: Path, *, advance: Callable[[int, int], None] | None = None) -> Path:
    """Make the server's environment unless it stands; return its Python.

    Two callers at once wait for each other, and what a killed one left is made again.

    Args:
        environment: its folder; it belongs to us whole.
        advance: told how many of how many packages were taken.

    Raises:
        FlywheelError: pip could not install; its last line is quoted.
    """
    python = environment / "bin" / "python"
    environment.parent.mkdir(parents=True, exist_ok=True)
    lock = environment.with_name(f".{environment.name}.lock")
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if installed(environment):
            return python
        if environment.exists():
            _check_ours(environment)
            shutil.rmtree(environment)
        made = subprocess.run(
            [sys.executable, "-m", "venv", environment], capture_output=True, check=False
        )
        if made.returncode:
            raise FlywheelError(
                "no virtual environment could be made for Label Studio; "
                "run 'apt-get install python3-venv' and try again"
            )
        _pip_install(python, advance or (lambda _done, _total: None))
        _make_database(python, environment / DATABASE)
        (environment / _WHOLE).write_text(PINS.read_text("utf-8"), "utf-8")
    return python


def _check_ours(environment: Path) -> None:
    """Refuse to clear a folder that holds anything but an environment."""
    if any(environment.iterdir()) and not (environment / "pyvenv.cfg").is_file():
        raise FlywheelError(
            f"{environment.name} holds something else than Label Studio's environment; "
            f"name an empty folder in {PLACE}"
        )


def _pip_install(python: Path, advance: Callable[[int, int], None]) -> None:
    packages = pinned()
    # Every package is pinned, so there is nothing to resolve: --no-deps spares minutes.
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input",
               "--no-deps", "--progress-bar", "off", "-r", str(PINS)]  # fmt: skip
    taken, last = 0, ""
    advance(0, len(packages))
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            last = line.strip() or last
            if _TAKEN.match(line):
                taken += 1
                advance(min(taken, len(packages) - 1), len(packages))
    if pip.returncode:
        raise FlywheelError(
            f"Label Studio could not be installed: {last[:200]}; "
            "check that the package index can be reached and run again"
        )
    advance(len(packages), len(packages))


def _make_database(python: Path, folder: Path) -> None:
    """Make an empty database once: its hundreds of migrations take minutes, a copy nothing."""
    folder.mkdir(parents=True)
    settings = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(folder),
        "LABEL_STUDIO_BASE_DATA_DIR": str(folder),
        "SECRET_KEY": "of nobody: no session is signed here",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "LABEL_STUDIO_COLLECT_ANALYTICS": "false",
        "LABEL_STUDIO_LATEST_VERSION_CHECK": "false",
        "PYTHONWARNINGS": "ignore",
    }
    [manage] = python.parents[1].glob("lib/python*/site-packages/label_studio/manage.py")
    done = subprocess.run(
        [python, manage, "migrate", "--no-input", "--verbosity", "0"],
        cwd=folder,
        env=settings,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise FlywheelError(
            f"Label Studio's empty database could not be made: {last[:200]}; "
            "free some disk space and run again"
        )
