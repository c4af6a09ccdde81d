"""Critiques: regions, segments and prompt words as what training can aim at.

A critique keeps where it points in the generation's own coordinates. Visual tokens are listed for
the grid that is named beside them; text stays in characters, for how many tokens a word takes is
known only with a tokenizer at hand (`text_mask`).
"""

import json
from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annotation.results.geometry import BoolArray, ResultRefused, covered_tokens

CRITIQUE: Final = pa.schema(
    [
        pa.field("critique_id", pa.string(), nullable=False),  # the annotation's
        pa.field("generation_id", pa.string(), nullable=False),
        pa.field("annotator_id", pa.string()),
        pa.field("aspect", pa.string()),
        pa.field("reason_code", pa.string()),
        pa.field("tokens", pa.list_(pa.int32())),  # covered visual tokens, row by row from 0
        pa.field("grid", pa.list_(pa.int32())),  # [rows, columns] that *tokens* count in
        pa.field("frames", pa.list_(pa.int32())),  # [first, past the last]
        pa.field("characters", pa.list_(pa.int32())),  # of the generation's text, [first, past]
        pa.field("prompt_characters", pa.list_(pa.int32())),  # that were not satisfied
    ]
)
_KINDS: Final = ("region", "segment", "prompt_span")


def critiques(annotations: pa.Table, *, rows: int, columns: int) -> pa.Table:
    """Return the critique of every region, segment and prompt span; one row an annotation.

    Args:
        annotations: rows of the annotation contract.
        rows: of the grid of visual tokens that pictures have.
        columns: of that grid.
    """
    pointing = annotations.filter(
        pc.and_(
            pc.is_in(annotations["kind"], value_set=pa.array(_KINDS)),
            pc.is_valid(annotations["geometry"]),
        )
    ).sort_by("annotation_id")
    places = [json.loads(each) for each in pointing["geometry"].to_pylist()]
    of_prompt = pc.equal(pointing["kind"], "prompt_span").to_pylist()
    areas = ["box" in place or "mask" in place for place in places]
    tokens = [
        np.flatnonzero(covered_tokens(written, rows=rows, columns=columns)).tolist()
        if area
        else None
        for written, area in zip(pointing["geometry"].to_pylist(), areas, strict=True)
    ]
    spans = [place.get("span") for place in places]
    return pa.table(
        {
            "critique_id": pointing["annotation_id"],
            "generation_id": pointing["generation_id"],
            "annotator_id": pointing["annotator_id"],
            "aspect": pointing["aspect"],
            "reason_code": pointing["reason_code"],
            "tokens": tokens,
            "grid": [[rows, columns] if area else None for area in areas],
            "frames": [place.get("frames") for place in places],
            "characters": [
                None if here else span for span, here in zip(spans, of_prompt, strict=True)
            ],
            "prompt_characters": [
                span if here else None for span, here in zip(spans, of_prompt, strict=True)
            ],
        },
        schema=CRITIQUE,
    )


def visual_mask(tokens: Sequence[int], grid: Sequence[int]) -> BoolArray:
    """Return the (rows, columns) mask of a critique's *tokens* in its *grid*."""
    rows, columns = grid
    mask = np.zeros(rows * columns, dtype=np.bool_)
    mask[list(tokens)] = True
    return mask.reshape(rows, columns)


def frame_mask(frames: Sequence[int], *, total: int, steps: int) -> BoolArray:
    """Say which of a film's *steps* of visual tokens a segment lies on, wholly or in part.

    Args:
        frames: [first, past the last], from 0.
        total: frames of the film.
        steps: how many equal steps of time its tokens have; at most *total*.

    Raises:
        ResultRefused: the segment lies outside the film.
    """
    first, last = frames
    if not 0 <= first < last <= total:
        raise ResultRefused("a segment outside its film")
    mask = np.zeros(steps, dtype=np.bool_)
    mask[first * steps // total : (last * steps - 1) // total + 1] = True
    return mask


def text_mask(text: str, span: Sequence[int], sizes: Sequence[int]) -> BoolArray:
    """Say which tokens of a byte-level tokenizer a passage lies on, wholly or in part.

    Args:
        text: that was tokenised; only its length in UTF-8 matters.
        span: [first, past the last] characters (code points), from 0.
        sizes: how many bytes of *text* each token holds, in order; 0 for a token that holds none.

    Returns:
        (tokens,) mask.

    Raises:
        ResultRefused: the passage lies outside the text, or the tokens do not add up to it.

    Example:
        "é" takes two bytes, so that the word after it begins one byte later than it looks:

        >>> text_mask("é red", [2, 5], [3, 2, 1]).tolist()
        [False, True, True]
    """
    first, last = span
    if not 0 <= first < last <= len(text):
        raise ResultRefused("a passage outside its text")
    if sum(sizes) != len(text.encode()):
        raise ResultRefused(
            f"tokens of {sum(sizes)} bytes for a text of {len(text.encode())}; "
            "tokenise the text that was marked"
        )
    begins, ends = (len(text[:at].encode()) for at in (first, last))
    after = np.cumsum(np.asarray(sizes, dtype=np.int64))
    before = after - np.asarray(sizes, dtype=np.int64)
    mask: BoolArray = (before < ends) & (after > begins) & (after > before)
    return mask
