"""Every number of the lead's report, from the answers, what is known, and who was given what."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annotation.confusion import annotator_confusion
from annotation.gold import GOLD, gold_accuracy
from annotation.quality import annotator_quality, aspect_agreement
from annotation.weeks import annotator_weeks
from pipelines.labelling.quality_page import with_concerns

Figures = Mapping[str, Any]
_SAID: Final = ("left", "same", "right", "cannot judge")


def quality_figures(
    annotations: pa.Table,
    *,
    gold: pa.Table | None = None,
    standing: Sequence[Mapping[str, Any]] = (),
    scope: str = "every turn of the wheel",
    rng: np.random.Generator,
) -> Figures:
    """Return what the lead's report says, as plain numbers: ids, never words or pictures.

    Args:
        annotations: rows of the annotation contract.
        gold: rows of `annotation.gold.GOLD`; None: nothing is known.
        standing: annotator_id, given, answered, quarantined; empty if no ledger says so.
        scope: which answers these are, in words.
        rng: draws the bootstrap of agreement.
    """
    known = GOLD.empty_table() if gold is None else gold
    last = pc.max(annotations["updated_at"]).as_py() if annotations.num_rows else None
    kinds = pc.value_counts(annotations["kind"]).to_pylist()
    return {
        **standing_figures(annotations, gold=known, rng=rng),
        "scope": scope,
        "simulated": False,
        "until": None if last is None else last.isoformat(timespec="minutes"),
        "rows": {each["values"]: each["counts"] for each in kinds},
        "gold": {
            "questions": known.num_rows,
            "sources": _counted(known, "source"),
            "accuracy": gold_accuracy(annotations, known).to_pylist(),
        },
        "confusion": annotator_confusion(annotations, gold=known).to_pylist(),
        "weeks": [
            {**row, "week": row["week"].isoformat()}
            for row in annotator_weeks(annotations, gold=known).to_pylist()
        ],
        "standing": [dict(row) for row in standing],
    }


def standing_figures(annotations: pa.Table, *, gold: pa.Table, rng: np.random.Generator) -> Figures:
    """Return where everybody stands: the part of the figures that is taken at every pull.

    Args:
        annotations: rows of the annotation contract.
        gold: rows of `annotation.gold.GOLD`.
        rng: draws the bootstrap of agreement.
    """
    quality = annotator_quality(annotations, gold=gold).to_pylist()
    return {
        "answers": sum(row["answers"] for row in quality),
        "annotators": [{**row, "look_at": told} for told, row in with_concerns(quality)],
        "everybody": {
            "agrees": _pooled(quality, "agrees", "shared"),
            "gold_right": _pooled(quality, "gold_right", "gold"),
            "gold": sum(row["gold"] for row in quality),
            "predicted": sum(row["predicted"] for row in quality),
        },
        "agreement": aspect_agreement(annotations, rng=rng).to_pylist(),
    }


def headline(figures: Figures) -> str:
    """Return the one sentence that a lead reads first."""
    people = figures["annotators"]
    if not people:
        return "No answers yet."
    wanted = [row["annotator_id"] for row in people if row["look_at"]]
    said = f"{figures['answers']:,} answers by {len(people)} annotators"
    if not wanted:
        return f"{said}; nobody stands out"
    named = ", ".join(wanted[:3]) + (f" and {len(wanted) - 3} more" if len(wanted) > 3 else "")
    return f"{said}; a word with {named}"


def confusion_tables(figures: Figures, annotator: str) -> list[dict[str, Any]]:
    """Return the comparisons' confusion of one annotator, all aspects together, as tables.

    Each has *against*, *rows* of (truth, [(count, share of its row)] by what was said).
    """
    tables = []
    for against in ("gold", "others"):
        counts = {(truth, said): 0 for truth in _SAID[:3] for said in _SAID}
        for row in figures["confusion"]:
            if (row["annotator_id"], row["against"], row["kind"]) == (
                annotator, against, "comparison"
            ):  # fmt: skip
                counts[row["truth"], row["said"]] += row["answers"]
        rows = []
        for truth in _SAID[:3]:
            cells = [counts[truth, said] for said in _SAID]
            total = sum(cells)
            if total:
                rows.append((truth, [(count, count / total) for count in cells]))
        if rows:
            tables.append({"against": against, "said": _SAID, "rows": rows})
    return tables


def told_in_numbers(figures: Figures) -> dict[str, Any]:
    """Return the few numbers that a Dagster page plots over time; what is unknown is left out.

    Args:
        figures: of `quality_figures`, or of `standing_figures`.
    """
    told = {
        "answers": figures["answers"],
        "annotators": len(figures["annotators"]),
        "want_a_word": sum(bool(row["look_at"]) for row in figures["annotators"]),
        "gold_answers": figures["everybody"]["gold"],
        "gold_right": figures["everybody"]["gold_right"],
        "agrees_with_others": figures["everybody"]["agrees"],
    }
    told |= {f"alpha_{r['kind']}_{r['aspect']}": r["alpha"] for r in figures["agreement"]}
    return {name: value for name, value in told.items() if value is not None}


def _pooled(rows: Sequence[Mapping[str, Any]], share: str, count: str) -> float | None:
    total = sum(row[count] for row in rows)
    return sum((row[share] or 0.0) * row[count] for row in rows) / total if total else None


def _counted(rows: pa.Table, column: str) -> dict[str, int]:
    counts = pc.value_counts(pc.fill_null(rows[column], "unnamed")).to_pylist()
    return {each["values"]: each["counts"] for each in sorted(counts, key=lambda e: e["values"])}
