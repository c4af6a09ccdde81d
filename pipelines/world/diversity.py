"""How different two pictures for one prompt are, in what the prompt leaves open.

The sky and the places of the objects are free; colours, shapes and counts are not. Speckles and
wrong colours therefore do not pass for diversity, and a policy that always draws one picture
scores 0.
"""

import numpy as np
import numpy.typing as npt

from pipelines.world.scenes import GROUND_Y
from pipelines.world.truth import palette_classes

Bools = npt.NDArray[np.bool_]


def layout_distance(
    first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float64]:
    """Return the (n,) distance in [0, 1] between n pairs of (n, 32, 32, 3) pictures.

    Mean of: the skies differ (0 or 1), and the Jaccard distance of the columns that hold objects.
    """
    sky_a, columns_a = _layout(first)
    sky_b, columns_b = _layout(second)
    either = (columns_a | columns_b).sum(1)
    both = (columns_a & columns_b).sum(1)
    apart = np.where(either > 0, 1.0 - both / np.maximum(either, 1), 0.0)
    return ((sky_a != sky_b) + apart) / 2.0


def film_distance(
    first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float64]:
    """Return the (n,) distance in [0, 1] between n pairs of (n, frames, 32, 32, 3) films.

    That of their first frames: the sky and where things start are free, while what happens then
    was asked for. Over all frames, another motion and what vanished would pass for diversity.
    """
    return layout_distance(first[:, 0], second[:, 0])


def _layout(
    pictures: npt.NDArray[np.uint8],
) -> tuple[Bools, Bools]:
    classes = palette_classes(pictures)[:, :GROUND_Y]
    night: Bools = (classes == 1).sum((1, 2)) > (classes == 0).sum((1, 2))
    columns: Bools = np.any(classes >= 4, axis=1)
    return night, columns
