"""The image door: what an image claims is checked before anything decodes it."""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Final

from data_contracts.errors import FlywheelError

MAX_BYTES: Final = 32 << 20
MAX_PIXELS: Final = 16 << 20  # 4096 x 4096

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"


def check_image(
    image: bytes, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS
) -> tuple[int, int]:
    """Check that *image* is one whole still PNG within the caps.

    The size is read from the header, so that an image too large is refused before decoding.

    Returns:
        Width and height in pixels.

    Raises:
        FlywheelError: another format, above a cap, damaged, animated, or with bytes after its end.
    """
    if len(image) > max_bytes:
        raise FlywheelError(f"image refused: {len(image):,} bytes, at most {max_bytes:,} allowed")
    if not image.startswith(_SIGNATURE):
        raise FlywheelError("image refused: not a PNG, the only format taken in")
    chunks = _chunks(image)
    kind, header = next(chunks, (b"", b""))
    if kind != b"IHDR" or len(header) != 13:
        raise FlywheelError("image refused: the PNG has no header")
    width, height = struct.unpack(">II", header[:8])
    if not 0 < width * height <= max_pixels:
        raise FlywheelError(
            f"image refused: its header claims {width:,} x {height:,} pixels, "
            f"at most {max_pixels:,} in all are allowed"
        )
    if any(kind == b"acTL" for kind, _ in chunks):
        raise FlywheelError("image refused: it is animated; send a still image")
    _decode(image)
    return width, height


def _chunks(image: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Walk the chunks up to the end mark, checking length, checksum and that nothing follows."""
    at = len(_SIGNATURE)
    while at + 12 <= len(image):
        length, kind = struct.unpack(">I4s", image[at : at + 8])
        body = image[at + 8 : at + 8 + length]
        end = at + 12 + length
        if end > len(image):
            break
        if zlib.crc32(kind + body) != struct.unpack(">I", image[end - 4 : end])[0]:
            raise FlywheelError("image refused: a checksum in the PNG is wrong")
        yield kind, body
        at = end
        if kind == b"IEND":
            if at != len(image):
                raise FlywheelError("image refused: bytes follow the end of the PNG")
            return
    raise FlywheelError("image refused: the PNG is cut off")


def _decode(image: bytes) -> None:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(image), formats=["PNG"]) as picture:
            picture.load()
    # Pillow raises many types on damaged input, SyntaxError among them; all mean the same here.
    except Exception as error:
        raise FlywheelError("image refused: the PNG cannot be decoded") from error
