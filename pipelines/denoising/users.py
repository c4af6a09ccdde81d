"""Users: what each of them meant, for everybody with events, trusted or not."""

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.denoising.sightings import Sightings
from pipelines.preferences import IntentFit
from pipelines.signals.query import query
from pipelines.signals.signal_table import INTENTS

USERS: Final = pa.schema(
    [
        pa.field("user_id", pa.string()),
        pa.field("tenant_id", pa.string()),  # one user_id of two tenants is two users
        pa.field("exposures", pa.int64()),
        pa.field("mock_share", pa.float64()),  # of what the user does, how much is mockery
        pa.field("endorse_share", pa.float64()),
        pa.field("indiscriminate_share", pa.float64()),
        pa.field("weight", pa.float64()),  # mean weight of the exposures as evidence, in [0, 1]
        pa.field("heldout", pa.bool_()),
        pa.field("reason", pa.string()),  # why they count for less; null: they count in full
        pa.field("group", pa.int64()),  # whom they vote with, where coordinated
    ]
)

_USERS: Final = """
WITH left_out AS (
    SELECT user_id, tenant_id FROM named WHERE reason IN ('one_sided', 'indiscriminate')
),
seen AS (
    SELECT user_id, tenant_id, CAST(sum(exposures) AS BIGINT) AS exposures,
        sum(weight * exposures) / sum(exposures) AS weight, bool_or(heldout) AS heldout,
        bool_and(weight = 0)
            AND (user_id, tenant_id) NOT IN (SELECT (user_id, tenant_id) FROM left_out) AS bot
    FROM shown GROUP BY user_id, tenant_id
)
SELECT user_id, tenant_id, coalesce(exposures, 0) AS exposures,
    mock_share, endorse_share, indiscriminate_share,
    coalesce(weight, 0.0) AS weight, coalesce(heldout, false) AS heldout,
    CASE WHEN bot THEN 'bot' ELSE coalesce(reason, CASE WHEN heldout THEN 'heldout_user'
        WHEN weight < 1 THEN 'cap' WHEN exposures IS NULL THEN 'no_exposure' END) END AS reason,
    "group"
FROM everybody LEFT JOIN seen USING (user_id, tenant_id)
    LEFT JOIN meant USING (user_id, tenant_id) LEFT JOIN named USING (user_id, tenant_id)
ORDER BY user_id, tenant_id
"""


def user_table(fit: IntentFit, seen: Sightings) -> pa.Table:
    """Return a row per user with events: intents, exposures, and how much is believed.

    A user without a known exposure has the shares of an average new user.
    """
    key = ["user_id", "tenant_id"]
    columns = {
        name: pa.array(ids, pa.string())
        for name, ids in zip(key, (fit.users, fit.tenants), strict=True)
    }
    columns |= {f"{name}_share": fit.user_intents[:, k] for k, name in enumerate(INTENTS)}
    found = query(
        _USERS,
        everybody=seen.everybody,
        shown=seen.activity,
        named=seen.reasons.group_by(key)
        .aggregate([("reason", "min"), ("group", "min")])
        .rename_columns([*key, "reason", "group"]),
        meant=pa.table(columns),
    )
    for name in INTENTS:
        at = found.schema.get_field_index(f"{name}_share")
        filled = pc.fill_null(found.column(at), fit.new_user[name])
        found = found.set_column(at, f"{name}_share", filled)
    return found.select(USERS.names).cast(USERS)
