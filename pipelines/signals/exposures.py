"""Exposures: what was shown to whom, where, and which signals followed."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.errors import ContractError
from data_contracts.schemas import EVENT, GENERATION, UTC
from data_contracts.vocabulary import EVENT_KINDS
from pipelines.signals.adversaries import find_bots
from pipelines.signals.drops import drops_table
from pipelines.signals.heldout import heldout_rows
from pipelines.signals.query import conform, query, subset
from pipelines.signals.signal_table import SIGNALS

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
_KEY: Final = "tenant_id, user_id, session_id, turn, generation_id"
_NO_SIGNAL: Final = "('delete')"  # a tidy desk says nothing about quality


def exposures(
    events: pa.Table, generations: pa.Table, *, settings: ExposureSettings | None = None
) -> Exposures:
    """Join what was shown with what was done: a row per user, session, turn and generation.

    Bots and held-out users stay in the table (weight 0; *heldout*), so leaving them out is
    reversible; `training_exposures` gives what may be learned from.

    Args:
        events: rows of the event contract, in any order.
        generations: rows of the generation contract; events about others are dropped.
        settings: shares and thresholds.

    Returns:
        Exposures, and drops by reason: duplicate_event, unknown_generation, unknown_kind,
        not_a_signal, edit_without_value, no_impression, bot, heldout_user. Every event is either
        listed in *event_ids* of a training exposure or counted under exactly one reason.

    Raises:
        ContractError: a required column is missing.
    """
    settings = settings or ExposureSettings()
    rows = conform(events, subset(EVENT, _EVENT_COLUMNS), what="events")
    known = conform(
        generations, subset(GENERATION, ("generation_id", "prompt_id")), what="generations"
    )
    shown, counts = _join(query(_JUDGE, events=rows, known=known))
    bots = find_bots(shown, signals=settings.bot_signals, share=settings.bot_share)
    by_bot = pc.is_in(shown["user_id"], value_set=pa.array(bots, pa.string())).to_numpy()
    held = heldout_rows(shown["user_id"], share=settings.heldout_users) & ~by_bot
    sizes = pc.list_value_length(shown["event_ids"]).to_numpy()
    counts["bot"] = int(sizes[by_bot].sum())
    counts["heldout_user"] = int(sizes[held].sum())
    table = shown.append_column("weight", pa.array(np.where(by_bot, 0.0, 1.0)))
    table = table.append_column("heldout", pa.array(held))
    return Exposures(table.select(EXPOSURE.names).cast(EXPOSURE), drops_table("signals", counts))


def number_uses(events: pa.Table) -> pa.Table:
    """Return *events* with *use*: which time an event_id comes, from 1.

    All rows of one event_id must be there; `join_sent` takes it from there, for any generations.
    """
    rows = conform(events, subset(EVENT, _EVENT_COLUMNS), what="events")
    return query(_SENT, events=rows)


def join_sent(sent: pa.Table, generations: pa.Table) -> tuple[pa.Table, dict[str, int]]:
    """Join rows of `number_uses` to exposures, without weights; all rows of a generation at once.

    Returns:
        EXPOSURE rows without *weight* and *heldout*, and drops by reason.
    """
    known = conform(
        generations, subset(GENERATION, ("generation_id", "prompt_id")), what="generations"
    )
    return _join(query(f"WITH sent AS (SELECT * FROM numbered_uses), {_JUDGE_SENT}",
                       numbered_uses=sent, known=known))  # fmt: skip


def _join(judged: pa.Table) -> tuple[pa.Table, dict[str, int]]:
    counts = {row["reason"]: row["rows"] for row in query(_COUNT, judged=judged).to_pylist()}
    counts.pop("kept", None)
    joined = query(_JOIN, judged=judged)
    orphans = pc.sum(
        pc.if_else(joined["impressions"], 0, pc.list_value_length(joined["event_ids"]))
    )
    counts["no_impression"] = orphans.as_py() or 0
    return joined.filter(joined["impressions"]).drop_columns(["impressions"]), counts


def training_exposures(table: pa.Table) -> pa.Table:
    """Return the exposures that may be learned from: no bots, no held-out users."""
    return table.filter(pc.and_(pc.greater(table["weight"], 0.0), pc.invert(table["heldout"])))


# A copy is the same act at the same instant, whatever its event id; the smallest id stays.
_SENT: Final = f"""
SELECT events.*, row_number() OVER (
    PARTITION BY event_id ORDER BY occurred_at, kind, {_KEY}, value, position) AS use
FROM events
"""
_JUDGE_SENT: Final = f"""
numbered AS (
    SELECT sent.*, prompt_id, row_number() OVER (
        PARTITION BY use > 1, {_KEY}, kind, occurred_at ORDER BY event_id, use) AS copy
    FROM sent LEFT JOIN
        (SELECT generation_id AS known_id, min(prompt_id) AS prompt_id FROM known GROUP BY ALL)
        ON known_id = generation_id
)
SELECT * EXCLUDE (copy, use, value), CASE WHEN isnan(value) THEN NULL ELSE value END AS value,
    CASE WHEN copy > 1 OR use > 1 THEN 'duplicate_event'
         WHEN prompt_id IS NULL THEN 'unknown_generation'
         WHEN kind NOT IN {EVENT_KINDS} THEN 'unknown_kind'
         WHEN kind IN {_NO_SIGNAL} THEN 'not_a_signal'
         WHEN kind = 'edit' AND (value IS NULL OR isnan(value)) THEN 'edit_without_value'
         ELSE 'kept' END AS reason
FROM numbered
"""
_JUDGE: Final = f"WITH sent AS ({_SENT}), {_JUDGE_SENT}"
_COUNT: Final = "SELECT reason, count(*) AS rows FROM judged GROUP BY reason ORDER BY reason"
_PATTERN: Final = " + ".join(
    f"(CASE WHEN {signal.condition} THEN {1 << s} ELSE 0 END)" for s, signal in enumerate(SIGNALS)
)
_JOIN: Final = f"""
SELECT {_KEY}, min(project_id) AS project_id, min(prompt_id) AS prompt_id,
    coalesce(min(surface) FILTER (kind = 'impression'), min(surface)) AS surface,
    min(position) FILTER (kind = 'impression') AS position,
    max(propensity) FILTER (kind = 'impression' AND NOT isnan(propensity)) AS propensity,
    min(occurred_at) AS shown_at,
    CAST({_PATTERN} AS BIGINT) AS pattern,
    bool_or(kind = 'impression') AS impressions,
    list(event_id ORDER BY event_id) AS event_ids
FROM judged WHERE reason = 'kept'
GROUP BY {_KEY}
ORDER BY {_KEY}
"""
