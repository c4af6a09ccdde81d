"""The lead's view says who wants a word, and never on a mean alone."""

import base64

import pyarrow as pa
import pytest

from annotation.quality import ANNOTATOR_QUALITY, ASPECT_AGREEMENT
from pipelines.labelling.quality_page import agreement_page, concerns, quality_page

CAREFUL = {
    "annotator_id": "ann-1", "answers": 100, "median_s": 8.0, "hasty": 0.0,
    "shared": 90, "agrees": 0.8, "agrees_low": 0.7, "agrees_high": 0.87,
    "sided": 80, "left_share": 0.52, "left_low": 0.41, "left_high": 0.63,
    "drift": 0.01, "drift_low": -0.1, "drift_high": 0.12,
    "pace": 1.0, "pace_low": 0.9, "pace_high": 1.1,
    "trend": None, "trend_low": None, "trend_high": None,
    "predicted": 0, "kept": None, "kept_low": None, "kept_high": None,
    "anchored": None, "anchored_low": None, "anchored_high": None,
    "gold": 20, "gold_right": 0.9, "gold_low": 0.7, "gold_high": 0.97,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({}, []),
        ({"agrees": 0.55, "agrees_low": 0.45, "agrees_high": 0.65}, ["agrees less than others"]),
        ({"agrees": 0.2, "agrees_low": 0.1, "agrees_high": 0.3}, ["says the opposite of others"]),
        ({"left_low": 0.55, "left_high": 0.8}, ["prefers the left"]),
        ({"left_low": 0.2, "left_high": 0.4}, ["prefers the right"]),
        ({"hasty": 0.3}, ["answers in a hurry"]),
        ({"drift_high": -0.02}, ["agrees less than before"]),
        ({"trend_high": -0.01}, ["agrees less than before"]),
        ({"pace_low": 3.5}, ["takes far longer than others"]),
        ({"anchored_low": 0.02}, ["follows predictions"]),
        ({"anchored_low": -0.02, "trend_high": 0.1, "pace_low": 2.0}, []),
        ({"gold_high": 0.7}, ["misses gold more than others"]),
        ({"gold_high": 0.7, "gold": 4}, []),
        ({"agrees_high": 0.3, "shared": 4}, []),
        ({"left_low": 0.9, "left_high": 1.0, "sided": 4}, []),
        ({"drift": None, "drift_low": None, "drift_high": None, "hasty": None}, []),
    ],
)
def test_a_word_is_wanted_where_an_interval_says_so(change, says):
    assert concerns(CAREFUL | change, 0.8, 0.85) == says


def test_who_wants_a_word_comes_first_under_a_picture():
    rows = [CAREFUL, CAREFUL | {"annotator_id": "ann-2", "hasty": 0.5},
            CAREFUL | {"annotator_id": "ann-3", "agrees": None, "agrees_low": None,
                       "agrees_high": None, "shared": 0}]  # fmt: skip
    page = quality_page(pa.Table.from_pylist(rows, schema=ANNOTATOR_QUALITY))
    lines = [line for line in page.splitlines() if line.startswith("| ann")]
    assert [line.split(" | ")[0] for line in lines] == ["| annotator", "| ann-2", "| ann-1",
                                                        "| ann-3"]  # fmt: skip
    assert "80 % [70, 87]" in page
    picture = base64.b64decode(page.split("base64,")[1].split(")")[0]).decode()
    places = [picture.index(f">{name}<") for name in ("ann-2", "ann-1", "ann-3")]
    assert places == sorted(places)


def test_agreement_is_told_with_its_interval_or_as_undefined():
    rows = [
        {"kind": "rating", "aspect": "aesthetics", "alpha": 0.61, "low": 0.5, "high": 0.7,
         "answers": 90, "shared": 30, "annotators": 3},
        {"kind": "comparison", "aspect": "overall", "alpha": None, "low": None, "high": None,
         "answers": 4, "shared": 0, "annotators": 2},
    ]  # fmt: skip
    page = agreement_page(pa.Table.from_pylist(rows, schema=ASPECT_AGREEMENT))
    assert "0.61 [0.50, 0.70]" in page
    assert "undefined" in page


def test_nothing_yet_is_said_in_words():
    assert quality_page(ANNOTATOR_QUALITY.empty_table()) == "No answers yet."
    assert agreement_page(ASPECT_AGREEMENT.empty_table()) == "No answers yet."
