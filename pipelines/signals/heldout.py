"""Held-out users: whose signals training never sees, so that transfer to them can be measured."""

from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


def is_heldout(user_id: str, *, share: float) -> bool:
    """Say whether a user is held out: the same answer on every machine, for ever."""
    place = int.from_bytes(blake2b(user_id.encode(), digest_size=8, person=b"heldout").digest())
    return place < share * 2.0**64


def heldout_rows(user_ids: pa.ChunkedArray, *, share: float) -> NDArray[np.bool_]:
    """Say for each row whether its user is held out; each user is hashed once."""
    if len(user_ids) == 0 or share <= 0:
        return np.zeros(len(user_ids), dtype=bool)
    encoded = pc.dictionary_encode(user_ids.combine_chunks())
    held = np.array([is_heldout(user, share=share) for user in encoded.dictionary.to_pylist()])
    rows: NDArray[np.bool_] = held[encoded.indices.to_numpy()]
    return rows
