"""Birth: a process told from every other that has or had its number."""

from pathlib import Path
from typing import Final

import psutil

_PROCESSES: Final = Path("/proc")
_BOOT: Final = _PROCESSES / "sys/kernel/random/boot_id"


def birth(number: int) -> str | None:
    """Return when the process was born, in words that no other process with its number shares.

    Clock ticks since this boot, and which boot: psutil's seconds since 1970 move with every step of
    the clock. None: there is no such process.

    Source:
        proc_pid_stat(5), field 22 "starttime"; proc_sys_kernel(5).
    """
    if not _BOOT.is_file():  # not Linux
        try:
            return str(psutil.Process(number).create_time())
        except psutil.NoSuchProcess:
            return None
    try:
        stat = (_PROCESSES / str(number) / "stat").read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The program's name, in brackets, may hold blanks and brackets; field 3 follows it.
    ticks = stat.rpartition(")")[2].split()[19]
    return f"{ticks} {_BOOT.read_text('ascii').strip()}"
