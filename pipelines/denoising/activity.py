"""Activity: what each user did in each tenant, in counts; it grows with users, not with events."""

from typing import Final

import pyarrow as pa

from pipelines.signals.query import query
from pipelines.signals.signal_patterns import praised

ACTIVITY: Final = pa.schema(
    [
        pa.field("user_id", pa.string()),
        pa.field("tenant_id", pa.string()),
        pa.field("exposures", pa.int64()),
        pa.field("acted", pa.int64()),  # exposures that the user praised
        pa.field("weight", pa.float64()),  # of each exposure, as evidence
        pa.field("heldout", pa.bool_()),
    ]
)

_COUNT: Final = """
SELECT user_id, tenant_id, count(*) AS exposures, sum(acted::INT) AS acted,
    min(weight) AS weight, bool_or(heldout) AS heldout
FROM shown GROUP BY user_id, tenant_id ORDER BY user_id, tenant_id
"""


def user_activity(exposures: pa.Table) -> pa.Table:
    """Count weighed exposures by user and tenant: all of one user and tenant weigh the same."""
    shown = exposures.select(["user_id", "tenant_id", "weight", "heldout"])
    shown = shown.append_column("acted", pa.array(praised(exposures)))
    return query(_COUNT, shown=shown).cast(ACTIVITY)
