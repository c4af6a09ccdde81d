"""signals: what was shown and done, and how much of it may be believed."""

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.append_io import read_batch
from pipelines.assets.turns import TURNS
from pipelines.io_managers import PARENTS
from pipelines.resources import Wheel
from pipelines.signals.drops import join_drops
from pipelines.signals.exposures import exposures as join_exposures
from pipelines.signals.exposures import training_exposures
from pipelines.signals.signal_patterns import signal_patterns as count_patterns
from pipelines.signals.weighing import NAMED, Weighed, weigh

_OUT = {"key_prefix": "signals", "io_manager_key": "tables"}
_KINDS = {"parquet"}
_UNITS = {"signals": "events", "weighing": "exposures"}


@dg.multi_asset(
    outs={
        "exposures": dg.AssetOut(
            description="What was shown to whom, where, what they did with it, and how much that "
            "counts as evidence; a row an exposure.",
            kinds=_KINDS,
            **_OUT,
        ),
        "signal_drops": dg.AssetOut(
            description="Why some events are no evidence, and why some exposures count for less, "
            "with counts.",
            kinds=_KINDS,
            **_OUT,
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
    """What was shown, where, what was done with it; and why some of it is less evidence or none."""
    digest, events = read_batch(wheel.stores, "events", context.partition_key)
    joined = join_exposures(events, generations)
    weighed = weigh(joined.table, generations)
    drops = join_drops(joined.drops, weighed.drops)
    rows = "\n".join(
        f"| {r['reason']} | {r['rows']} | {_UNITS[r['stage']]} |" for r in drops.to_pylist()
    )
    return (
        dg.Output(weighed.table, metadata={PARENTS: [digest], **_weighed_down(weighed)}),
        dg.Output(
            drops,
            metadata={
                PARENTS: [digest],
                "reasons": dg.MetadataValue.md(f"| reason | rows | of |\n|---|---|---|\n{rows}"),
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
    """Exposures that training may learn from: no bots, no one-sided voters, no held-out users.

    Groups who vote together count as one user, and nobody counts beyond a cap.
    """
    kept = training_exposures(exposures)
    return dg.Output(
        kept,
        metadata={
            "left_out": exposures.num_rows - kept.num_rows,
            "kept": kept.num_rows,
            "counts_as": round(pc.sum(kept["weight"]).as_py() or 0.0, 1),
        },
    )


def _weighed_down(weighed: Weighed) -> dict[str, int]:
    """Return how many users were named under each reason, and how many groups vote together."""
    named = weighed.reasons.to_pylist()
    users = {reason: sum(row["reason"] == reason for row in named) for reason in NAMED}
    groups = {row["group"] for row in named if row["group"] is not None}
    return {f"{reason} users": count for reason, count in users.items()} | {
        "coordinated groups": len(groups)
    }
