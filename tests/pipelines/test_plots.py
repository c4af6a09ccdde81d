"""Pictures in Dagster's metadata: what they draw is read back from their own bytes."""

import base64
import re
from xml.etree import ElementTree

from pipelines.plots import curves_picture, ranges_picture

_SVG = "{http://www.w3.org/2000/svg}"


def drawn(markdown: str) -> ElementTree.Element:
    """Parse the one picture of a Markdown text."""
    (content,) = re.findall(r"!\[[^\]]*\]\(data:image/svg\+xml;base64,([^)]+)\)", markdown)
    return ElementTree.fromstring(base64.b64decode(content))


def texts(picture: ElementTree.Element) -> list[str]:
    return [each.text for each in picture.iter(f"{_SVG}text")]


def test_a_curve_falls_where_its_values_fall():
    """From 3 at step 10 to 1 at step 20: the lower value lies lower, half way at step 15."""
    picture = drawn(curves_picture({"loss": [[10, 3.0], [15, 1.0], [20, 1.0]]}))
    (line,) = picture.iter(f"{_SVG}polyline")
    (x0, y0), (x1, y1), (x2, y2) = [
        tuple(map(float, point.split(","))) for point in line.get("points").split()
    ]
    assert x1 - x0 == x2 - x1 > 0
    assert y1 == y2 > y0  # y counts downwards
    assert set(texts(picture)) == {"loss", "3", "1", "10", "20"}


def test_what_is_no_number_is_left_out_and_one_point_is_a_dot():
    picture = drawn(curves_picture({"loss": [[1, float("nan")], [2, 0.5]], "none": []}))
    assert len(list(picture.iter(f"{_SVG}circle"))) == 1
    assert texts(picture) == ["loss", "0.5", "2", "none"]


def test_a_range_is_drawn_from_low_to_high_with_its_middle_between():
    """Over 0 .. 1 the range .25 .. .75 covers the middle half of the first row's extent."""
    panels = [("agrees", [(0.5, 0.25, 0.75), None, (0.5, 0.0, 1.0)], 0.5)]
    picture = drawn(ranges_picture(["ann-1", "a<b", "ann-3"], panels))
    reference, short, long = [
        (float(line.get("x1")), float(line.get("x2"))) for line in picture.iter(f"{_SVG}line")
    ]
    assert abs((short[1] - short[0]) - (long[1] - long[0]) / 2) < 0.2
    dots = [float(dot.get("cx")) for dot in picture.iter(f"{_SVG}circle")]
    assert dots == [reference[0], reference[0]]
    assert [name for name in texts(picture) if name in ("ann-1", "a<b", "ann-3")] == [
        "ann-1", "a<b", "ann-3",
    ]  # fmt: skip
