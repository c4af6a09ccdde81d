"""Critiques: regions, segments and prompt words as what training can aim at."""

import json
from typing import Final

import numpy as np
import pyarrow as pa

from annotation.results.geometry import covered_tokens

CRITIQUE: Final = pa.schema(
    [
        pa.field("critique_id", pa.string(), nullable=False),  # the annotation's
        pa.field("generation_id", pa.string(), nullable=False),
        pa.field("annotator_id", pa.string()),
        pa.field("aspect", pa.string()),
        pa.field("reason_code", pa.string()),
        pa.field("tokens", pa.list_(pa.int32())),  # covered visual tokens, row by row from 0
        pa.field("frames", pa.list_(pa.int32())),  # [first, past the last]
        pa.field("characters", pa.list_(pa.int32())),  # of the generation's text
        pa.field("prompt_characters", pa.list_(pa.int32())),  # that were not satisfied
    ]
)


def critiques(annotations: pa.Table, *, rows: int, columns: int) -> pa.Table:
    """Return the critique of every region, segment and prompt span; one row an annotation.

    Args:
        annotations: rows of the annotation contract.
        rows: of the grid of visual tokens that pictures have.
        columns: of that grid.
    """
    found = []
    for row in annotations.to_pylist():
        if row["kind"] not in ("region", "segment", "prompt_span") or row["geometry"] is None:
            continue
        geometry = json.loads(row["geometry"])
        area = "box" in geometry or "mask" in geometry
        tokens = (
            np.flatnonzero(covered_tokens(row["geometry"], rows=rows, columns=columns)).tolist()
            if area
            else None
        )
        of_prompt = row["kind"] == "prompt_span"
        found.append(
            {
                "critique_id": row["annotation_id"],
                "generation_id": row["generation_id"],
                "annotator_id": row["annotator_id"],
                "aspect": row["aspect"],
                "reason_code": row["reason_code"],
                "tokens": tokens,
                "frames": geometry.get("frames"),
                "characters": None if of_prompt else geometry.get("span"),
                "prompt_characters": geometry.get("span") if of_prompt else None,
            }
        )
    return pa.Table.from_pylist(found, schema=CRITIQUE)
