"""Waking: the door sees every answer pass, so nobody waits for the next poll.

It says only that something was answered; polling decides what. A wake that is lost, late or
doubled costs time at most: the sensor looks at intervals all the same.
"""

from pathlib import Path
from typing import Final

_MARK: Final = ".answered"


def wake(root: Path) -> None:
    """Say that something was answered on the server of the zone under *root*."""
    folder = root / "labelling"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / _MARK).touch()


def woken_at(root: Path) -> float:
    """Return when something was last answered, in seconds since 1970; 0: never that we know."""
    try:
        return (root / "labelling" / _MARK).stat().st_mtime
    except FileNotFoundError:
        return 0.0
