"""Where something is wrong, in the generation's own coordinates, and which tokens that covers."""

import json
from collections.abc import Mapping
from itertools import pairwise
from math import ceil, floor, isfinite
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from annotation.client import decode_brush
from data_contracts.errors import FlywheelError

BoolArray = npt.NDArray[np.bool_]
_WIDEST: Final = 8192  # pixels a side: beyond it a mask would be a bomb
_SNAP: Final = 1e-6  # share of a pixel that a percentage loses on its way through JSON


class ResultRefused(FlywheelError):
    """An answer that cannot be believed; its text is the reason, without what was written."""


def box_of(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return a drawn box in pixels, [left, top, width, height], clipped to the picture."""
    width, height = _size(part)
    value = part["value"]
    if _number(value.get("rotation", 0)) != 0 or _number(part.get("image_rotation", 0)) != 0:
        raise ResultRefused("a rotated box, which the interface does not offer")
    x, y, w, h = (_number(value.get(name)) for name in ("x", "y", "width", "height"))
    left, right = (min(max(edge / 100, 0.0), 1.0) * width for edge in (x, x + w))
    top, bottom = (min(max(edge / 100, 0.0), 1.0) * height for edge in (y, y + h))
    if right <= left or bottom <= top:
        raise ResultRefused("a box without area")
    edges = [left, top, right - left, bottom - top]
    return {"box": [round(edge, 4) for edge in edges], "size": [width, height]}


def mask_of(part: Mapping[str, Any]) -> dict[str, Any]:
    """Return a painted mask as runs of unpainted and painted pixels by turns, row by row."""
    width, height = _size(part)
    rle = part["value"].get("rle")
    if part["value"].get("format") != "rle" or not isinstance(rle, list):
        raise ResultRefused("a mask in an unknown format")
    try:
        flat = decode_brush(rle, width * height)
    except (ValueError, TypeError, IndexError, OverflowError):
        raise ResultRefused("a mask that cannot be decoded") from None
    if not flat.any():
        raise ResultRefused("a mask of nothing")
    return {"mask": runs_of(flat), "size": [width, height]}


def frames_of(value: Mapping[str, Any], total: Any) -> dict[str, Any]:
    """Return a segment as [first, past the last] frames from 0; Label Studio counts from 1."""
    ranges = value.get("ranges")
    if not isinstance(ranges, list) or len(ranges) != 1 or not isinstance(ranges[0], dict):
        raise ResultRefused("a segment of none or several ranges")
    first, last = _whole(ranges[0].get("start")), _whole(ranges[0].get("end"))
    if not 1 <= first <= last:
        raise ResultRefused("a segment that ends before it begins")
    if isinstance(total, int) and last > total:
        raise ResultRefused("a segment past the film's end")
    return {"frames": [first - 1, last]}


def span_of(value: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Return a passage as [first, past the last] characters (Unicode code points) from 0."""
    start, end = _whole(value.get("start")), _whole(value.get("end"))
    if not 0 <= start < end <= len(text):
        raise ResultRefused("a passage outside its text")
    return {"span": [start, end]}


def as_json(geometry: Mapping[str, Any]) -> str:
    """Return *geometry* as the contract keeps it."""
    return json.dumps(geometry, separators=(",", ":"))


def runs_of(flat: BoolArray) -> list[int]:
    """Return the lengths of runs of False and True by turns; the first is of False, may be 0."""
    changes = np.flatnonzero(np.diff(flat)) + 1
    edges = [0, *([0] if flat[0] else []), *changes.tolist(), len(flat)]
    return [b - a for a, b in pairwise(edges)]


def mask_from_runs(runs: list[int], *, size: tuple[int, int]) -> BoolArray:
    """Return the (height, width) mask that *runs* describe; *size* is (width, height)."""
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(size[1], size[0])


def covered_tokens(geometry: str, *, rows: int, columns: int) -> BoolArray:
    """Say which visual tokens a box or mask lies on, wholly or in part.

    Args:
        geometry: of a region, as the contract keeps it.
        rows: of the grid that the picture is tokenised into.
        columns: of that grid.

    Returns:
        (rows, columns): a token is covered when any of its area is.

    Raises:
        ResultRefused: the geometry is neither a box nor a mask.
    """
    read = json.loads(geometry)
    covered = np.zeros((rows, columns), dtype=np.bool_)
    if "box" in read:
        width, height = read["size"]
        x, y, w, h = read["box"]
        across = _reach(x, x + w, width, columns)
        down = _reach(y, y + h, height, rows)
        covered[down, across] = True
        return covered
    if "mask" in read:
        width, height = read["size"]
        painted = mask_from_runs(read["mask"], size=(width, height))
        down_at, across_at = np.nonzero(painted)
        # A pixel wider than a token lies on several: both of its edges are marked.
        first_row, last_row = down_at * rows // height, _last(down_at, rows, height)
        first_column, last_column = across_at * columns // width, _last(across_at, columns, width)
        for row in {*first_row.tolist(), *last_row.tolist()}:
            here = (first_row <= row) & (row <= last_row)
            for low, high in {*zip(first_column[here].tolist(), last_column[here].tolist(),
                                   strict=True)}:  # fmt: skip
                covered[row, low : high + 1] = True
        return covered
    raise ResultRefused("a geometry without area covers no visual tokens")


def covered_characters(geometry: str, *, length: int) -> BoolArray:
    """Say which of a text's *length* characters a passage covers.

    Raises:
        ResultRefused: the geometry is no passage of such a text.
    """
    start, end = json.loads(geometry).get("span", (0, 0))
    if not 0 <= start < end <= length:
        raise ResultRefused("a passage outside its text")
    covered = np.zeros(length, dtype=np.bool_)
    covered[start:end] = True
    return covered


def _reach(low: float, high: float, size: int, cells: int) -> slice:
    """Return the cells of *size* pixels that [low, high] overlaps by more than rounding."""
    first = floor((low + _SNAP * size) * cells / size)
    last = ceil((high - _SNAP * size) * cells / size)
    return slice(min(first, cells - 1), max(last, first + 1))


def _last(position: npt.NDArray[np.intp], cells: int, size: int) -> npt.NDArray[np.intp]:
    return ((position + 1) * cells - 1) // size


def _size(part: Mapping[str, Any]) -> tuple[int, int]:
    width, height = _whole(part.get("original_width")), _whole(part.get("original_height"))
    if not (0 < width <= _WIDEST and 0 < height <= _WIDEST):
        raise ResultRefused("a region on a picture of no size")
    return width, height


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ResultRefused("a region whose edges are not numbers")
    return float(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ResultRefused("a region whose edges are not numbers")
    return value
