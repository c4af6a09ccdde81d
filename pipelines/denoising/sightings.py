"""Sightings: what users saw and did, in one form whether it lies in memory or on disk."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.denoising.activity import user_activity
from pipelines.denoising.bins import MemoryPlan
from pipelines.denoising.reading import Batches
from pipelines.denoising.stored_exposures import StoredExposures, store_exposures
from pipelines.denoising.stored_weighing import (
    StoredWeights,
    believed_items,
    stored_clicks,
    stored_evidence,
    weigh_stored,
)
from pipelines.preferences.click_model import ClickSettings
from pipelines.preferences.click_table import ClickTable
from pipelines.signals import (
    EXPOSURE,
    ExposureSettings,
    WeighingSettings,
    exposures,
    training_exposures,
    weigh,
)
from pipelines.signals.drops import drops_table
from pipelines.signals.engines import DUCKDB, Engine
from pipelines.signals.tenant_users import number_users


class Block(NamedTuple):
    """Some prompts: their generations, and the exposures behind them where they are asked for."""

    generations: pa.Table
    exposures: pa.Table | None  # at least generation_id, event_ids, weight, heldout


@dataclass(frozen=True, slots=True, kw_only=True)
class Sightings:
    """What users saw and did."""

    clicks: Callable[[ClickSettings], pa.Table | ClickTable | None]  # what `fit_intent` takes
    blocks: Callable[[], Iterator[Block]]  # all prompts in their order, once
    shown: Callable[[], pa.Array]  # ids of generations with exposures that may be learned from
    activity: pa.Table  # ACTIVITY
    reasons: pa.Table  # user_id, tenant_id, reason, group
    everybody: pa.Table  # user_id, tenant_id of the users with events, once each
    events: int
    exposures: int
    drops: tuple[pa.Table, pa.Table]  # of events, of exposures' weight


def see(
    events: pa.Table,
    generations: pa.Table,
    *,
    signals: ExposureSettings,
    weighing: WeighingSettings,
    step: Callable[[str], None],
    engine: Engine = DUCKDB,
    keep_events: bool = True,
) -> Sightings:
    """Join and weigh *events* in memory; *engine* runs what is linear in them.

    With *keep_events* the exposures of blocks name their events.
    """
    step("join exposures")
    joined = exposures(
        events, generations, settings=signals, engine=engine, keep_events=keep_events
    )
    step("find adversaries")
    weighed = weigh(joined.table, generations, settings=weighing)

    def blocks() -> Iterator[Block]:
        yield Block(generations, weighed.table)

    return Sightings(
        clicks=lambda settings: weighed.table,
        blocks=blocks,
        shown=lambda: pc.unique(training_exposures(joined.table)["generation_id"]),
        activity=user_activity(weighed.table, engine=engine),
        reasons=weighed.reasons,
        everybody=number_users(events["user_id"], events["tenant_id"])[0].table(),
        events=events.num_rows,
        exposures=joined.table.num_rows,
        drops=(joined.drops, weighed.drops),
    )


def see_in_parts(
    events: Batches,
    generations: pa.Table,
    *,
    folder: Path,
    limit: int,
    keep_events: bool,
    processes: int,
    signals: ExposureSettings,
    weighing: WeighingSettings,
    step: Callable[[str], None],
) -> Sightings:
    """Join and weigh *events* part by part; the same sightings as `see`, up to rounding.

    Args:
        events: some at a time.
        generations: generation contract.
        folder: an empty folder for parts; the caller removes it when pairs are made.
        limit: bytes; see `MemoryPlan`.
        keep_events: blocks will carry exposures.
        processes: how many will count exposures at once.
        signals: as `exposures`.
        weighing: as `weigh`.
        step: called as work begins.
    """
    plan = MemoryPlan(limit=limit, processes=processes)
    step("join exposures")
    stored = store_exposures(
        events, generations, folder=folder, plan=plan, settings=signals, keep_events=keep_events
    )
    step("find adversaries")
    weights = weigh_stored(stored, folder=folder / "sights", plan=plan, settings=weighing)

    def clicks(settings: ClickSettings) -> ClickTable | None:
        return stored_clicks(
            stored, weights, folder=folder / "clicks", plan=plan,
            first_examined=settings.first_examined,
        )  # fmt: skip

    return Sightings(
        clicks=clicks,
        blocks=partial(_blocks, stored, weights, generations, keep_events),
        shown=lambda: stored.parting.ids.filter(pa.array(believed_items(stored))),
        activity=weights.activity,
        reasons=weights.rows.reasons,
        everybody=stored.parting.users.table(),
        events=stored.parting.events,
        exposures=int(stored.shown.sum()),
        drops=(drops_table("signals", stored.counts), weights.rows.drops),
    )


def _blocks(
    stored: StoredExposures, weights: StoredWeights, generations: pa.Table, keep: bool
) -> Iterator[Block]:
    at = pc.index_in(generations["generation_id"], stored.parting.ids).to_numpy()
    for part in stored.parts:
        rows = generations.filter(pa.array(np.isin(at, part.items)))
        shown = stored_evidence(stored, weights, part) if keep else EXPOSURE.empty_table()
        yield Block(rows, shown)
