"""Drops: how many rows each stage left out, and why; so that nothing is silently lost."""

from collections.abc import Mapping
from typing import Final

import pyarrow as pa

DROPS: Final = pa.schema(
    [pa.field("stage", pa.string()), pa.field("reason", pa.string()), pa.field("rows", pa.int64())]
)


def drops_table(stage: str, counts: Mapping[str, int]) -> pa.Table:
    """Return the reasons of one *stage* with at least one row, sorted by reason."""
    kept = sorted((reason, int(rows)) for reason, rows in counts.items() if rows > 0)
    return pa.table(
        {
            "stage": pa.array([stage] * len(kept), pa.string()),
            "reason": pa.array([reason for reason, _ in kept], pa.string()),
            "rows": pa.array([rows for _, rows in kept], pa.int64()),
        },
        schema=DROPS,
    )


def drop_counts(drops: pa.Table) -> dict[str, int]:
    """Return rows by reason, stages added together."""
    counts: dict[str, int] = {}
    for row in drops.to_pylist():
        counts[row["reason"]] = counts.get(row["reason"], 0) + row["rows"]
    return counts


def add_drops(*drops: pa.Table) -> pa.Table:
    """Return one table with each reason of each stage once, rows added."""
    joined = pa.concat_tables(drops)
    added = joined.group_by(["stage", "reason"]).aggregate([("rows", "sum")])
    order = [("stage", "ascending"), ("reason", "ascending")]
    return added.rename_columns(DROPS.names).cast(DROPS).sort_by(order)


def join_drops(*drops: pa.Table) -> pa.Table:
    """Return one table of the reasons of several stages."""
    return pa.concat_tables(drops) if drops else DROPS.empty_table()
