"""Writes simulated visits down as the events that a real product would send."""

from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data_contracts.schemas import EVENT
from pipelines.world.users import ACTIONS, Visits

_DELAY_S = {kind: 2 + k for k, kind in enumerate((*ACTIONS, "regenerate"))}
_SPAN_S = 6 * 24 * 3600  # sessions of one turn of the wheel are spread over six days


def visits_to_events(
    visits: Visits,
    *,
    generation_ids: npt.NDArray[np.str_],
    tenant_id: str,
    project_id: str,
    batch: str,
    start: datetime,
    rng: np.random.Generator,
) -> pa.Table:
    """Return the events of *visits* in order of time.

    Args:
        visits: what happened.
        generation_ids: by generation index.
        tenant_id: whose product.
        project_id: which of its projects.
        batch: makes event and session ids unique between turns of the wheel.
        start: UTC; the first session begins after it.
        rng: when sessions begin.
    """
    sessions = int(visits.session.max()) + 1 if len(visits.session) else 0
    begins = np.sort(rng.integers(0, _SPAN_S * 1_000_000, sessions))
    begins = rng.permutation(begins)
    kinds = ["impression", *ACTIONS, "regenerate"]
    happened = [np.ones(len(visits.user), bool), *visits.acts.values(), visits.regenerated]
    row = np.concatenate([np.flatnonzero(h) for h in happened])
    kind = np.repeat(np.arange(len(kinds)), [int(h.sum()) for h in happened])
    delay = np.array([0, *(_DELAY_S[k] for k in kinds[1:])])[kind]
    at = begins[visits.session[row]] + (visits.turn[row] * 60 + delay) * 1_000_000
    value = np.full(len(row), np.nan)
    value[kind == kinds.index("edit")] = visits.kept[row[kind == kinds.index("edit")]]
    value[kind == kinds.index("dwell")] = 20.0

    order = np.lexsort((row, kind, at))
    row, kind, at, value = row[order], kind[order], at[order], value[order]
    epoch = np.int64(start.timestamp() * 1_000_000)
    columns = {
        "event_id": [f"ev_{batch}_{k:07d}" for k in range(len(row))],
        "tenant_id": [tenant_id] * len(row),
        "project_id": [project_id] * len(row),
        "user_id": [f"u{user:05d}" for user in visits.user[row]],
        "session_id": np.char.add(f"s_{batch}_", visits.session[row].astype(str)),
        "turn": visits.turn[row].astype(np.int32),
        "kind": np.array(kinds)[kind],
        "generation_id": generation_ids[visits.generation[row]],
        "surface": ["grid"] * len(row),
        "position": pa.array(visits.position[row].astype(np.int32), mask=kind > 0),
        "propensity": pa.nulls(len(row), pa.float64()),
        "value": pa.array(value, mask=np.isnan(value)),
        "occurred_at": pa.array(epoch + at, pa.int64()).cast(EVENT.field("occurred_at").type),
        "received_at": pa.array(epoch + at + 1_000_000, pa.int64()).cast(
            EVENT.field("received_at").type
        ),
    }
    return pa.table(columns, schema=EVENT)
