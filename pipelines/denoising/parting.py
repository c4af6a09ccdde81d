"""Parting: which part an event belongs to, first by its id, then by its generation's prompt."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.denoising.bins import Bins, MemoryPlan
from pipelines.denoising.reading import Batches
from pipelines.preferences.kernel import IntArray
from pipelines.signals.exposures import KNOWN, owned
from pipelines.signals.query import conform, query
from pipelines.signals.tenant_users import Users, number_users

_KEY: Final = ["user_id", "tenant_id"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parting:
    """The names that events use, and the part of each generation."""

    users: Users  # everybody with events
    surfaces: pa.Array  # sorted
    generations: pa.Table  # generation_id, prompt_id, tenant_id: one row each, sorted by id
    ids: pa.Array  # of generations
    part: IntArray  # (i,) of each generation; parts follow the order of prompts
    parts: int
    events: int


def part_by_event(
    events: Batches, generations: pa.Table, *, folder: Path, plan: MemoryPlan
) -> tuple[Bins, Parting]:
    """Read *events* once: write them by event id, and decide which prompts make a part.

    Raises:
        FlywheelError, ContractError: as `read_table`.
    """
    known = query(
        "SELECT generation_id, min(prompt_id) AS prompt_id, min(tenant_id) AS tenant_id "
        "FROM known GROUP BY generation_id ORDER BY generation_id",
        known=conform(generations, KNOWN, what="generations"),
    )
    ids = known["generation_id"].combine_chunks()
    bins = Bins(folder, plan.bins(events.rows))
    everybody, surfaces = _Everybody(), set[str]()
    count = np.zeros(known.num_rows, dtype=np.int64)
    rows = 0
    for batch in events.of(plan.batch_rows):
        bins.add(batch, _shard(batch["event_id"], bins.count))
        rows += batch.num_rows
        everybody.add(batch)
        surfaces.update(pc.unique(batch["surface"]).to_pylist())
        at = pc.drop_null(pc.index_in(batch["generation_id"], ids))
        count += np.bincount(at.to_numpy(), minlength=len(count))
    bins.close()
    users = everybody.users()
    part = _part_of_prompts(known["prompt_id"], count, plan.bins(rows))
    return bins, Parting(
        users=users, surfaces=pa.array(sorted(surfaces), pa.string()),
        generations=owned(known, lambda: users.tenants), ids=ids, part=part,
        parts=int(part.max(initial=0)) + 1, events=rows,
    )  # fmt: skip


class _Everybody:
    """Gathers users; what comes in is put together whenever it has grown to twice its size."""

    def __init__(self) -> None:
        self._known = pa.table({name: pa.array([], pa.string()) for name in _KEY})
        self._more: list[pa.Table] = []

    def add(self, events: pa.Table) -> None:
        """Take in the users of some events."""
        self._more.append(_distinct(events.select(_KEY)))
        if sum(rows.num_rows for rows in self._more) > max(self._known.num_rows, 100_000):
            self._gather()

    def users(self) -> Users:
        """Return all of them."""
        self._gather()
        return number_users(*self._known.columns)[0]

    def _gather(self) -> None:
        self._known, self._more = _distinct(pa.concat_tables([self._known, *self._more])), []


def _distinct(rows: pa.Table) -> pa.Table:
    return rows.group_by(_KEY, use_threads=False).aggregate([]).select(_KEY)


def part_prompts(events: pa.Table, parting: Parting) -> IntArray:
    """Return the part of each event; events of unknown generations are dealt out by id."""
    ids = events["generation_id"]
    at = pc.fill_null(pc.index_in(ids, parting.ids), -1).to_numpy()
    return np.where(at >= 0, parting.part[at], _shard(ids, parting.parts))


def _shard(ids: pa.ChunkedArray, shards: int) -> IntArray:
    """Deal ids out evenly; equal ids go together. What is computed does not depend on how."""
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        connection.register("ids", pa.table({"id": ids}))
        dealt = connection.execute(f"SELECT (hash(id) % {shards})::BIGINT AS shard FROM ids")
        shard: IntArray = dealt.to_arrow_table()["shard"].to_numpy()
    return shard


def _part_of_prompts(prompt: pa.ChunkedArray, count: IntArray, parts: int) -> IntArray:
    """Cut prompts, in their order, into parts of about equally many events."""
    names = pc.unique(prompt)
    names = names.take(pc.sort_indices(names))
    of_prompt = pc.index_in(prompt, names).to_numpy().astype(np.int64)
    events = np.bincount(of_prompt, weights=count, minlength=len(names)) + 1.0
    before = np.cumsum(events) - events
    at: IntArray = np.floor(before * parts / events.sum()).astype(np.int64)
    part: IntArray = np.unique(at, return_inverse=True)[1][of_prompt]
    return part
