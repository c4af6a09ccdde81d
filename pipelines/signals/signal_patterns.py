"""Signal patterns: which signals followed, counted by activity of the user and by position."""

from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.signals.engines import DUCKDB, Engine
from pipelines.signals.exposures import training_exposures
from pipelines.signals.signal_table import SIGNAL_NAMES, BoolArray, has_signal, pattern_bits
from pipelines.signals.tenant_users import number_users

ACTIVITY_BUCKETS: Final = 4
PRAISE: Final = ("like", "download", "share", "upscale", "remix")


def signal_patterns(
    exposures: pa.Table, *, buckets: int = ACTIVITY_BUCKETS, engine: Engine = DUCKDB
) -> pa.Table:
    """Count training exposures by pattern, activity bucket, surface and position.

    The column *signals* names the bits, for people.
    """
    shown = training_exposures(exposures)
    users, user = number_users(shown["user_id"], shown["tenant_id"])
    of_user = activity_buckets(user, praised(shown), len(users), buckets=buckets)
    shown = shown.append_column("bucket", pa.array(of_user[user], pa.int32()))
    shown = shown.append_column("user", pa.array(user))
    counted = engine.run(_counted, shown=shown.drop_columns(["event_ids"]))
    bits = pattern_bits(counted["pattern"].to_numpy())
    names = [[SIGNAL_NAMES[s] for s in np.flatnonzero(row)] for row in bits]
    return counted.append_column("signals", pa.array(names, pa.list_(pa.string())))


def _counted(shown: Any) -> Any:
    key = ("pattern", "bucket", "surface", "position")
    counted = shown.group_by(key).agg(
        exposures=shown.count(),
        users=shown.user.nunique(),
        generations=shown.generation_id.nunique(),
    )
    unknown_first = counted.position.asc(nulls_first=True)
    return counted.order_by([*key[:-1], unknown_first])


def praised(exposures: pa.Table) -> BoolArray:
    """Say for each exposure whether the user did anything that usually means praise."""
    given: BoolArray = np.any([has_signal(exposures, name) for name in PRAISE], axis=0)
    return given


def activity_buckets(
    user_of_exposure: NDArray[np.int64], acted: NDArray[np.bool_], users: int, *, buckets: int
) -> NDArray[np.int64]:
    """Sort users into *buckets* by how readily they act on what they are shown.

    Each bucket holds about equally many users; users equally ready share one, so names and
    order do not matter. Buckets are for people to read; the click model learns each user's
    readiness itself.

    Args:
        user_of_exposure: (e,) user index.
        acted: (e,) whether the user acted (see PRAISE).
        users: how many.
        buckets: how many.
    """
    if users == 0:
        return np.zeros(0, dtype=np.int64)
    shown = np.bincount(user_of_exposure, minlength=users)
    acts = np.bincount(user_of_exposure, weights=acted, minlength=users).astype(np.float64)
    return readiness_buckets(shown, acts, buckets=buckets)


def readiness_buckets(
    shown: NDArray[Any], acts: NDArray[np.float64], *, buckets: int
) -> NDArray[np.int64]:
    """Sort users into *buckets*, as `activity_buckets`, by exposures (u,) and acts (u,)."""
    # Five average exposures stand behind each user, or newcomers would fill the outer buckets.
    ready = (acts + 5 * acts.sum() / max(shown.sum(), 1)) / (shown + 5)
    cuts = np.quantile(ready, np.arange(1, buckets) / buckets)
    bucket: NDArray[np.int64] = np.searchsorted(cuts, ready).astype(np.int64)
    return bucket
