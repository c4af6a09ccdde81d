"""One-sided voters: users who praise one model release nearly always and all others never."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.signals.adversaries import wilson_lower
from pipelines.signals.signal_patterns import praised
from pipelines.signals.signal_table import BoolArray, FloatArray


def find_one_sided(
    exposures: pa.Table, generations: pa.Table, *, always: float = 0.5, never: float = 0.2
) -> list[str]:
    """Name the users who praise one model release nearly always and all others nearly never.

    Surely more than *always* of what they see of one release, and surely less than *never* of
    the others (Wilson's interval at two standard errors): somebody who merely prefers a
    release likes some of the rest, and passes.

    Args:
        exposures: EXPOSURE rows.
        generations: generation_id, model_release; without that column nobody is named. What has no
            release is one of its own.
        always: share in [0, 1].
        never: share in [0, 1].

    Returns:
        User ids, sorted.
    """
    if exposures.num_rows == 0 or "model_release" not in generations.column_names:
        return []
    named = generations["model_release"].combine_chunks()
    releases = named.dictionary_encode(null_encoding="encode")
    if len(releases.dictionary) < 2:
        return []
    at = pc.index_in(
        exposures["generation_id"], value_set=generations["generation_id"].combine_chunks()
    ).to_numpy()
    release = releases.indices.to_numpy()[at]
    users = pc.dictionary_encode(exposures["user_id"].combine_chunks())
    index, sides = users.indices.to_numpy(), len(releases.dictionary)
    gave = praised(exposures).astype(np.float64)
    cell = index * sides + release
    shape = (len(users.dictionary), sides)
    size = shape[0] * shape[1]
    given = np.bincount(cell, weights=gave, minlength=size).reshape(shape).astype(np.float64)
    seen = np.bincount(cell, minlength=size).reshape(shape).astype(np.float64)
    sided = praise_one_side(given, seen, always=always, never=never)
    names = np.array(users.dictionary.to_pylist(), dtype=object)
    return sorted(names[sided].tolist())


def praise_one_side(
    given: FloatArray, seen: FloatArray, *, always: float = 0.5, never: float = 0.2
) -> BoolArray:
    """Say of each user whether praise goes to one release only; as `find_one_sided`.

    Args:
        given: (u, r) exposures praised by user and release.
        seen: (u, r) exposures.
        always: share in [0, 1].
        never: share in [0, 1].
    """
    rest_given = given.sum(axis=1, keepdims=True) - given
    rest_seen = seen.sum(axis=1, keepdims=True) - seen
    low = wilson_lower(given, np.maximum(seen, 1.0), confidence=2.0)
    # The upper end for praise is one less the lower end for its absence.
    absent = wilson_lower(rest_seen - rest_given, np.maximum(rest_seen, 1.0), confidence=2.0)
    sides = (low > always) & (seen > 0) & (1 - absent < never) & (rest_seen > 0)
    sided: BoolArray = sides.any(axis=1)
    return sided
