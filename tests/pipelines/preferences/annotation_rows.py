"""Rows of the annotation and generation contracts, short enough to read in a test."""

import pyarrow as pa

from data_contracts.schemas import ANNOTATION


def rating(generation, annotator, value, **other):
    return {"annotator_id": annotator, "kind": "rating", "generation_id": generation,
            "aspect": "overall",
            "value": None if value is None else float(value)} | other  # fmt: skip


def comparison(generation, rival, annotator, value, **other):
    return (
        rating(generation, annotator, value, kind="comparison", other_generation_id=rival) | other
    )


def annotations(rows):
    return pa.Table.from_pylist(
        [{"annotation_id": f"n{n:05d}", "task_id": "k"} | row for n, row in enumerate(rows)],
        schema=ANNOTATION,
    )


def generations(count):
    return pa.table(
        {"generation_id": [f"g{n:04d}" for n in range(count)], "prompt_id": ["q"] * count}
    )
