"""Partitions: exposures in shards of whole generations, counted apart and added up.

The E-step of a generation needs all of its exposures and nothing of any other generation. So
each shard gives partial counts, a pure function of the shard, of what is believed, and of what
else is known of its generations; counts of all shards add up to those of the whole. Who calls
the function does not matter: this process, other processes, or Spark's executors.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from data_contracts.errors import ContractError
from pipelines.preferences.kernel import (
    Beliefs,
    Counts,
    FloatArray,
    IntArray,
    Shown,
    add_counts,
    e_step,
)

MOST_PROCESSES: Final = 256


class Shard(NamedTuple):
    """Some items and all of their exposures."""

    items: IntArray  # numbers of its items, in the order of *shown*
    shown: Iterable[Shown]  # one after the other; can be gone through again and again


def checked_processes(processes: int) -> int:
    """Return *processes*.

    Raises:
        ContractError: fewer than 1 or more than MOST_PROCESSES.
    """
    if not 1 <= processes <= MOST_PROCESSES:
        raise ContractError(f"processes is {processes}; give 1 to {MOST_PROCESSES}")
    return processes


def split_shown(shown: Shown, count: int) -> tuple[Shard, ...]:
    """Split exposures between items into at most *count* shards of about equally many exposures.

    Fewer where one item has more than its share of exposures; always at least one.
    """
    items, size = len(shown.start) - 1, len(shown.user)
    wanted = size * np.arange(1, count) / count
    edges = np.unique(np.concatenate([[0], np.searchsorted(shown.start, wanted), [items]]))
    return tuple(_slice(shown, int(first), int(last)) for first, last in pairwise(edges))


def partial_counts(shown: Iterable[Shown], beliefs: Beliefs, log_prior: FloatArray) -> Counts:
    """Take the E-step over one shard.

    Args:
        shown: the shard's exposures, its items one after the other.
        beliefs: what is believed of all users and keys.
        log_prior: (i, c) everything else known of the shard's items, in their order.

    Returns:
        The posterior (i, c) of the shard's items, and counts to be added to other shards'.
    """
    posterior = np.empty(log_prior.shape)
    total: Counts | None = None
    at = 0
    for some in shown:
        inside = slice(at, at + len(some.start) - 1)
        found = e_step(some, beliefs, log_prior[inside])
        posterior[inside] = found.posterior
        total = found if total is None else add_counts(total, found)
        at = inside.stop
    assert total is not None
    return total._replace(posterior=posterior)


def merge_counts(shards: Sequence[Shard], counts: Iterable[Counts]) -> Counts:
    """Add up the partial counts of all shards in the order of the shards, as they come.

    A fixed order: sums of floating-point numbers depend on it in their last digits.
    """
    items = sum(len(shard.items) for shard in shards)
    posterior: FloatArray | None = None
    total: Counts | None = None
    for shard, found in zip(shards, counts, strict=True):
        if posterior is None:
            posterior = np.empty((items, found.posterior.shape[1]))
        posterior[shard.items] = found.posterior
        total = found if total is None else add_counts(total, found)
    assert total is not None
    assert posterior is not None
    return total._replace(posterior=posterior)


def count_in_shards(shards: Sequence[Shard], beliefs: Beliefs, log_prior: FloatArray) -> Counts:
    """Take the E-step shard by shard in this process; *log_prior* is (i, c) over all items."""

    def each() -> Iterator[Counts]:
        for shard in shards:
            yield partial_counts(shard.shown, beliefs, log_prior[shard.items])

    return merge_counts(shards, each())


def _slice(shown: Shown, first: int, last: int) -> Shard:
    begin, end = int(shown.start[first]), int(shown.start[last])
    part = shown._replace(
        start=shown.start[first : last + 1] - begin,
        user=shown.user[begin:end],
        key=shown.key[begin:end],
        weight=shown.weight[begin:end],
    )
    return Shard(np.arange(first, last, dtype=np.int64), (part,))
