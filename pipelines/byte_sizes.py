"""Sizes as people write them."""

import re
from typing import Final

from data_contracts.errors import FlywheelError

_UNITS: Final = {"k": 1, "m": 2, "g": 3, "t": 4}


def read_bytes(text: str) -> int:
    """Return how many bytes *text* says: 512MB is 512 million, 2GiB is 2 times 1024 cubed.

    Raises:
        FlywheelError: it is no number with a unit.

    Example:
        >>> read_bytes("512MB"), read_bytes("1.5 KiB")
        (512000000, 1536)
    """
    said = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt])(i?)b\s*", text.casefold())
    if said is None:
        raise FlywheelError("a size is a number with KB, MB, GB, KiB or GiB; write it as 512MB")
    return int(float(said[1]) * (1024 if said[3] else 1000) ** _UNITS[said[2]])
