"""Sampling: from a large click table, the exposures on which priors are tried and a fit begins.

What is learned of signals, places and most users stands after a million exposures; all the others
only have to be brought there. So a large fit begins where the fit of a sample ended.
"""

from typing import Final

import numpy as np

from pipelines.preferences.channels import Channel
from pipelines.preferences.click_table import ClickTable
from pipelines.preferences.kernel import FloatArray, IntArray, rows_of
from pipelines.signals.signal_table import BoolArray

MOST: Final = 1_000_000  # exposures of a sample; a table that has no more is its own


def sample(table: ClickTable | None, channels: tuple[Channel, ...]) -> ClickTable | None:
    """Return the exposures of some items of *table*, about MOST; *table* itself if it has no more.

    Items with answers or gold come first, as far as they fill half of it, for priors are tried on
    what people answered. Of the rest every n-th item is taken, in the order of ids.

    Returns:
        A table in memory with the items, users and keys of *table*, so that what is learned on it
        can be gone on with; items that were not drawn have no exposures.
    """
    if table is None or table.size <= MOST:
        return table
    seen = table.exposed
    covered = np.zeros(len(seen), dtype=bool)
    covered[np.unique(np.concatenate([channel.touched for channel in channels]))] = True
    first = _thinned(np.flatnonzero(covered), seen, MOST / 2)
    rest = _thinned(np.flatnonzero(~covered), seen, MOST - seen[first].sum())
    drawn = np.zeros(len(seen), dtype=bool)
    drawn[first] = drawn[rest] = True
    return _some(table, drawn)


def _thinned(items: IntArray, seen: FloatArray, room: float) -> IntArray:
    """Return every n-th of *items*, so that their exposures *seen* about fill *room*."""
    step = max(1, int(np.ceil(seen[items].sum() / room)))
    return items[::step]


def _some(table: ClickTable, drawn: BoolArray) -> ClickTable:
    """Return *table* in memory without the exposures of items that are not *drawn*."""
    columns: list[tuple[IntArray, ...]] = []
    for items, shown in table.parts():
        number = np.arange(len(drawn))[items]
        item = number[rows_of(shown)]
        mine = drawn[item]
        columns.append((item[mine], shown.user[mine], shown.key[mine], shown.weight[mine]))
    item, user, key, weight = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    order = np.argsort(item, kind="stable")
    shown = table.shown._replace(
        start=np.searchsorted(item[order], np.arange(len(drawn) + 1)).astype(np.int64),
        user=user[order],
        key=key[order],
        weight=weight[order],
    )
    trusted = np.bincount(shown.user, weights=shown.weight, minlength=len(table.users)) > 0
    return table.holding(shown, trusted.astype(np.float64))
