"""Signal patterns: which signals followed, counted by activity of the user and by position."""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipelines.signals.exposures import training_exposures
from pipelines.signals.query import query
from pipelines.signals.signal_table import SIGNAL_NAMES, pattern_bits

ACTIVITY_BUCKETS: Final = 3

_PATTERNS: Final = """
SELECT pattern, bucket, surface, position, count(*) AS exposures,
    count(DISTINCT user_id) AS users, count(DISTINCT generation_id) AS generations
FROM shown GROUP BY pattern, bucket, surface, position
ORDER BY pattern, bucket, surface, position NULLS FIRST
"""


def signal_patterns(exposures: pa.Table, *, buckets: int = ACTIVITY_BUCKETS) -> pa.Table:
    """Count training exposures by pattern, activity bucket, surface and position.

    The column *signals* names the bits, for people.
    """
    shown = training_exposures(exposures)
    users = pc.dictionary_encode(shown["user_id"].combine_chunks())
    of_user = activity_buckets(users.indices.to_numpy(), len(users.dictionary), buckets=buckets)
    shown = shown.append_column("bucket", pa.array(of_user[users.indices.to_numpy()], pa.int32()))
    counted = query(_PATTERNS, shown=shown.drop_columns(["event_ids"]))
    bits = pattern_bits(counted["pattern"].to_numpy())
    names = [[SIGNAL_NAMES[s] for s in np.flatnonzero(row)] for row in bits]
    return counted.append_column("signals", pa.array(names, pa.list_(pa.string())))


def activity_buckets(
    user_of_exposure: NDArray[np.int64], users: int, *, buckets: int
) -> NDArray[np.int64]:
    """Sort users into *buckets* by how much they were shown; each holds equally many exposures.

    Users with equally many exposures share a bucket, so names and order do not matter.
    """
    shown = np.bincount(user_of_exposure, minlength=users)
    if users == 0:
        return np.zeros(0, dtype=np.int64)
    total = np.cumsum(np.bincount(shown, weights=shown))
    before = np.concatenate([[0.0], total[:-1]])[shown]
    place: NDArray[np.int64] = np.minimum(
        (before * buckets / max(float(total[-1]), 1.0)).astype(np.int64), buckets - 1
    )
    return place
