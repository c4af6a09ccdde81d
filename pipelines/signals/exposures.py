"""Exposures: what was shown to whom, where, and which signals followed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.errors import ContractError
from data_contracts.schemas import EVENT, UTC
from pipelines.signals.adversaries import find_bots
from pipelines.signals.drops import drops_table
from pipelines.signals.engines import DUCKDB, Engine, Pass, Rows
from pipelines.signals.heldout import heldout_rows
from pipelines.signals.joining import (
    copies,
    judged,
    numbered_uses,
    patterned,
    patterned_without_ids,
    reasons,
    repeated,
)
from pipelines.signals.query import conform, query, subset
from pipelines.signals.tenant_users import number_users

EXPOSURE: Final = pa.schema(
    [
        pa.field("tenant_id", pa.string()),
        pa.field("project_id", pa.string()),
        pa.field("user_id", pa.string()),
        pa.field("session_id", pa.string()),
        pa.field("turn", pa.int32()),
        pa.field("generation_id", pa.string()),
        pa.field("prompt_id", pa.string()),
        pa.field("surface", pa.string()),
        pa.field("position", pa.int32()),  # null: not logged
        pa.field("propensity", pa.float64()),  # null: not logged
        pa.field("shown_at", UTC),
        pa.field("pattern", pa.int64()),  # bit s: SIGNALS[s] was given
        pa.field("weight", pa.float64()),  # 0: left out as a bot's
        pa.field("heldout", pa.bool_()),  # by a held-out user: never training evidence
        pa.field("event_ids", pa.list_(pa.string())),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureSettings:
    """How events become exposures."""

    heldout_users: float = 0.05  # share of users whose signals training never sees
    bot_share: float = 0.5  # acting on surely more than this share of what is shown
    bot_signals: tuple[str, ...] = ("like", "share", "upscale", "remix", "report")

    def __post_init__(self) -> None:
        if not 0 <= self.heldout_users < 1:
            raise ContractError(f"heldout_users is {self.heldout_users}; give a share in [0, 1)")


class Exposures(NamedTuple):
    """Exposures in canonical order, and the events that are no training evidence."""

    table: pa.Table
    drops: pa.Table


_EVENT_COLUMNS: Final = (
    "event_id", "tenant_id", "project_id", "user_id", "session_id", "turn", "kind",
    "generation_id", "surface", "position", "propensity", "value", "occurred_at",
)  # fmt: skip
KNOWN: Final = pa.schema(
    [
        pa.field("generation_id", pa.string(), nullable=False),
        pa.field("prompt_id", pa.string(), nullable=False),
        pa.field("tenant_id", pa.string()),
    ]
)


_NAMED: Final = """
SELECT generation_id, prompt_id,
    coalesce(tenant_id, min(tenant_id) OVER (PARTITION BY generation_id)) AS tenant_id FROM known
