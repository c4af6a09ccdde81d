"""Admission: which raw events become events, and why the others do not."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.conform import conform, conform_unvalidated
from data_contracts.contract import load_contract
from data_contracts.schemas import EVENT
from data_contracts.sql import identifier
from pipelines.intake.raw_events import REFUSAL, ROW, SOURCE
from pipelines.stores.enforcer import find_violations

QUARANTINE: Final = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),  # in its file, from 0
        pa.field("event_id", pa.string()),  # null where it is unknown or not a plain id
        pa.field("reason", pa.string(), nullable=False),
        pa.field("source", pa.string()),  # digest of the file; null where there was none
    ]
)

DUPLICATE: Final = "duplicate"
CONFLICTING_ID: Final = "conflicting_id"

_PLAIN_ID: Final = "^[!-~]{1,128}$"
_BODY: Final = tuple(n for n in EVENT.names if n not in ("tenant_id", "event_id", "received_at"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What became of a delivery: received = accepted + quarantined."""

    accepted: pa.Table  # in the event schema, in the order received
    quarantined: pa.Table  # in the QUARANTINE schema, in the order received
    received: int

    def reasons(self) -> Mapping[str, int]:
        """Count the quarantined rows by reason, the most frequent first."""
        counts = Counter(self.quarantined.column("reason").to_pylist())
        return dict(sorted(counts.items(), key=lambda each: (-each[1], each[0])))


def admit_events(raw: pa.Table, *, now: datetime, known: pa.Table | None = None) -> Admission:
    """Part *raw* into events that keep the contract and rows that are quarantined.

    A row has one reason: it could not be read, else the first rule it breaks, else its id.
    Copies of one event (same tenant and id) are one event if they agree in all but the time of
    receipt: the one received first is kept and the others are duplicates. A copy that disagrees
    with the one kept has a conflicting id. Which copy is kept does not depend on row order, and
    an event that is known stays, so that the same delivery may safely come twice.

    Args:
        raw: from `read_events`, or any table with the event columns.
        now: the moment of admission, with a time zone.
        known: events admitted before; None if there are none.

    Raises:
        ContractError: *raw* lacks a needed column, or has one of a type that does not convert.
    """
    contract = load_contract("event")
    events = conform_unvalidated(raw, EVENT, what=contract.title)
    reasons = np.full(raw.num_rows, None, dtype=object)
    if REFUSAL in raw.schema.names:
        reasons[:] = raw.column(REFUSAL).to_numpy(zero_copy_only=False)
    places = _unreasoned(reasons)
    broken = find_violations(_rows(events, places), contract.row_by_row(), now=now)
    rows, first = np.unique(broken.column("row").to_numpy(), return_index=True)
    rules, columns = (broken.column(each).to_pylist() for each in ("rule", "column"))
    reasons[places[rows]] = [f"{rules[at]}({columns[at]})" for at in first]
    places = _unreasoned(reasons)
    copies, verdicts = _copies(
        _rows(events, places), EVENT.empty_table() if known is None else known
    )
    reasons[places[copies]] = verdicts
    accepted = _rows(events, _unreasoned(reasons))
    refused = np.flatnonzero(_has_reason(reasons))
    return Admission(
        accepted=conform(accepted, EVENT, what=contract.title),
        quarantined=_quarantine(raw, events, refused, reasons[refused].tolist()),
        received=raw.num_rows,
    )


def _copies(events: pa.Table, known: pa.Table) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Find the rows of *events* that repeat the tenant and id of another, and say how."""
    numbered = events.append_column("__row", pa.array(np.arange(events.num_rows)))
    stored = conform_unvalidated(known, EVENT, what="known events")
    body = f"row({', '.join(identifier(each) for each in _BODY)})"
    with duckdb.connect(":memory:") as engine:
        engine.register("incoming", numbered)
        engine.register("known", stored)
        found = engine.execute(
            f"""
            WITH events AS (
                SELECT * FROM incoming UNION ALL
                SELECT *, -1 FROM known SEMI JOIN incoming USING (tenant_id, event_id)
            ), repeated AS (
                SELECT tenant_id, event_id FROM events
                GROUP BY tenant_id, event_id HAVING count(*) > 1
            ), ranked AS (
                SELECT __row, {body} AS body, row_number() OVER copies AS place,
                    first_value({body}) OVER copies AS kept
                FROM events SEMI JOIN repeated USING (tenant_id, event_id)
                WINDOW copies AS (
                    PARTITION BY tenant_id, event_id
                    ORDER BY __row >= 0, epoch_us(received_at), {body}, __row
                )
            )
            SELECT __row, CASE WHEN body IS NOT DISTINCT FROM kept THEN '{DUPLICATE}'
                ELSE '{CONFLICTING_ID}' END AS verdict
            FROM ranked WHERE place > 1 AND __row >= 0 ORDER BY __row
            """
        ).to_arrow_table()
    return found.column("__row").to_numpy(), found.column("verdict").to_pylist()


def _quarantine(
    raw: pa.Table, events: pa.Table, refused: npt.NDArray[np.int64], reasons: list[str]
) -> pa.Table:
    names = raw.schema.names
    ids = events.column("event_id").take(refused)
    plain = pc.match_substring_regex(ids, _PLAIN_ID)
    return pa.table(
        [
            raw.column(ROW).take(refused) if ROW in names else pa.array(refused),
            pc.if_else(plain, ids, pa.scalar(None, pa.string())),
            pa.array(reasons, pa.string()),
            raw.column(SOURCE).take(refused)
            if SOURCE in names
            else pa.nulls(len(refused), pa.string()),
        ],
        schema=QUARANTINE,
    )


def _rows(table: pa.Table, places: npt.NDArray[np.int64]) -> pa.Table:
    # Most deliveries are clean, and taking every row would copy them all.
    return table if len(places) == table.num_rows else table.take(places)


def _has_reason(reasons: npt.NDArray[np.object_]) -> npt.NDArray[np.bool_]:
    valid: npt.NDArray[np.bool_] = pa.array(reasons, pa.string()).is_valid().to_numpy(False)
    return valid


def _unreasoned(reasons: npt.NDArray[np.object_]) -> npt.NDArray[np.int64]:
    return np.flatnonzero(~_has_reason(reasons))
