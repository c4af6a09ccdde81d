"""signals: what was shown and done, and how much of it may be believed."""

import dagster as dg
import pyarrow as pa

from pipelines.append_io import read_batch
from pipelines.assets.turns import TURNS
from pipelines.io_managers import PARENTS
from pipelines.resources import Wheel
from pipelines.signals.exposures import exposures as join_exposures
from pipelines.signals.exposures import training_exposures
from pipelines.signals.signal_patterns import signal_patterns as count_patterns

_OUT = {"key_prefix": "signals", "io_manager_key": "tables"}
_KINDS = {"parquet"}


@dg.multi_asset(
    outs={
        "exposures": dg.AssetOut(
            description="What was shown to whom, where, and what they did with it; a row an "
            "exposure.",
            kinds=_KINDS,
            **_OUT,
        ),
        "signal_drops": dg.AssetOut(
            description="Why some events are no evidence, with counts.", kinds=_KINDS, **_OUT
        ),
    },
    group_name="signals",
    partitions_def=TURNS,
    ins={"generations": dg.AssetIn(key_prefix="artifacts")},
    deps=[dg.AssetKey(["traces", "events"]), dg.AssetKey(["traces", "sessions"])],
)
def joined_exposures(
    context: dg.AssetExecutionContext, wheel: Wheel, generations: pa.Table
) -> tuple[dg.Output[pa.Table], dg.Output[pa.Table]]:
    """What was shown, where, and what was done with it; and why some events are no evidence."""
    digest, events = read_batch(wheel.stores, "events", context.partition_key)
    joined = join_exposures(events, generations)
    drops = "\n".join(f"| {r['reason']} | {r['rows']} |" for r in joined.drops.to_pylist())
    return (
        dg.Output(joined.table, metadata={PARENTS: [digest]}),
        dg.Output(
            joined.drops,
            metadata={
                PARENTS: [digest],
                "reasons": dg.MetadataValue.md(f"| reason | events |\n|---|---|\n{drops}"),
            },
        ),
    )


@dg.asset(
    group_name="signals",
    kinds=_KINDS,
    partitions_def=TURNS,
    ins={"exposures": dg.AssetIn(key_prefix="signals")},
    **_OUT,
)
def signal_patterns(exposures: pa.Table) -> pa.Table:
    """Which actions followed an exposure, counted by activity and place."""
    return count_patterns(exposures)


@dg.asset(
    group_name="signals",
    kinds=_KINDS,
    partitions_def=TURNS,
    ins={"exposures": dg.AssetIn(key_prefix="signals")},
    deps=[dg.AssetKey(["signals", "signal_patterns"])],
    **_OUT,
)
def trusted_signals(exposures: pa.Table) -> dg.Output[pa.Table]:
    """Exposures that training may learn from: no bots, no held-out users."""
    kept = training_exposures(exposures)
    return dg.Output(
        kept, metadata={"left_out": exposures.num_rows - kept.num_rows, "kept": kept.num_rows}
    )
