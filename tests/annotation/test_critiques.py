"""Critiques: what was marked, as masks over tokens; an edit as a comparison."""

import itertools
import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.results import (
    CRITIQUE,
    ResultRefused,
    critiques,
    edits_as_comparisons,
    frame_mask,
    text_mask,
    visual_mask,
)
from data_contracts.schemas import ANNOTATION


def said(**row):
    base = {"annotation_id": "a", "task_id": "t", "annotator_id": "r", "generation_id": "g"}
    return {name: {**base, **row}.get(name) for name in ANNOTATION.names}


def table(*rows):
    return pa.Table.from_pylist(list(rows), schema=ANNOTATION)


def test_each_mark_is_one_critique_where_it_points():
    """A box over the right half of a grid of 2 x 4; frames and characters as they were marked."""
    box = json.dumps({"box": [2, 0, 2, 2], "size": [4, 2]})
    rows = table(
        said(annotation_id="b", kind="region", reason_code="noise", geometry=box),
        said(annotation_id="a", kind="segment", geometry=json.dumps({"frames": [2, 9]})),
        said(annotation_id="d", kind="prompt_span", geometry=json.dumps({"span": [4, 7]})),
        said(annotation_id="c", kind="region", geometry=json.dumps({"span": [0, 3]})),
        said(annotation_id="e", kind="comparison", value=1.0),
        said(annotation_id="f", kind="region"),
    )
    found = critiques(rows, rows=2, columns=4)
    assert found.schema == CRITIQUE
    assert found["critique_id"].to_pylist() == ["a", "b", "c", "d"]
    assert found["tokens"].to_pylist() == [None, [2, 3, 6, 7], None, None]
    assert found["grid"].to_pylist() == [None, [2, 4], None, None]
    assert found["frames"].to_pylist() == [[2, 9], None, None, None]
    assert found["characters"].to_pylist() == [None, None, [0, 3], None]
    assert found["prompt_characters"].to_pylist() == [None, None, None, [4, 7]]
    mask = visual_mask(*(found[name][1].as_py() for name in ("tokens", "grid")))
    assert mask.tolist() == [[False, False, True, True]] * 2


def test_no_marks_are_no_critiques():
    assert critiques(ANNOTATION.empty_table(), rows=8, columns=8).equals(CRITIQUE.empty_table())


@given(st.integers(1, 60), st.integers(1, 60), st.data())
def test_a_segment_lies_on_the_steps_that_share_a_frame_with_it(total, steps, data):
    steps = min(steps, total)
    first = data.draw(st.integers(0, total - 1))
    last = data.draw(st.integers(first + 1, total))
    mask = frame_mask([first, last], total=total, steps=steps)
    edges = [(k * total / steps, (k + 1) * total / steps) for k in range(steps)]
    expected = [low < last and high > first for low, high in edges]
    assert mask.tolist() == expected


@given(st.text(min_size=1, max_size=40), st.data())
def test_a_passage_lies_on_the_tokens_that_hold_a_byte_of_it(text, data):
    first = data.draw(st.integers(0, len(text) - 1))
    last = data.draw(st.integers(first + 1, len(text)))
    total = len(text.encode())
    cuts = sorted(data.draw(st.sets(st.integers(1, max(total - 1, 1)), max_size=total)) - {total})
    edges = [0, *cuts, total]
    sizes = [b - a for a, b in itertools.pairwise(edges)]
    of_passage = np.repeat(False, total)
    of_passage[len(text[:first].encode()) : len(text[:last].encode())] = True
    expected = [bool(of_passage[a:b].any()) for a, b in itertools.pairwise(edges)]
    assert text_mask(text, [first, last], sizes).tolist() == expected


def test_tokens_without_text_are_never_marked():
    assert text_mask("red", [0, 3], [0, 3, 0]).tolist() == [False, True, False]


@pytest.mark.parametrize(("span", "sizes"), [([0, 9], [3]), ([2, 2], [3]), ([0, 1], [2])])
def test_a_passage_of_another_text_is_refused(span, sizes):
    with pytest.raises(ResultRefused):
        text_mask("red", span, sizes)


def test_an_edit_is_a_comparison_that_the_edited_version_wins():
    rows = table(
        said(annotation_id="a", kind="edit", generation_id="before", other_generation_id="after"),
        said(annotation_id="b", kind="edit", generation_id="before", other_generation_id="after",
             aspect="aesthetics"),
        said(annotation_id="c", kind="rating", value=3.0, scale="1..5"),
        said(annotation_id="d", kind="edit"),
        said(annotation_id="e", kind="comment", text="x"),
    )  # fmt: skip
    found = edits_as_comparisons(rows)
    assert found.schema == ANNOTATION
    assert found["kind"].to_pylist() == ["comparison", "comparison", "rating", "edit", "comment"]
    assert found["value"].to_pylist() == [-1.0, -1.0, 3.0, None, None]
    assert found["aspect"].to_pylist() == ["overall", "aesthetics", None, None, None]
    assert found["scale"].to_pylist() == ["-2..2", "-2..2", "1..5", None, None]
