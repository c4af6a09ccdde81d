"""The partitions: one a turn of the wheel, added as deliveries arrive."""

from typing import Final

import dagster as dg

TURNS: Final = dg.DynamicPartitionsDefinition(name="turn")


def turn_name(number: int) -> str:
    """Return the partition key of a turn of the wheel, counted from 1."""
    return f"turn-{number:03d}"
