"""Regions in the generation's own coordinates, and exactly the tokens that cover them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_studio_sdk.converter.brush import encode_rle

from annotation.results import ResultRefused, covered_characters, covered_tokens
from annotation.results.geometry import (
    as_json,
    box_of,
    frames_of,
    mask_from_runs,
    mask_of,
    runs_of,
    span_of,
)


def drawn(x, y, width, height, *, size=(64, 32)):
    value = {"x": x, "y": y, "width": width, "height": height, "rotation": 0}
    return {"original_width": size[0], "original_height": size[1], "image_rotation": 0,
            "value": value}  # fmt: skip


def painted(mask):
    height, width = mask.shape
    rgba = np.repeat((mask * 255).astype(np.uint8).reshape(-1, 1), 4, axis=1)
    return {"original_width": width, "original_height": height,
            "value": {"format": "rle", "rle": encode_rle(rgba.reshape(-1))}}  # fmt: skip


def test_a_box_in_percent_ends_in_pixels():
    """25 % of 64 is 16, 50 % of 32 is 16, 12.5 % of 64 is 8, 25 % of 32 is 8."""
    assert box_of(drawn(25, 50, 12.5, 25)) == {"box": [16, 16, 8, 8], "size": [64, 32]}


def test_a_box_on_token_edges_covers_those_tokens_and_no_neighbour():
    """A grid of 4 x 8 on 64 x 32 pixels has tokens of 8 x 8: the box is token row 2, column 2."""
    covered = covered_tokens(as_json(box_of(drawn(25, 50, 12.5, 25))), rows=4, columns=8)
    assert np.argwhere(covered).tolist() == [[2, 2]]


def test_a_box_that_reaches_into_a_token_covers_it():
    covered = covered_tokens(as_json(box_of(drawn(25, 50, 12.6, 25.1))), rows=4, columns=8)
    assert np.argwhere(covered).tolist() == [[2, 2], [2, 3], [3, 2], [3, 3]]


def test_a_box_over_the_edge_is_clipped():
    assert box_of(drawn(-10, 90, 20, 20))["box"] == [0, 28.8, 6.4, 3.2]


@given(st.integers(0, 2**32 - 1))
def test_painted_pixels_come_back_and_cover_the_tokens_they_lie_on(seed):
    rng = np.random.default_rng(seed)
    mask = np.zeros((32, 64), dtype=bool)
    rows, columns = rng.integers(0, 32, 5), rng.integers(0, 64, 5)
    mask[rows, columns] = True
    geometry = mask_of(painted(mask))
    again = mask_from_runs(geometry["mask"], size=(64, 32))
    np.testing.assert_array_equal(again, mask)
    covered = covered_tokens(as_json(geometry), rows=4, columns=8)
    expected = mask.reshape(4, 8, 8, 8).any(axis=(1, 3))
    np.testing.assert_array_equal(covered, expected)


def test_a_pixel_larger_than_a_token_covers_all_of_its_tokens():
    """One painted pixel of 2 x 2 on a grid of 4 x 4 is a quarter: 2 x 2 tokens."""
    mask = np.array([[False, True], [False, False]])
    geometry = as_json({"mask": runs_of(mask.reshape(-1)), "size": [2, 2]})
    covered = covered_tokens(geometry, rows=4, columns=4)
    assert np.argwhere(covered).tolist() == [[0, 2], [0, 3], [1, 2], [1, 3]]


@given(st.lists(st.booleans(), min_size=1, max_size=50))
def test_runs_are_lossless(values):
    flat = np.array(values)
    runs = runs_of(flat)
    np.testing.assert_array_equal(np.repeat(np.arange(len(runs)) % 2 == 1, runs), flat)


def test_frames_count_from_nought_and_end_past_the_last():
    assert frames_of({"ranges": [{"start": 3, "end": 11}]}, 36) == {"frames": [2, 11]}


def test_passages_are_code_points():
    text = "a 💡 b"
    assert span_of({"start": 2, "end": 3}, text) == {"span": [2, 3]}
    covered = covered_characters(json.dumps({"span": [2, 3]}), length=len(text))
    assert "".join(c for c, here in zip(text, covered, strict=True) if here) == "💡"


def test_what_cannot_be_is_refused():
    bomb = {"original_width": 8192, "original_height": 8192,
            "value": {"format": "rle", "rle": [255] * 64}}  # fmt: skip
    empty = painted(np.zeros((4, 4), dtype=bool))
    wide = drawn(0, 0, 10, 10, size=(10**9, 10))
    wrong = [(mask_of, bomb), (mask_of, empty), (box_of, wide),
             (box_of, drawn(0, 0, float("nan"), 5)), (box_of, drawn(0, 0, True, 5))]  # fmt: skip
    for refuse, part in wrong:
        with pytest.raises(ResultRefused):
            refuse(part)
    for ranges in ([], [{"start": 0, "end": 4}], [{"start": 4, "end": 99}], [{"start": "1"}]):
        with pytest.raises(ResultRefused):
            frames_of({"ranges": ranges}, 36)
