"""The film door: what a film claims is checked before anything decodes it."""

from typing import Final

from backbone.films import read_film
from data_contracts.errors import FlywheelError

MAX_BYTES: Final = 256 << 20


def check_film(film: bytes, *, max_bytes: int = MAX_BYTES) -> tuple[int, int, int]:
    """Check that *film* is one whole H.264 film in MP4 within the caps.

    Its size is read from the header, so that a film too large is refused before decoding.

    Returns:
        Frames, and their width and height in pixels.

    Raises:
        FlywheelError: another format, above a cap, or damaged.
    """
    if len(film) > max_bytes:
        raise FlywheelError(f"film refused: {len(film):,} bytes, at most {max_bytes:,} allowed")
    frames, height, width, _ = read_film(film).shape
    return frames, width, height
