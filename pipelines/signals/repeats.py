"""Repeats: one user before one generation again and again is one voice, not many.

The click model takes exposures for independent given the class. A few looks at the same generation
nearly are; a hundred, each in a turn of its own, would let one account decide what a generation is.
"""

import numpy as np

from pipelines.signals.signal_table import FloatArray
from pipelines.signals.tenant_users import IntArray


def fresh_share(user: IntArray, item: IntArray, *, most: int) -> FloatArray:
    """Return (e,) how much of each exposure counts, so that no user counts beyond *most* times.

    Of n exposures of one user and generation each counts min(n, *most*) / n. All exposures of a
    generation must be there.

    Args:
        user: (e,) number of the user.
        item: (e,) number of the generation.
        most: exposures of one generation that one user may give, >= 1.

    Example:
        >>> fresh_share(np.array([0, 0, 0, 0, 1]), np.array([5, 5, 5, 5, 5]), most=3)
        array([0.75, 0.75, 0.75, 0.75, 1.  ])
    """
    if len(user) == 0 or int(np.bincount(user).max()) <= most:
        return np.ones(len(user))
    code = user * (int(item.max()) + 1) + item
    _, place, times = np.unique(code, return_inverse=True, return_counts=True)
    share: FloatArray = (np.minimum(times, most) / times)[place]
    return share
