"""The image door opens for small whole still PNGs and for nothing else."""

import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from PIL import Image

from data_contracts.errors import FlywheelError
from pipelines.intake.images import check_image


def png(width: int = 6, height: int = 4, **options: object) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(out, "PNG", **options)
    return out.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def claiming(width: int, height: int) -> bytes:
    """A tiny PNG whose header claims *width* x *height* pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    rows = chunk(b"IDAT", zlib.compress(bytes(100)))
    return b"\x89PNG\r\n\x1a\n" + header + rows + chunk(b"IEND", b"")


def test_gives_width_and_height() -> None:
    assert check_image(png(6, 4)) == (6, 4)


def test_a_header_of_40000_by_40000_is_refused_before_decoding() -> None:
    bomb = claiming(40_000, 40_000)
    tracemalloc.start()
    with pytest.raises(FlywheelError, match="claims 40,000 x 40,000 pixels") as error:
        check_image(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "\n" not in str(error.value)
    assert peak < 1_000_000


def _other_format() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (6, 4)).save(out, "JPEG")
    return out.getvalue()


def _animated() -> bytes:
    second = Image.new("RGB", (6, 4), (0, 0, 200))
    return png(save_all=True, append_images=[second])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: b"", "not a PNG"),
        (_other_format, "not a PNG"),
        (lambda: png()[:8], "cut off"),
        (lambda: png()[:-20], "cut off"),
        (lambda: png() + b"<script>", "bytes follow"),
        (lambda: png()[:40] + b"!" + png()[41:], "checksum|cut off"),
        (lambda: claiming(0, 4), "claims 0 x 4"),
        (lambda: claiming(500, 500), "cannot be decoded"),
        (lambda: b"\x89PNG\r\n\x1a\n" + chunk(b"IEND", b""), "no header"),
        (_animated, "animated"),
    ],
)
def test_refuses_in_one_sentence(make: Callable[[], bytes], message: str) -> None:
    with pytest.raises(FlywheelError, match=message) as error:
        check_image(make())
    assert "\n" not in str(error.value)


def test_the_caps_are_inclusive() -> None:
    image = png(6, 4)
    assert check_image(image, max_bytes=len(image), max_pixels=24) == (6, 4)
    with pytest.raises(FlywheelError, match="bytes, at most"):
        check_image(image, max_bytes=len(image) - 1)
    with pytest.raises(FlywheelError, match="at most 23"):
        check_image(image, max_pixels=23)
