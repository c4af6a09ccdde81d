"""Sessions: one user's work without a long gap, turn by turn."""

from typing import Final

import pyarrow as pa

from data_contracts.schemas import EVENT, UTC
from pipelines.signals.query import conform, query, subset

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

_SESSIONS: Final = """
SELECT tenant_id, project_id, user_id, session_id,
    CAST(count(DISTINCT turn) AS INTEGER) AS turns,
    count(DISTINCT event_id) AS events,
    count(DISTINCT event_id) FILTER (kind = 'impression') AS impressions,
    count(DISTINCT event_id) FILTER (kind = 'regenerate') AS regenerations,
    count(DISTINCT generation_id) AS generations,
    min(occurred_at) AS started_at, max(occurred_at) AS ended_at
FROM events
GROUP BY tenant_id, project_id, user_id, session_id
ORDER BY tenant_id, project_id, user_id, session_id
"""


def sessions(events: pa.Table) -> pa.Table:
    """Return a row per session: how many turns, events and generations, from when to when.

    An event that comes twice (same event_id) counts once.

    Raises:
        ContractError: a required column is missing.
    """
    rows = conform(events, subset(EVENT, _COLUMNS), what="events")
    return query(_SESSIONS, events=rows).cast(SESSION)
