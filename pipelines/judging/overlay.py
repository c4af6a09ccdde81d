"""A heat map drawn over its picture or film."""

from typing import Final

import numpy as np
import numpy.typing as npt

from backbone.films import is_film, read_film
from backbone.pictures import read_png, write_png

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

_SIDE: Final = 128  # pixels of a frame's shorter side, at least
_HOT: Final = np.array([226, 32, 32], np.float64)
_EDGE: Final = np.array([255, 255, 255], np.uint8)
_VEIL: Final = 0.85  # how much of the picture the hottest token covers
_LINE: Final = 2  # pixels


def overlay_png(content: bytes, heat: Floats, pointed: Floats) -> bytes:
    """Draw *heat* in red over a picture or a film's frames, and lines around what was pointed at.

    The hottest token is drawn at full strength, so that even a faint map shows where it is
    hottest. A line runs around the tokens that at least half as many people as anywhere pointed at.

    Args:
        content: PNG or MP4.
        heat: (rows, columns), or (frames, rows, columns) of a film; at least 0.
        pointed: the same shape.

    Raises:
        FlywheelError: media that cannot be read.
    """
    drawn = read_film(content) if is_film(content) else read_png(content)[None]
    maps, marks = (each.reshape(len(drawn), *each.shape[-2:]) for each in (heat, pointed))
    most, top = max(float(maps.max()), 1e-9), float(marks.max())
    parts = []
    for frame, hot, mark in zip(drawn, maps, marks, strict=True):
        large = _enlarged(frame)
        veil = _stretched(hot / most, large)[..., None] * _VEIL
        grey = large.mean(-1, keepdims=True) * 0.6 + 80  # so that red means heat alone
        shown = (grey * (1 - veil) + _HOT * veil).clip(0, 255).astype(np.uint8)
        if top > 0:
            shown[_outline(_stretched(mark, large) >= top / 2)] = _EDGE
        parts += [shown, np.full((len(shown), 4, 3), 255, np.uint8)]
    return write_png(np.concatenate(parts[:-1], axis=1))


def _enlarged(frame: Pixels) -> Pixels:
    times = max(1, -(-_SIDE // min(frame.shape[:2])))
    return frame.repeat(times, axis=0).repeat(times, axis=1)


def _stretched(cells: Floats, large: Pixels) -> Floats:
    """Return *cells* at the size of the *large* picture, each as large as its token."""
    height, width = large.shape[:2]
    rows = np.arange(height) * cells.shape[0] // height
    columns = np.arange(width) * cells.shape[1] // width
    return cells[rows[:, None], columns]


def _outline(inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the pixels inside that lie near the outside or the picture's edge."""
    padded = np.pad(inside, _LINE)
    around = [np.roll(padded, shift, axis) for axis in (0, 1) for shift in (-_LINE, _LINE)]
    core = np.logical_and.reduce(around)[_LINE:-_LINE, _LINE:-_LINE]
    outline: npt.NDArray[np.bool_] = inside & ~core
    return outline
