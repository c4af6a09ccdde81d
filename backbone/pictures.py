"""PNG in and out, with the size checked before a single pixel is decoded."""

from collections.abc import Sequence
from io import BytesIO
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from data_contracts.errors import FlywheelError

Pixels = npt.NDArray[np.uint8]

MAX_PIXELS: Final = 4096 * 4096


def write_png(pixels: Pixels) -> bytes:
    """Encode (height, width, 3) RGB as PNG; the same pixels give the same bytes."""
    out = BytesIO()
    Image.fromarray(pixels, "RGB").save(out, format="PNG", optimize=False, compress_level=6)
    return out.getvalue()


def read_png(data: bytes) -> Pixels:
    """Decode PNG bytes to (height, width, 3) RGB.

    Raises:
        FlywheelError: not a PNG, broken, or more than `MAX_PIXELS` pixels.
    """
    try:
        with Image.open(BytesIO(data), formats=["PNG"]) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise FlywheelError(
                    f"picture of {width} x {height} pixels refused: at most {MAX_PIXELS} pixels "
                    "are decoded; scale it down first"
                )
            return np.asarray(image.convert("RGB"))
    except FlywheelError:
        raise
    # The warning comes as an exception where warnings are errors.
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise FlywheelError(
            f"picture refused: its header claims far more than {MAX_PIXELS} pixels; scale it down"
        ) from None
    # Pillow raises whatever a hostile chunk makes it stumble over, IndexError among it.
    except Exception:
        raise FlywheelError("not a readable PNG; export the picture as PNG again") from None


def stack_pngs(images: Sequence[bytes]) -> Pixels:
    """Decode PNGs of one size to (n, height, width, 3).

    Raises:
        FlywheelError: sizes differ, one is not readable, or there is none.
    """
    if not images:
        raise FlywheelError("no pictures to stack; their size is unknown")
    pictures = [read_png(data) for data in images]
    sizes = {p.shape for p in pictures}
    if len(sizes) > 1:
        raise FlywheelError(
            f"pictures of {len(sizes)} sizes cannot be stacked; pass one size at a time"
        )
    return np.stack(pictures)
