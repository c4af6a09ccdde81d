"""Answers as rows of the annotation contract, written by hand."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from data_contracts.schemas import ANNOTATION

START = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday


def compared(who, pair, value, *, left=True, seconds=8.0, at=0, turned=False, **more):
    """*who* gives *pair* a value, the smaller id first; the same answer may be written turned."""
    one, other = f"g{pair}a", f"g{pair}b"
    shown = one if left else other
    if turned:
        one, other, value = other, one, -value
    return {
        "annotation_id": f"{who}-{pair}-{at}", "task_id": f"t{pair}", "annotator_id": who,
        "kind": "comparison", "generation_id": one, "other_generation_id": other,
        "aspect": "overall", "value": None if value is None else float(value),
        "scale": "-2..2", "shown_left": shown, "lead_time_s": seconds,
        "updated_at": START + timedelta(seconds=at), **more,
    }  # fmt: skip


def rated(who, generation, value, *, aspect="aesthetics", **more):
    """*who* gives a generation a rating."""
    return {
        "annotation_id": f"{who}-{generation}-{aspect}", "task_id": f"c{generation}",
        "annotator_id": who, "kind": "rating", "generation_id": generation, "aspect": aspect,
        "value": float(value), "scale": "1..5", "lead_time_s": 8.0, "updated_at": START, **more,
    }  # fmt: skip


def table(rows):
    filled = [{name: row.get(name) for name in ANNOTATION.names} for row in rows]
    return pa.Table.from_pylist(filled, schema=ANNOTATION)
