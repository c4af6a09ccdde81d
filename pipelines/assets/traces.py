"""traces: what users did, as received, admitted, and grouped into sessions."""

from datetime import UTC, datetime

import dagster as dg
import pyarrow as pa

from data_contracts.labels import GENERAL
from pipelines.assets.turns import TURNS
from pipelines.intake import admit_events, read_events
from pipelines.intake.raw_events import RAW_EVENT
from pipelines.io_managers import PARENTS
from pipelines.resources import Wheel
from pipelines.signals.sessions import sessions as group_sessions
from pipelines.stores.digests import file_digest


@dg.asset(
    key_prefix="traces",
    group_name="traces",
    partitions_def=TURNS,
    io_manager_key="tables",
    kinds={"parquet"},
)
def raw_events(context: dg.AssetExecutionContext, wheel: Wheel) -> dg.Output[pa.Table]:
    """Events as the delivery holds them, readable or not."""
    file = wheel.inbox.file(context.partition_key, "events")
    source = file_digest(file)
    wheel.stores.catalogue.register(source, "delivery", label=GENERAL)
    raw = read_events(file)
    return dg.Output(raw.cast(RAW_EVENT), metadata={PARENTS: [source]})


@dg.multi_asset(
    outs={
        "events": dg.AssetOut(
            description="What users did: every event that keeps its contract.",
            kinds={"deltalake"},
            key_prefix="traces",
            io_manager_key="append",
        ),
        "quarantined_events": dg.AssetOut(
            description="Events that break their contract, each with the reason. Received = "
            "events + quarantined_events, always.",
            kinds={"deltalake"},
            key_prefix="traces",
            io_manager_key="append",
        ),
    },
    group_name="traces",
    partitions_def=TURNS,
    ins={"raw_events": dg.AssetIn(key_prefix="traces")},
)
def admitted_events(
    context: dg.AssetExecutionContext, wheel: Wheel, raw_events: pa.Table
) -> tuple[dg.Output[pa.Table], dg.Output[pa.Table]]:
    """Events that keep their contract, and beside them those that do not, with the reason."""
    parents = [wheel.stores.catalogue.pointer(f"traces/raw_events/{context.partition_key}")]
    admission = admit_events(raw_events, now=datetime.now(UTC))
    reasons = "\n".join(f"| {why} | {rows} |" for why, rows in admission.reasons().items())
    return (
        dg.Output(admission.accepted, metadata={PARENTS: parents, "received": admission.received}),
        dg.Output(
            admission.quarantined,
            metadata={
                PARENTS: parents,
                "reasons": dg.MetadataValue.md(f"| reason | rows |\n|---|---|\n{reasons}"),
            },
        ),
    )


@dg.asset(
    key_prefix="traces",
    group_name="traces",
    partitions_def=TURNS,
    io_manager_key="tables",
    kinds={"parquet"},
    ins={"events": dg.AssetIn(key_prefix="traces")},
)
def sessions(
    context: dg.AssetExecutionContext, wheel: Wheel, events: pa.Table
) -> dg.Output[pa.Table]:
    """One user's work without a long gap: turns, events, from when to when."""
    parent = wheel.stores.catalogue.pointer(f"append/events/{context.partition_key}/digest")
    return dg.Output(group_sessions(events), metadata={PARENTS: [parent]})
