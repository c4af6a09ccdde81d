"""How much one intake may bring in: caps that stop a hostile or mistaken file early."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeLimits:
    """Caps on what is read at once; a larger delivery is split by its sender."""

    file_bytes: int = 2 << 30  # of each file; of Parquet also in memory
    rows: int = 5_000_000  # of the whole delivery
    row_bytes: int = 1 << 20  # of one line of JSON


DEFAULT_LIMITS: Final = IntakeLimits()
