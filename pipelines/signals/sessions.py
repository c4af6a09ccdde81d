"""Sessions: one user's work without a long gap, turn by turn."""

from typing import Any, Final

import pyarrow as pa

from data_contracts.schemas import EVENT, UTC
from pipelines.signals.engines import DUCKDB, Engine
from pipelines.signals.query import conform, subset

_COLUMNS: Final = (
    "event_id", "tenant_id", "project_id", "user_id", "session_id", "turn", "kind",
    "generation_id", "occurred_at",
)  # fmt: skip

SESSION: Final = pa.schema(
    [
        pa.field("tenant_id", pa.string()),
        pa.field("project_id", pa.string()),
        pa.field("user_id", pa.string()),
        pa.field("session_id", pa.string()),
        pa.field("turns", pa.int32()),
        pa.field("events", pa.int64()),
        pa.field("impressions", pa.int64()),
        pa.field("regenerations", pa.int64()),
        pa.field("generations", pa.int64()),
        pa.field("started_at", UTC),
        pa.field("ended_at", UTC),
    ]
)


def sessions(events: pa.Table, *, engine: Engine = DUCKDB) -> pa.Table:
    """Return a row per session: how many turns, events and generations, from when to when.

    An event that comes twice (same event_id) counts once.

    Raises:
        ContractError: a required column is missing.
    """
    rows = conform(events, subset(EVENT, _COLUMNS), what="events")
    return engine.run(_by_session, events=rows).cast(SESSION)


def _by_session(events: Any) -> Any:
    key = ["tenant_id", "project_id", "user_id", "session_id"]
    event = events.event_id
    return (
        events.group_by(key)
        .agg(
            turns=events.turn.nunique(),
            events=event.nunique(),
            impressions=event.nunique(where=events.kind == "impression"),
            regenerations=event.nunique(where=events.kind == "regenerate"),
            generations=events.generation_id.nunique(),
            started_at=events.occurred_at.min(),
            ended_at=events.occurred_at.max(),
        )
        .order_by(key)
    )
