"""Small pictures for Dagster's pages: vector graphics of a few kilobytes, drawn in a millisecond.

They lie in the metadata of every run, so that their size counts. A plotting library takes half a
second to import, a tenth of one to draw each, and its pictures are ten times as large.
"""

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from xml.sax.saxutils import escape

Curve = Sequence[Sequence[float]]
Range = tuple[float, float, float]  # middle, low, high
Panel = tuple[str, Sequence[Range | None], float | None]  # title, a range a row, a line to look at
Scale = Callable[[float], float]

_WIDTH: Final = 840
_COLUMNS: Final = 3
_INK, _PALE, _BLUE = "#57606a", "#d0d7de", "#1f6feb"


def curves_picture(curves: Mapping[str, Curve]) -> str:
    """Draw curves of (step, value) points side by side, as a Markdown image with its own bytes.

    Each has its smallest and largest value, and its first and last step, beside its axes.
    """
    wide, high = _WIDTH // _COLUMNS, 140
    parts = [
        f'<g transform="translate({place % _COLUMNS * wide},{place // _COLUMNS * high})">'
        f"{_curve(name, points)}</g>"
        for place, (name, points) in enumerate(curves.items())
    ]
    rows = -(-len(curves) // _COLUMNS)
    return _image(parts, height=rows * high, told=f"{', '.join(curves)} by step")


def ranges_picture(names: Sequence[str], panels: Sequence[Panel]) -> str:
    """Draw a dot with its interval for each name, panels side by side, as a Markdown image.

    Args:
        names: of the rows, from above.
        panels: a title, a range for each name (None: not known), and where to draw a line.
    """
    left = 24.0 + 6.2 * max((len(name) for name in names), default=0)
    top, row = 26.0, 24.0
    bottom = top + row * len(names)
    parts = [
        _text(left - 8, top + row * (place + 0.5) + 4, name, anchor="end", size=11)
        for place, name in enumerate(names)
    ]
    wide = (_WIDTH - left - 8) / max(len(panels), 1)
    for place, panel in enumerate(panels):
        start = left + place * wide
        parts.append(_ranges(panel, start, start + wide - 18, top=top, bottom=bottom, row=row))
    told = ", ".join(title for title, _, _ in panels)
    return _image(parts, height=int(bottom + 22), told=told)


def _curve(name: str, points: Curve) -> str:
    left, right, top, bottom = 58.0, 268.0, 24.0, 114.0
    known = [(float(x), float(y)) for x, y in points if math.isfinite(y)]
    parts = [_text(left, 15, name, size=12), _box(left, top, right, bottom)]
    if not known:
        return "".join(parts)
    steps, values = zip(*known, strict=True)
    across = _scale(min(steps), max(steps), left + 5, right - 5)
    up = _scale(min(values), max(values), bottom - 6, top + 6)
    for value in sorted({min(values), max(values)}):
        parts.append(_text(left - 5, up(value) + 4, f"{value:.3g}", anchor="end"))
    for step in sorted({min(steps), max(steps)}):
        parts.append(_text(across(step), bottom + 13, f"{step:g}", anchor="middle"))
    line = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in known)
    parts.append(f'<polyline points="{line}" fill="none" stroke="{_BLUE}" stroke-width="1.5"/>')
    if len(known) < 3:
        parts += [_dot(across(x), up(y)) for x, y in known]
    return "".join(parts)


def _ranges(
    panel: Panel, left: float, right: float, *, top: float, bottom: float, row: float
) -> str:
    title, ranges, line = panel
    ends = [end for found in ranges if found is not None for end in found[1:]]
    if line is not None:
        ends.append(line)
    parts = [_text(left, 15, title, size=12), _box(left, top, right, bottom)]
    if not ends:
        return "".join(parts)
    across = _scale(min(ends), max(ends), left + 8, right - 8)
    if line is not None:
        x = f"{across(line):.1f}"
        parts.append(
            f'<line x1="{x}" y1="{top:g}" x2="{x}" y2="{bottom:g}" stroke="{_INK}" '
            'stroke-dasharray="2 3"/>'
        )
    for place, found in enumerate(ranges):
        if found is not None:
            y, (middle, low, high) = top + row * (place + 0.5), found
            parts.append(
                f'<line x1="{across(low):.1f}" y1="{y:g}" x2="{across(high):.1f}" y2="{y:g}" '
                f'stroke="{_BLUE}" stroke-width="1.5"/>{_dot(across(middle), y)}'
            )
    for end in sorted({min(ends), max(ends)}):
        parts.append(_text(across(end), bottom + 14, f"{end:.2g}", anchor="middle"))
    return "".join(parts)


def _scale(low: float, high: float, start: float, end: float) -> Scale:
    """Map low .. high onto start .. end; what has no extent lies in the middle."""
    if high <= low:
        return lambda _: (start + end) / 2
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 10) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{_INK}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )


def _box(left: float, top: float, right: float, bottom: float) -> str:
    return (
        f'<rect x="{left:.1f}" y="{top:g}" width="{right - left:.1f}" height="{bottom - top:g}" '
        f'fill="none" stroke="{_PALE}"/>'
    )


def _dot(x: float, y: float) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{_BLUE}"/>'


def _image(parts: Sequence[str], *, height: int, told: str) -> str:
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(parts)}</svg>'
    )
    content = base64.b64encode(picture.encode()).decode()
    return f"![{told}](data:image/svg+xml;base64,{content})"
