"""Pictures and films as files, whichever they are."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from backbone.films import is_film, read_film, stack_films, write_film
from backbone.pictures import stack_pngs, write_png

Pixels = npt.NDArray[np.uint8]


_PNG: Final = b"\x89PNG\r\n\x1a\n"


def modality_of(content: bytes) -> str:
    """Tell by the first bytes: PNG is an image, MP4 a video, anything else text."""
    if content.startswith(_PNG):
        return "image"
    return "video" if is_film(content) else "text"


def write_media(pixels: Pixels) -> bytes:
    """Encode a picture (height, width, 3) as PNG, a film (frames, height, width, 3) as MP4."""
    return write_png(pixels) if pixels.ndim == 3 else write_film(pixels)


def stack_media(contents: Sequence[bytes]) -> Pixels:
    """Decode n pictures, or n films, of one size to one array.

    Raises:
        FlywheelError: pictures and films are mixed, sizes differ, one is not readable, or there
            is none.
    """
    films = bool(contents) and is_film(contents[0])
    return stack_films(contents) if films else stack_pngs(contents)


def as_png(content: bytes) -> bytes:
    """Return a picture as it is, and a film as a strip: its frames side by side as one PNG.

    Raises:
        FlywheelError: a film that is not readable.
    """
    if not is_film(content):
        return content
    frames = read_film(content)
    gap = np.full((frames.shape[1], 1, 3), 255, np.uint8)
    parts = [part for frame in frames for part in (gap, frame)]
    return write_png(np.concatenate(parts[1:], axis=1))
