"""Installation: the pinned Label Studio in an environment of its own, made once."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from data_contracts.errors import FlywheelError

PINS: Final = Path(__file__).with_name("label-studio.txt")
PLACE: Final = "FLYWHEEL_LABEL_STUDIO_ENV"  # names another folder for the environment
DATABASE: Final = "empty-database"  # a folder with an empty database of this version
_WHOLE: Final = ".whole"  # written last: an environment without it is made again
_TAKEN: Final = re.compile(rb"^(Collecting|Requirement already satisfied:) ", re.MULTILINE)
_APPLIED: Final = re.compile(rb"^  Applying ", re.MULTILINE)
_MIGRATIONS: Final = 396  # of the pinned version
_LOOK_S: Final = 0.5  # between two looks at how far a step is
Advance = Callable[[int, int], None]


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


def install(environment: Path, *, bars: Callable[[str], Advance] | None = None) -> Path:
    """Make the server's environment unless it stands; return its Python.

    Two callers at once wait for each other, and what a killed one left is made again. Where uv is
    at hand it takes the packages, some five times as fast as pip, which is asked otherwise.

    Args:
        environment: its folder; it belongs to us whole.
        bars: draws one bar by its title: of packages, taken and unpacked; of the database.

    Raises:
        FlywheelError: nothing could install; the last line is quoted.
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
        bar = bars or (lambda _title: lambda _done, _total: None)
        _take_packages(python, bar("install Label Studio, minutes"))
        _make_database(python, environment / DATABASE, bar("its database, about a minute"))
        (environment / _WHOLE).write_text(PINS.read_text("utf-8"), "utf-8")
    return python


def _check_ours(environment: Path) -> None:
    """Refuse to clear a folder that holds anything but an environment."""
    if any(environment.iterdir()) and not (environment / "pyvenv.cfg").is_file():
        raise FlywheelError(
            f"{environment.name} holds something else than Label Studio's environment; "
            f"name an empty folder in {PLACE}"
        )


def _take_packages(python: Path, advance: Advance) -> None:
    """Install what is pinned, by uv if it is there and can, else by pip."""
    total = len(pinned())
    log = python.parents[1] / "install.log"

    def unpacked() -> int:
        return sum(1 for _ in python.parents[1].glob("lib/python*/site-packages/*.dist-info"))

    # Every package is pinned, so there is nothing to resolve: --no-deps spares minutes. What is
    # not compiled here is compiled when it is first imported, and most of it never is.
    uv = shutil.which("uv")
    if uv is not None:
        command = [uv, "pip", "install", "--python", str(python), "--no-deps", "-r", str(PINS)]
        if not watched(command, log, lambda _said: advance(min(unpacked(), total - 1), total)):
            advance(total, total)
            return
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input",
               "--no-deps", "--no-compile", "--progress-bar", "off", "-r", str(PINS)]  # fmt: skip

    def tell(said: bytes) -> None:
        taken = min(len(_TAKEN.findall(said)), total)
        advance(min(taken + unpacked(), 2 * total - 1), 2 * total)

    if watched(command, log, tell):
        raise FlywheelError(
            f"Label Studio could not be installed: {_last_line(log)}; "
            "check that the package index can be reached and run again"
        )
    advance(2 * total, 2 * total)


def watched(
    command: Sequence[str | Path],
    log: Path,
    tell: Callable[[bytes], None],
    *,
    settings: Mapping[str, str] | None = None,
) -> int:
    """Run *command* to its end; return its exit code.

    Args:
        command: a program and its arguments.
        log: takes what it says.
        tell: is given what it said so far, twice a second.
        settings: its whole environment; None: ours.
    """
    with log.open("wb") as said, subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
        cwd=log.parent, env=None if settings is None else dict(settings),
    ) as running:  # fmt: skip
        while running.poll() is None:
            tell(log.read_bytes())
            time.sleep(_LOOK_S)
    return running.returncode


def _last_line(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return lines[-1].strip()[:200] if lines else "it said nothing"


def _make_database(python: Path, folder: Path, advance: Advance) -> None:
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
    log = folder / "migrate.log"

    def tell(said: bytes) -> None:
        advance(min(len(_APPLIED.findall(said)), _MIGRATIONS - 1), _MIGRATIONS)

    if watched([python, "-u", manage, "migrate", "--no-input"], log, tell, settings=settings):
        raise FlywheelError(
            f"Label Studio's empty database could not be made: {_last_line(log)}; "
            "free some disk space and run again"
        )
    advance(_MIGRATIONS, _MIGRATIONS)
