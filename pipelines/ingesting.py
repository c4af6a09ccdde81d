"""Ingestion: a delivery of events becomes rows of the zone's tables, once, whatever interrupts it.

The order is what makes it safe. The first attempt notes the moment of admission; events are
appended before their quarantine; a receipt closes the delivery. An interrupted delivery is
admitted again under the first attempt's moment, so that both appends get the rows they would
have had.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.errors import FlywheelError, SensitivityError
from data_contracts.ids import Digest
from data_contracts.labels import Label
from data_contracts.schemas import EVENT
from data_contracts.sql import identifier
from pipelines.intake.admission import (
    CONFLICTING_ID,
    DUPLICATE,
    QUARANTINE,
    Admission,
    admit_events,
)
from pipelines.intake.event_files import read_events
from pipelines.intake.raw_events import ROW, SOURCE
from pipelines.stores import Stores
from pipelines.stores.append import BATCH
from pipelines.stores.atomic import locked, storage_errors
from pipelines.stores.digests import canonical_json, json_digest

EVENTS: Final = "events"
QUARANTINED: Final = "quarantined_events"
STARTED: Final = "started"
STEPS: Final = ("admit", "compare with what is stored", "store")

Step = Callable[[str], None]

_BODY: Final = tuple(name for name in EVENT.names if name != "received_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingestion:
    """What became of a delivery: received = accepted + quarantined."""

    batch: str  # digest of the source
    received: int
    accepted: int
    quarantined: Mapping[str, int]  # rows by reason, the most frequent first
    fresh: bool = True  # False: it was ingested before, and nothing changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What a file or folder holds, before any of it is believed."""

    raw: pa.Table
    batch: str  # digest of the source
    sources: tuple[str, ...]  # digests of its files, sorted


def read_delivery(path: Path) -> Delivery:
    """Read what `read_events` reads.

    Raises:
        ContractError: a needed column is missing.
        FlywheelError: there are no events, or the source cannot be read.
    """
    raw = read_events(path)
    if raw.num_rows == 0:
        raise FlywheelError(f"{path}: holds no events, only a header; send rows")
    # Every file that has a row has a row 0; two equal files count twice.
    sources = tuple(sorted(raw.filter(pc.equal(raw[ROW], 0))[SOURCE].to_pylist()))
    batch = sources[0] if len(sources) == 1 else json_digest(sources)
    return Delivery(raw=raw, batch=batch, sources=sources)


def ingest_delivery(
    stores: Stores, delivery: Delivery, *, label: Label, now: datetime, by: str, step: Step
) -> Ingestion:
    """Take in the events of *delivery*; the same source a second time adds nothing.

    Args:
        stores: the zone.
        delivery: from `read_delivery`.
        label: whose permission a reader of these events needs.
        now: the moment of admission, with a time zone.
        by: who brings them, for the history.
        step: called with each of STEPS as it begins.

    Raises:
        SensitivityError: the zone's events carry another label.
        FlywheelError: the disk refuses.
    """
    batch, pointer = delivery.batch, f"ingest/{delivery.batch}"
    with storage_errors("the delivery"), locked(stores.root / ".locks" / "ingest", exclusive=True):
        noted = stores.catalogue.pointer(pointer)
        if noted not in (None, STARTED):
            told = json.loads(stores.blobs.get(Digest(str(noted))))
            return Ingestion(**told | {"fresh": False})
        if noted is None:
            _register(stores, delivery, label=label)
            stores.catalogue.swap_pointer(
                pointer, expected=None, new=STARTED, reason="first attempt", by=by, at=now
            )
        now = datetime.fromisoformat(stores.catalogue.pointer_history(pointer)[0].at)
        admission = _admitted(delivery, stores, now=now, step=step)
        step(STEPS[2])
        stores.append.append(EVENTS, admission.accepted, batch=batch)
        stores.append.append(QUARANTINED, admission.quarantined, batch=batch)
        ingestion = _ingestion(admission, batch)
        stores.catalogue.swap_pointer(
            pointer,
            expected=STARTED,
            new=stores.blobs.put(canonical_json(asdict(ingestion))),
            reason="whole",
            by=by,
            at=now,
        )
    return ingestion


