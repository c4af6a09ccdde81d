import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from backbone.pictures import read_png, stack_pngs, write_png
from data_contracts.errors import FlywheelError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
KINDS = [
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"pHYs",
    b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"acTL", b"fcTL", b"fdAT",
]  # fmt: skip
sizes = st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))
pictures = sizes.flatmap(lambda size: arrays(np.uint8, size))


def chunk(kind: bytes, payload: bytes) -> bytes:
    """A chunk with the right checksum, so that what is in it is really looked at."""
    tail = struct.pack(">I", zlib.crc32(kind + payload))
    return struct.pack(">I", len(payload)) + kind + payload + tail


def header(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


def read_or_refuse(data: bytes) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            picture = read_png(data)
        except FlywheelError:
            return False
    assert picture.dtype == np.uint8
    assert picture.shape[2:] == (3,)
    return True


@given(pixels=pictures)
def test_pixels_come_back_from_the_same_bytes(pixels):
    data = write_png(pixels)
    assert data == write_png(pixels.copy())
    np.testing.assert_array_equal(read_png(data), pixels)


def test_a_view_is_written_like_its_copy():
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(read_png(write_png(pixels[::-1, ::2])), pixels[::-1, ::2])


@pytest.mark.parametrize("side", [40_000, 12_000, 4_097])
def test_a_huge_picture_is_refused_by_its_header(side):
    """16 to 1,600 million pixels are claimed in 60 bytes; to decode them would fail otherwise."""
    bomb = SIGNATURE + header(side, side) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(FlywheelError, match="refused") as refusal:
            read_png(bomb)
    assert "\n" not in str(refusal.value)


@given(pixels=pictures, share=st.floats(0, 1))
def test_a_cut_off_picture_is_never_taken_for_another(pixels, share):
    """Only checksums and the end chunk follow the last pixel: without them nothing is lost."""
    data = write_png(pixels)
    cut = data[: int(share * len(data))]
    assert not read_or_refuse(cut) or np.array_equal(read_png(cut), pixels)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_cut_off_picture_is_refused(share):
    data = write_png(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))
    with pytest.raises(FlywheelError, match="not a readable PNG"):
        read_png(data[: int(share * len(data))])


@given(data=st.binary(max_size=60))
def test_garbage_is_refused(data):
    for wrong in (data, SIGNATURE + data):
        with pytest.raises(FlywheelError, match="not a readable PNG"):
            read_png(wrong)


@pytest.mark.parametrize("other", ["GIF", "JPEG", "BMP"])
def test_another_format_is_refused_whatever_its_name(other):
    from io import BytesIO

    from PIL import Image

    out = BytesIO()
    Image.new("RGB", (4, 4)).save(out, format=other)
    with pytest.raises(FlywheelError, match="not a readable PNG"):
        read_png(out.getvalue())


@settings(max_examples=400, deadline=None)
@given(
    size=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    depth=st.sampled_from([0, 1, 2, 4, 8, 16, 255]),
    colour=st.sampled_from([0, 1, 2, 3, 4, 6, 255]),
    before=st.lists(st.tuples(st.sampled_from(KINDS), st.binary(max_size=40)), max_size=3),
    raw=st.binary(max_size=120),
    after=st.lists(st.tuples(st.sampled_from(KINDS), st.binary(max_size=40)), max_size=2),
)
def test_hostile_chunks_are_read_or_refused_but_never_crash(
    size, depth, colour, before, raw, after
):
    parts = [header(*size, depth, colour), *(chunk(*c) for c in before)]
    parts += [chunk(b"IDAT", zlib.compress(raw)), *(chunk(*c) for c in after)]
    assert read_or_refuse(SIGNATURE + b"".join(parts) + chunk(b"IEND", b"")) in (True, False)


@settings(max_examples=200, deadline=None)
@given(place=st.integers(0, 200), value=st.integers(0, 255), pixels=arrays(np.uint8, (5, 7, 3)))
def test_one_wrong_byte_is_read_or_refused(place, value, pixels):
    data = bytearray(write_png(pixels))
    data[place % len(data)] = value
    assert read_or_refuse(bytes(data)) in (True, False)


def test_pictures_of_one_size_are_stacked_in_order():
    pixels = np.random.default_rng(1).integers(0, 256, (3, 4, 6, 3), dtype=np.uint8)
    np.testing.assert_array_equal(stack_pngs([write_png(p) for p in pixels]), pixels)


def test_pictures_of_two_sizes_are_not_stacked():
    images = [write_png(np.zeros((4, side, 3), np.uint8)) for side in (4, 6)]
    with pytest.raises(FlywheelError, match="2 sizes"):
        stack_pngs(images)


def test_no_pictures_are_not_stacked():
    with pytest.raises(FlywheelError, match="no pictures"):
        stack_pngs([])