"""


def exposures(
    events: pa.Table,
    generations: pa.Table,
    *,
    settings: ExposureSettings | None = None,
    engine: Engine = DUCKDB,
    keep_events: bool = True,
) -> Exposures:
    """Join what was shown with what was done: a row per user, session, turn and generation.

    Bots and held-out users stay in the table (weight 0; *heldout*), so leaving them out is
    reversible; `training_exposures` gives what may be learned from.

    Args:
        events: rows of the event contract, in any order.
        generations: rows of the generation contract; events about others are dropped, and so are
            those of another tenant than the generation's. *tenant_id* may be absent where all
            events are of one tenant.
        settings: shares and thresholds.
        engine: who joins; the rows are the same.
        keep_events: give *event_ids*; without them they are null, and joining is faster.

    Returns:
        Exposures, and drops by reason: duplicate_event, unknown_generation, other_tenant,
        unknown_kind, impossible_position, impossible_propensity, not_a_signal, edit_without_value,
        no_impression, bot, heldout_user. Every event is either listed in *event_ids* of a training
        exposure or counted under exactly one reason.

    Raises:
        ContractError: a required column is missing, or a generation does not say whose it is
            although events are of several tenants.
    """
    settings = settings or ExposureSettings()
    sent = number_uses(events, engine=engine)
    known = owned(generations, lambda: pc.unique(sent["tenant_id"]))
    shown, counts = join_sent(sent, known, engine=engine, keep_events=keep_events)
    users, of_row = number_users(shown["user_id"], shown["tenant_id"])
    bots = find_bots(shown, signals=settings.bot_signals, share=settings.bot_share)
    by_bot = users.marked(bots)[of_row]
    held = heldout_rows(shown["user_id"], share=settings.heldout_users) & ~by_bot
    sizes = shown["events"].to_numpy()
    counts["bot"] = int(sizes[by_bot].sum())
    counts["heldout_user"] = int(sizes[held].sum())
    table = shown.append_column("weight", pa.array(np.where(by_bot, 0.0, 1.0)))
    table = table.append_column("heldout", pa.array(held))
    if not keep_events:
        nothing = pa.nulls(table.num_rows, EXPOSURE.field("event_ids").type)
        table = table.append_column("event_ids", nothing)
    return Exposures(table.select(EXPOSURE.names).cast(EXPOSURE), drops_table("signals", counts))


def number_uses(events: pa.Table, *, engine: Engine = DUCKDB) -> pa.Table:
    """Return *events* with *use*: which time its tenant's event_id comes, from 1; in any order.

    All rows of one event_id must be there; `join_sent` takes it from there, for any generations.
    """
    rows = conform(events, subset(EVENT, _EVENT_COLUMNS), what="events")
    # Hardly an id comes twice, and only those that do are put in order.
    twice = engine.run(repeated, events=rows.select(["event_id"]))["event_id"]
    again = pc.is_in(rows["event_id"], value_set=twice)
    once = rows.filter(pc.invert(again)) if len(twice) else rows
    once = once.append_column("use", pa.repeat(pa.scalar(1, pa.int64()), once.num_rows))
    if len(twice) == 0:
        return once
    numbered = engine.run(numbered_uses, events=rows.filter(again))
    return pa.concat_tables([once, numbered.select(once.column_names).cast(once.schema)])


def owned(generations: pa.Table, tenants: Callable[[], pa.Array]) -> pa.Table:
    """Return generation_id, prompt_id and tenant_id, each with its tenant.

    Who does not say whose it is belongs to whom another row of its id says, else to the only one
    of *tenants*, those of the events.

    Raises:
        ContractError: a required column is missing, or there are several tenants to belong to.
    """
    known = conform(generations, KNOWN, what="generations")
    if known["tenant_id"].null_count:
        known = query(_NAMED, known=known).cast(KNOWN)
    nameless = known["tenant_id"].null_count
    if nameless == 0:
        return known
    found = tenants()
    if len(found) > 1:
        raise ContractError(
            f"generations: {nameless:,} have no tenant_id, but events are of {len(found):,} "
            "tenants; say whose each generation is"
        )
    owner = found[0] if len(found) else pa.scalar(None, pa.string())
    at = known.schema.get_field_index("tenant_id")
    return known.set_column(at, "tenant_id", pc.fill_null(known["tenant_id"], owner))


def join_sent(
    sent: pa.Table, known: pa.Table, *, engine: Engine = DUCKDB, keep_events: bool = True
) -> tuple[pa.Table, dict[str, int]]:
    """Join rows of `number_uses` to exposures, without weights; all rows of a generation at once.

    *known* are generations as `owned` gives them.

    Returns:
        EXPOSURE rows without *weight* and *heldout*, and *event_ids* only where they are asked
        for, with *events*, how many they are; and drops by reason.
    """
    numbered = sent.append_column("row", pa.array(np.arange(sent.num_rows)))
    copied = np.zeros(sent.num_rows, dtype=bool)
    copied[engine.run(copies, sent=numbered)["row"].to_numpy()] = True
    sent = sent.append_column("copied", pa.array(copied))
    with engine.hold(judged, sent=sent, known=known) as held:
        return _join(held, engine, patterned if keep_events else patterned_without_ids)


def _join(held: Rows, engine: Engine, linear: Pass) -> tuple[pa.Table, dict[str, int]]:
    found = engine.run(reasons, judged=held).to_pylist()
    counts = {row["reason"]: row["rows"] for row in found if row["reason"] != "kept"}
    joined = engine.run(linear, judged=held)
    orphans = pc.sum(pc.if_else(joined["impressions"], 0, joined["events"]))
    counts["no_impression"] = orphans.as_py() or 0
    return joined.filter(joined["impressions"]).drop_columns(["impressions"]), counts


def training_exposures(table: pa.Table) -> pa.Table:
    """Return the exposures that may be learned from: no bots, no held-out users."""
    return table.filter(pc.and_(pc.greater(table["weight"], 0.0), pc.invert(table["heldout"])))
