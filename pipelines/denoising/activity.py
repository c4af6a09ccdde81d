"""Activity: what each user did in each tenant, in counts; it grows with users, not with events."""

from typing import Any, Final

import pyarrow as pa

from pipelines.signals.engines import DUCKDB, Engine
from pipelines.signals.signal_patterns import praised

ACTIVITY: Final = pa.schema(
    [
        pa.field("user_id", pa.string()),
        pa.field("tenant_id", pa.string()),
        pa.field("exposures", pa.int64()),
        pa.field("acted", pa.int64()),  # exposures that the user praised
        pa.field("weight", pa.float64()),  # mean of the exposures, as evidence
        pa.field("heldout", pa.bool_()),
    ]
)


def user_activity(exposures: pa.Table, *, engine: Engine = DUCKDB) -> pa.Table:
    """Count weighed exposures by user and tenant."""
    shown = exposures.select(["user_id", "tenant_id", "weight", "heldout"])
    shown = shown.append_column("acted", pa.array(praised(exposures)))
    return engine.run(_counted, shown=shown).cast(ACTIVITY)


def _counted(shown: Any) -> Any:
    key = ("user_id", "tenant_id")
    return (
        shown.group_by(key)
        .agg(
            exposures=shown.count(),
            acted=shown.acted.cast("int64").sum(),
            weight=shown.weight.mean().round(12),
            heldout=shown.heldout.any(),
        )
        .order_by(key)
    )
