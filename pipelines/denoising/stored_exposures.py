"""Stored exposures: events of any number joined part by part on disk, each part in little memory.

Events are parted by their ids, so that copies meet, then by the prompts of their generations, so
that what follows for a prompt needs one part. Memory grows with users and generations only.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import feather

from pipelines.denoising.bins import Bins, MemoryPlan, give_back
from pipelines.denoising.parting import Parting, part_by_event, part_prompts
from pipelines.denoising.reading import EVENTS, Batches
from pipelines.preferences.click_table import SLOTS, places
from pipelines.preferences.kernel import IntArray
from pipelines.signals.adversaries import act_too_often
from pipelines.signals.exposures import ExposureSettings, join_sent, number_uses
from pipelines.signals.heldout import heldout_rows
from pipelines.signals.signal_patterns import praised
from pipelines.signals.signal_table import BoolArray, FloatArray, has_signal

SLOT_CODES: Final = SLOTS + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPart:
    """Exposures of the generations of some prompts."""

    items: IntArray  # ascending; which generations, whether exposed or not
    codes: Path  # arrays by exposure: item, user, pattern, slot
    events: Path | None  # generation_id and event_ids, in the same order; None: not kept
    exposures: int

    def read(self) -> dict[str, IntArray]:
        """Return the arrays as int64."""
        with np.load(self.codes) as stored:
            return {name: stored[name].astype(np.int64) for name in stored.files}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredExposures:
    """Exposures on disk, and what is counted of them.

    Axes: u users with events, in their order.
    """

    parts: tuple[StoredPart, ...]
    parting: Parting
    shown: FloatArray  # (u,) exposures
    acted: FloatArray  # (u,) praised exposures
    believed: BoolArray  # (u,) neither a bot nor held out
    bots: BoolArray  # (u,)
    heldout: BoolArray  # (u,)
    given: FloatArray  # (u, r) praised exposures by model release
    seen: FloatArray  # (u, r)
    counts: dict[str, int]  # drops of events by reason


def store_exposures(
    events: Batches,
    generations: pa.Table,
    *,
    folder: Path,
    plan: MemoryPlan,
    settings: ExposureSettings,
    keep_events: bool,
) -> StoredExposures:
    """Join events to exposures in *folder*, with the same result as `exposures`.

    Args:
        events: from `read_batches` or `table_batches`.
        generations: generation contract.
        folder: where parts may lie; the caller removes it.
        plan: how much is held at once.
        settings: shares and thresholds.
        keep_events: keep event ids, which pairs point back to.

    Raises:
        ContractError: an event breaks its contract.
    """
    by_event, parting = part_by_event(events, generations, folder=folder / "events", plan=plan)
    bins = Bins(folder / "parts", parting.parts)
    for number in range(by_event.count):
        rows = by_event.take(number)
        if rows is not None:
            sent = number_uses(rows)
            bins.add(sent, part_prompts(sent, parting))
    bins.close()
    counter = _Counter(parting, generations, settings)
    kept = folder / "exposures"
    kept.mkdir()
    parts = []
    for number in range(parting.parts):
        sent = bins.take(number)
        items = np.flatnonzero(parting.part == number)
        if sent is None:
            sent = number_uses(EVENTS.schema.empty_table())
        known = parting.generations.take(pa.array(items))
        joined, counts = join_sent(sent, known, keep_events=keep_events)
        parts.append(counter.add(joined, counts, items, kept / f"{number:04d}", keep_events))
        del sent, joined
        give_back()
    return counter.finish(tuple(part for part in parts if len(part.items)))


class _Counter:
    """Adds up what is asked of users while their exposures pass by."""

    def __init__(self, parting: Parting, generations: pa.Table, settings: ExposureSettings) -> None:
        self._parting, self._settings = parting, settings
        users = len(parting.users)
        first = pc.index_in(parting.ids, generations["generation_id"].combine_chunks())
        self._release: IntArray | None = None
        self._releases = 0
        if "model_release" in generations.column_names:
            named = generations["model_release"].combine_chunks()
            coded = named.dictionary_encode(null_encoding="encode")
            self._release = coded.indices.to_numpy().astype(np.int64)[first.to_numpy()]
            self._releases = len(coded.dictionary)
        sides = self._releases if self._releases > 1 else 0
        self._given, self._seen = np.zeros((users, sides)), np.zeros((users, sides))
        self._signals = [np.zeros(users) for _ in settings.bot_signals]
        self._shown, self._events = np.zeros(users), np.zeros(users)
        self._acted = np.zeros(users)
        self._counts: dict[str, int] = {}

    def add(
        self, joined: pa.Table, counts: dict[str, int], items: IntArray, path: Path, keep: bool
    ) -> StoredPart:
        """Count one part and write it."""
        parting = self._parting
        user = parting.users.places(joined["user_id"], joined["tenant_id"])
        item = _index(joined["generation_id"], parting.ids)
        acted = praised(joined)
        slot = _index(joined["surface"], parting.surfaces) * SLOT_CODES + places(joined)
        for reason, rows in counts.items():
            self._counts[reason] = self._counts.get(reason, 0) + rows
        self._shown += self._by_user(user)
        self._acted += self._by_user(user, acted)
        self._events += self._by_user(user, joined["events"].to_numpy())
        for n, name in enumerate(self._settings.bot_signals):
            self._signals[n] += self._by_user(user, has_signal(joined, name))
        if self._release is not None and self._given.size:
            cell, size = user * self._releases + self._release[item], self._given.size
            shape = self._given.shape
            self._given += np.bincount(cell, weights=acted, minlength=size).reshape(shape)
            self._seen += np.bincount(cell, minlength=size).reshape(shape)
        pattern = joined["pattern"].to_numpy()
        codes = {"item": item, "user": user, "pattern": pattern, "slot": slot}
        small = {name: array.astype(np.int32) for name, array in codes.items()}
        np.savez(path.with_suffix(".npz"), **small)
        if keep:
            kept = joined.select(["generation_id", "event_ids"])
            feather.write_feather(kept, str(path.with_suffix(".arrow")), compression="lz4")
        return StoredPart(
            items=items,
            codes=path.with_suffix(".npz"),
            events=path.with_suffix(".arrow") if keep else None,
            exposures=joined.num_rows,
        )

    def finish(self, parts: tuple[StoredPart, ...]) -> StoredExposures:
        """Say who is a bot or held out."""
        settings = self._settings
        bots = act_too_often(self._signals, self._shown, share=settings.bot_share)
        heldout: BoolArray = np.zeros(len(bots), dtype=bool)
        if settings.heldout_users > 0:
            names = self._parting.users.table()["user_id"]
            heldout = heldout_rows(names, share=settings.heldout_users) & ~bots & (self._shown > 0)
        counts = self._counts | {
            "bot": int(self._events[bots].sum()),
            "heldout_user": int(self._events[heldout].sum()),
        }
        return StoredExposures(
            parts=parts, parting=self._parting, shown=self._shown, acted=self._acted,
            believed=(self._shown > 0) & ~bots & ~heldout, bots=bots, heldout=heldout,
            given=self._given, seen=self._seen, counts=counts,
        )  # fmt: skip

    def _by_user(
        self, user: IntArray, weights: FloatArray | IntArray | BoolArray | None = None
    ) -> FloatArray:
        return np.bincount(user, weights=weights, minlength=len(self._shown)).astype(np.float64)


def _index(column: pa.ChunkedArray, names: pa.Array) -> IntArray:
    index: IntArray = pc.index_in(column, names).to_numpy().astype(np.int64)
    return index


def runs_of(parts: tuple[StoredPart, ...], rows: int) -> list[tuple[StoredPart, ...]]:
    """Put neighbouring parts together while they hold at most *rows* exposures."""
    runs: list[list[StoredPart]] = []
    held = rows + 1
    for part in parts:
        if held + part.exposures > rows:
            runs.append([])
            held = 0
        runs[-1].append(part)
        held += part.exposures
    return [tuple(run) for run in runs]


def read_run(run: tuple[StoredPart, ...]) -> dict[str, IntArray]:
    """Return the arrays of several parts, one after the other."""
    read = [part.read() for part in run]
    return {name: np.concatenate([each[name] for each in read]) for name in read[0]}