def preview_delivery(
    stores: Stores | None, delivery: Delivery, *, now: datetime, step: Step
) -> Ingestion:
    """Say what `ingest_delivery` would do, and write nothing; None: there is no zone yet."""
    ingestion = _ingestion(_admitted(delivery, stores, now=now, step=step), delivery.batch)
    noted = None if stores is None else stores.catalogue.pointer(f"ingest/{delivery.batch}")
    return replace(ingestion, fresh=noted in (None, STARTED))


def _admitted(delivery: Delivery, stores: Stores | None, *, now: datetime, step: Step) -> Admission:
    step(STEPS[0])
    admission = admit_events(delivery.raw, now=now)
    step(STEPS[1])
    return admission if stores is None else _without_stored(admission, delivery, stores)


def _register(stores: Stores, delivery: Delivery, *, label: Label) -> None:
    """Record whose the rows are, before any is stored; what is refused leaves no record."""
    for table in (EVENTS, QUARANTINED):
        name = f"append/{table}"
        if stores.catalogue.has(name) and stores.catalogue.label(name) != label:
            raise SensitivityError(
                f"{name} of this zone carries another sensitivity label than the delivery; name "
                "the owners that the zone has, or another zone"
            )
    sources = delivery.sources
    for source in sources:
        stores.catalogue.register(f"source/{source}", "source", label=label)
    rows = f"{EVENTS}/{delivery.batch}"
    stores.catalogue.register(rows, EVENTS, [f"source/{source}" for source in sources])
    for table in (EVENTS, QUARANTINED):
        stores.catalogue.register(f"append/{table}", table, [rows])


def _without_stored(admission: Admission, delivery: Delivery, stores: Stores) -> Admission:
    """Quarantine accepted events that an earlier delivery brought already."""
    if EVENTS not in stores.append.names():
        return admission
    ids = admission.accepted["event_id"].combine_chunks()
    stored = stores.append.dataset(EVENTS).to_table(
        columns=[name for name in EVENT.names if name != "received_at"],
        filter=(pc.field(BATCH) != delivery.batch) & pc.field("event_id").isin(ids),
    )
    if stored.num_rows == 0:
        return admission
    body = ", ".join(identifier(name) for name in _BODY)
    with duckdb.connect(":memory:") as engine:
        engine.register("accepted", admission.accepted)
        engine.register("stored", stored)
        engine.register("quarantined", admission.quarantined)
        engine.register("raw", delivery.raw.select([*EVENT.names, ROW, SOURCE]))
        known = engine.execute(
            f"""
            WITH again AS (
                SELECT accepted.tenant_id, accepted.event_id,
                    row({", ".join(f"accepted.{identifier(n)}" for n in _BODY)})
                        IS NOT DISTINCT FROM
                    row({", ".join(f"stored.{identifier(n)}" for n in _BODY)}) AS same
                FROM accepted JOIN stored USING (tenant_id, event_id)
            ), placed AS (
                SELECT again.*, raw.{ROW} AS "row", raw.{SOURCE} AS source,
                    row_number() OVER (PARTITION BY tenant_id, event_id ORDER BY
                        (raw.{ROW}, raw.{SOURCE}) IN (SELECT ("row", source) FROM quarantined),
                        raw.{SOURCE}, raw.{ROW}) AS place
                FROM again JOIN raw USING (tenant_id, event_id)
            )
            SELECT "row", event_id, source,
                CASE WHEN same THEN '{DUPLICATE}' ELSE '{CONFLICTING_ID}' END AS reason
            FROM placed WHERE place = 1 ORDER BY source, "row"
            """
        ).to_arrow_table()
        kept = engine.execute(
            f"SELECT {body}, received_at FROM accepted ANTI JOIN stored USING (tenant_id, event_id)"
        ).to_arrow_table()
    extra = known.select(QUARANTINE.names).cast(QUARANTINE)
    return Admission(
        accepted=kept.select(EVENT.names).cast(EVENT),
        quarantined=pa.concat_tables([admission.quarantined, extra]),
        received=admission.received,
    )


def _ingestion(admission: Admission, batch: str) -> Ingestion:
    ingestion = Ingestion(
        batch=batch,
        received=admission.received,
        accepted=admission.accepted.num_rows,
        quarantined=dict(admission.reasons()),
    )
    assert ingestion.received == ingestion.accepted + sum(ingestion.quarantined.values())
    return ingestion
