"""Exposures as arrays: sorted by generation, with a small table of distinct patterns and slots."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.preferences.kernel import (
    Beliefs,
    Counts,
    FloatArray,
    IntArray,
    Shown,
    add_counts,
    e_step,
    rows_of,
)
from pipelines.preferences.partitions import Shard, split_shown
from pipelines.signals.signal_table import SIGNALS, pattern_bits
from pipelines.signals.tenant_users import number_users

SLOTS = 8  # positions beyond the eighth share the last slot
UNKNOWN_EXAMINED = 0.8  # where no position was logged


class KeyColumns(TypedDict):
    """What a click table says of its keys and slots."""

    bits: FloatArray
    slot: IntArray
    slot_names: tuple[str, ...]
    slot_prior: FloatArray
    slot_fixed: FloatArray


class Part(NamedTuple):
    """Some items and all of their exposures, numbered within the part."""

    items: IntArray | slice
    shown: Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickTable:
    """Exposures for the kernel, and what their keys stand for.

    Whoever counts over exposures takes `parts`, so that they need not lie in memory together.
    """

    shown: Shown
    bits: FloatArray  # (k, s)
    slot: IntArray  # (k,)
    slot_names: tuple[str, ...]
    slot_prior: FloatArray  # (slots,) designed chance of being looked at
    slot_fixed: FloatArray  # (slots,) 1 where that chance is an anchor
    users: tuple[str, ...]  # user_id of each
    tenants: tuple[str, ...]  # tenant_id of each
    trusted: FloatArray  # (u,) 1 where some exposure of the user is evidence
    counted_by: Callable[[Beliefs, FloatArray], Counts] | None = None  # None: by this process

    def parts(self) -> Iterator[Part]:
        """Give every item once, in one part or in several."""
        yield Part(slice(None), self.shown)

    def holding(self, shown: Shown, trusted: FloatArray) -> "ClickTable":
        """Return a table in memory of other exposures by the same users, under the same keys."""
        return ClickTable(
            shown=shown, bits=self.bits, slot=self.slot, slot_names=self.slot_names,
            slot_prior=self.slot_prior, slot_fixed=self.slot_fixed, users=self.users,
            tenants=self.tenants, trusted=trusted,
        )  # fmt: skip

    def shards(self, count: int) -> tuple[Shard, ...]:
        """Split the exposures into at most *count* shards, which other processes may hold."""
        return split_shown(self.shown, count)

    @property
    def size(self) -> int:
        """How many exposures there are."""
        return len(self.shown.user)

    @property
    def key_counts(self) -> IntArray:
        """(k,) exposures by key, whatever their weight."""
        return np.bincount(self.shown.key, minlength=len(self.bits))

    def count(self, beliefs: Beliefs, log_prior: FloatArray) -> Counts:
        """Take the E-step part by part, or in shards; *log_prior* is (i, c) over all items."""
        if self.counted_by is not None:
            return self.counted_by(beliefs, log_prior)
        posterior = np.empty(log_prior.shape)
        total: Counts | None = None
        for items, shown in self.parts():
            found = e_step(shown, beliefs, log_prior[items])
            posterior[items] = found.posterior
            total = found if total is None else add_counts(total, found)
        assert total is not None
        return total._replace(posterior=posterior)

    @property
    def item(self) -> IntArray:
        """(e,) the item of each exposure."""
        return rows_of(self.shown)

    @property
    def exposed(self) -> FloatArray:
        """(i,) exposures by item, as far as they are evidence."""
        items = len(self.shown.start) - 1
        count = np.bincount(self.item, weights=self.shown.weight, minlength=items)
        return count.astype(np.float64)


def click_table(exposures: pa.Table, item_ids: pa.Array, *, first_examined: float) -> ClickTable:
    """Encode exposures of known items; row order does not matter.

    Those of weight 0 and of held-out users weigh nothing: only their users' intents are inferred.
    """
    item = pc.index_in(exposures["generation_id"], value_set=item_ids).to_numpy()
    users, user = number_users(exposures["user_id"], exposures["tenant_id"])
    named = users.table()
    surfaces = sorted(set(pc.unique(exposures["surface"]).to_pylist()))
    surface = pc.index_in(exposures["surface"], value_set=pa.array(surfaces, pa.string()))
    raw_slot = surface.to_numpy().astype(np.int64) * (SLOTS + 1) + places(exposures)
    keys, key = number_keys(exposures["pattern"].to_numpy().astype(np.int64), raw_slot)
    weight = np.where(
        exposures["heldout"].to_numpy(), 0.0, exposures["weight"].to_numpy().astype(np.float64)
    )
    order = np.lexsort((key, user, item))
    start = np.searchsorted(item[order], np.arange(len(item_ids) + 1)).astype(np.int64)
    return ClickTable(
        shown=keys.shown(start, user[order], key[order], weight[order]),
        users=tuple(named["user_id"].to_pylist()),
        tenants=tuple(named["tenant_id"].to_pylist()),
        trusted=(np.bincount(user, weights=weight, minlength=len(users)) > 0).astype(np.float64),
        **keys.columns(surfaces, first_examined=first_examined),
    )


class Keys(NamedTuple):
    """Distinct (pattern, slot), in order of pattern, then of slot."""

    bits: FloatArray  # (k, s)
    slot: IntArray  # (k,) index of slots
    slots: IntArray  # surface * (SLOTS + 1) + place

    def shown(self, start: IntArray, user: IntArray, key: IntArray, weight: FloatArray) -> Shown:
        """Return exposures, sorted by item, for the kernel."""
        rows, given = np.nonzero(self.bits)
        return Shown(
            start=start,
            user=user,
            key=key.astype(np.int64),
            weight=weight,
            signal_start=np.searchsorted(rows, np.arange(len(self.bits) + 1)).astype(np.int64),
            signal=given.astype(np.int64),
        )

    def columns(self, surfaces: Sequence[str], *, first_examined: float) -> KeyColumns:
        """Return what a click table says of its keys and slots."""
        at = self.slots % (SLOTS + 1)
        designed = first_examined * 0.85 ** np.minimum(at, SLOTS - 1)
        return KeyColumns(
            bits=self.bits,
            slot=self.slot,
            slot_names=tuple(
                f"{surfaces[s // (SLOTS + 1)]}:{'unknown' if p == SLOTS else p}"
                for s, p in zip(self.slots, at, strict=True)
            ),
            slot_prior=np.where(at == SLOTS, UNKNOWN_EXAMINED, designed),
            slot_fixed=(at == 0).astype(np.float64),
        )


def number_keys(pattern: IntArray, raw_slot: IntArray) -> tuple[Keys, IntArray]:
    """Number the distinct pairs of pattern and slot; the second value is each row's number."""
    slots, slot = np.unique(raw_slot, return_inverse=True)
    patterns, of_pattern = np.unique(pattern, return_inverse=True)
    codes, key = np.unique(of_pattern * len(slots) + slot, return_inverse=True)
    bits = pattern_bits(patterns)[codes // len(slots)].reshape(len(codes), len(SIGNALS))
    return Keys(bits, codes % len(slots), slots), key


def places(exposures: pa.Table) -> IntArray:
    """Return (e,) each position, the last place for all beyond it, SLOTS where none was logged."""
    position = pc.fill_null(exposures["position"], -1).to_numpy()
    place: IntArray = np.where(position < 0, SLOTS, np.minimum(position, SLOTS - 1)).astype(
        np.int64
    )
    return place
