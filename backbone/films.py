"""H.264 in and out, with the size checked before a single frame is decoded.

A film of the tiny backbone is a few small key frames. Each pixel is written as a block of pixels,
so that the halved colour planes of yuv420p, which every browser plays, lose next to nothing; the
file says so itself. Films of anybody else are read as they are.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import Final

import av
import numpy as np
import numpy.typing as npt

from data_contracts.errors import FlywheelError

Pixels = npt.NDArray[np.uint8]

RATE: Final = 2  # frames a second
BLOCK: Final = 8  # pixels of the file a side, for one of the frame
_MARK: Final = "pixel block "  # begins the comment that says how large its blocks are
MAX_PIXELS: Final = 4096 * 4096  # of one frame
MAX_FRAMES: Final = 1024
_QUALITY: Final = "8"  # x264's constant rate factor: invisible loss
_HEADER: Final = b"ftyp"


def is_film(data: bytes) -> bool:
    """Say whether *data* begins as an MP4 file does."""
    return data[4:8] == _HEADER


def write_film(frames: Pixels) -> bytes:
    """Encode (frames, height, width, 3) RGB as MP4; the same frames give the same bytes."""
    out = BytesIO()
    with av.open(out, "w", format="mp4") as container:
        container.metadata["comment"] = f"{_MARK}{BLOCK}"
        stream = container.add_stream("libx264", rate=RATE)
        stream.height, stream.width = (BLOCK * side for side in frames.shape[1:3])
        stream.pix_fmt = "yuv420p"
        # One thread: the same decisions in the same order, however busy the machine.
        stream.options = {"crf": _QUALITY, "preset": "veryfast", "threads": "1"}
        for frame in frames:
            large = np.ascontiguousarray(frame.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(large, format="rgb24")))
        container.mux(stream.encode())
    return out.getvalue()


def read_film(data: bytes) -> Pixels:
    """Decode an MP4 to (frames, height, width, 3) RGB, blocks of pixels back to one each.

    Raises:
        FlywheelError: not H.264 in MP4, broken, or larger than `MAX_PIXELS` a frame or
            `MAX_FRAMES`.
    """
    with _opened(data) as container:
        return _decoded(container, _stream(container))


def film_timing(data: bytes) -> tuple[int, float]:
    """Return how many frames a film says it has, and how many a second; nothing is decoded.

    Raises:
        FlywheelError: as `read_film`, as far as the header tells.
    """
    with _opened(data) as container:
        stream = _stream(container)
        if not stream.frames or not stream.average_rate:
            raise FlywheelError("film refused: its header says no frames; export it again")
        return stream.frames, float(stream.average_rate)


@contextmanager
def _opened(data: bytes) -> Iterator["av.container.InputContainer"]:
    if not is_film(data):
        raise FlywheelError("not an MP4 film; export it as MP4 with H.264")
    try:
        with av.open(BytesIO(data), "r", format="mp4") as container:
            yield container
    except FlywheelError:
        raise
    # libav raises many types on damaged input; all mean the same here.
    except Exception:
        raise FlywheelError("not a readable MP4 film; export it as MP4 with H.264 again") from None


def _stream(container: "av.container.InputContainer") -> "av.VideoStream":
    if not container.streams.video:
        raise FlywheelError("film refused: it has no pictures; export it as MP4 with H.264")
    stream = container.streams.video[0]
    if stream.codec_context.name != "h264":
        raise FlywheelError("film refused: not H.264, the only film format read")
    height, width = stream.height, stream.width
    if not 0 < height * width <= MAX_PIXELS:
        raise FlywheelError(
            f"film of {width} x {height} pixels refused: at most {MAX_PIXELS} pixels a frame are "
            "decoded; scale it down first"
        )
    return stream


def _decoded(container: "av.container.InputContainer", stream: "av.VideoStream") -> Pixels:
    height, width = stream.height, stream.width
    block = _block(container.metadata.get("comment", ""))
    if height % block or width % block:
        raise FlywheelError(
            f"film of {width} x {height} pixels refused: it claims blocks of {block} pixels, which "
            "do not fit; export it again"
        )
    stream.codec_context.thread_count = 1
    frames: list[Pixels] = []
    for frame in container.decode(stream):
        if len(frames) == MAX_FRAMES:
            raise FlywheelError(f"film refused: more than {MAX_FRAMES} frames; cut it first")
        shown = frame.to_ndarray(format="rgb24")
        if shown.shape != (height, width, 3):
            raise FlywheelError("film refused: its frames differ in size; export it again")
        blocks = shown.reshape(height // block, block, width // block, block, 3)
        frames.append(blocks.mean((1, 3)).round().astype(np.uint8))
    if not frames:
        raise FlywheelError("film refused: it has no frames; export it again")
    return np.stack(frames)


def _block(comment: str) -> int:
    """Read the size of a film's blocks from its comment; 1 where it says nothing of them."""
    size = comment.removeprefix(_MARK)
    return int(size) if size != comment and size.isdecimal() and 1 <= int(size) <= 64 else 1


def stack_films(films: Sequence[bytes]) -> Pixels:
    """Decode films of one size and length to (n, frames, height, width, 3).

    Raises:
        FlywheelError: sizes differ, one is not readable, or there is none.
    """
    if not films:
        raise FlywheelError("no films to stack; their size is unknown")
    shown = [read_film(data) for data in films]
    sizes = {film.shape for film in shown}
    if len(sizes) > 1:
        raise FlywheelError(f"films of {len(sizes)} sizes cannot be stacked; pass one at a time")
    return np.stack(shown)
