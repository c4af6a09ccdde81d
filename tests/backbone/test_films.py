"""Films as H.264: what is written is read back, and what is hostile is refused."""

import contextlib
from io import BytesIO

import av
import numpy as np
import pytest

from backbone import films
from backbone.films import is_film, read_film, stack_films, write_film
from backbone.media import as_png, stack_media, write_media
from backbone.pictures import read_png, write_png
from data_contracts.errors import FlywheelError


def film(frames: int = 4, seed: int = 0) -> np.ndarray:
    """Coarse patches of strong colours, as a tokenizer draws them."""
    rng = np.random.default_rng(seed)
    patches = rng.integers(0, 256, (frames, 4, 6, 3), dtype=np.uint8)
    return patches.repeat(4, axis=1).repeat(4, axis=2)


def encoded(pixels: np.ndarray, *, codec: str = "libx264", says: str = "") -> bytes:
    out = BytesIO()
    with av.open(out, "w", format="mp4") as file:
        file.metadata["comment"] = says
        stream = file.add_stream(codec, rate=2)
        stream.height, stream.width, stream.pix_fmt = *pixels.shape[1:3], "yuv420p"
        for frame in pixels:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())
    return out.getvalue()


def test_frames_come_back_all_but_equal():
    shown = film()
    again = read_film(write_film(shown))
    assert again.shape == shown.shape
    assert again.dtype == np.uint8
    apart = np.abs(again.astype(int) - shown.astype(int))
    assert apart.mean() < 2
    assert apart.max() < 16


def test_frames_and_rate_are_read_without_decoding(monkeypatch):
    content = write_film(film(3))
    monkeypatch.setattr(films, "_decoded", None)
    assert films.film_timing(content) == (3, films.RATE)
    with pytest.raises(FlywheelError, match="not an MP4"):
        films.film_timing(write_png(film()[0]))
    with pytest.raises(FlywheelError, match="not H"):
        films.film_timing(encoded(film(), codec="mpeg4"))


@pytest.mark.parametrize("says", ["", "pixel block ", "pixel block 0", "pixel block 999", "x"])
def test_a_film_of_anybody_else_is_read_as_it_is(says):
    assert read_film(encoded(film(), says=says)).shape == film().shape


def test_the_same_frames_are_the_same_bytes():
    assert write_film(film()) == write_film(film())
    assert write_film(film()) != write_film(film(seed=1))
    assert is_film(write_film(film()))
    assert not is_film(write_png(film()[0]))
    assert not is_film(b"")


def test_the_file_is_what_browsers_play():
    with av.open(BytesIO(write_film(film()))) as file:
        stream = file.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert (stream.width, stream.height) == (24 * 8, 16 * 8)
        assert float(stream.average_rate) == films.RATE
        assert stream.frames == 4


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not an MP4"),
        (write_png(film()[0]), "not an MP4"),
        (write_film(film())[:300], "not a readable MP4"),
        (b"\0\0\0\x20ftypisom" + bytes(500), "not a readable MP4"),
        (encoded(film()[:, :12, :20], says="pixel block 8"), "which do not fit"),
        (encoded(film(), codec="mpeg4"), "not H.264"),
    ],
    ids=["empty", "png", "cut off", "hollow", "odd blocks", "another codec"],
)
def test_refuses_what_it_cannot_read(content, says):
    with pytest.raises(FlywheelError, match=says):
        read_film(content)


def test_refuses_large_and_long_films(monkeypatch):
    content = write_film(film())
    monkeypatch.setattr(films, "MAX_PIXELS", 24 * 16 * 64 - 1)
    with pytest.raises(FlywheelError, match="192 x 128 pixels refused"):
        read_film(content)
    monkeypatch.undo()
    monkeypatch.setattr(films, "MAX_FRAMES", 3)
    with pytest.raises(FlywheelError, match="more than 3 frames"):
        read_film(content)


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_film_is_read_or_refused_but_never_crashes(seed):
    content = bytearray(write_film(film()))
    rng = np.random.default_rng(seed)
    for place in rng.integers(8, len(content), 12):
        content[place] = rng.integers(256)
    with contextlib.suppress(FlywheelError):
        assert read_film(bytes(content)).ndim == 4


def test_films_and_pictures_are_stacked_by_their_first_bytes():
    one, other = film(), film(seed=1)
    both = stack_media([write_media(one), write_media(other)])
    assert both.shape == (2, *one.shape)
    np.testing.assert_array_equal(both[1], read_film(write_media(other)))
    np.testing.assert_array_equal(stack_media([write_media(one[0])])[0], one[0])
    with pytest.raises(FlywheelError, match="2 sizes"):
        stack_films([write_film(one), write_film(other[:3])])
    with pytest.raises(FlywheelError, match="not an MP4"):
        stack_media([write_media(one), write_media(one[0])])
    with pytest.raises(FlywheelError, match="no films"):
        stack_films([])


def test_a_film_becomes_a_strip_and_a_picture_stays():
    strip = read_png(as_png(write_film(film())))
    assert strip.shape == (16, 4 * 24 + 3, 3)
    np.testing.assert_array_equal(strip[:, 25:49], read_film(write_film(film()))[1])
    assert as_png(write_png(film()[0])) == write_png(film()[0])
