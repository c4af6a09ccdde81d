"""What training gets of critiques: ids and masks alone."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa

from data_contracts.ids import GenerationId, PromptId
from data_contracts.training import TokenMark, TrainingCritique

_COLUMNS: Final = (
    "critique_id", "generation_id", "annotator_id", "aspect", "tokens", "grid", "frames",
)  # fmt: skip
_OVERALL: Final = "overall"  # of a critique without an aspect


def training_critiques(
    table: pa.Table, prompts: Mapping[GenerationId, PromptId]
) -> list[TrainingCritique]:
    """Return the critiques of generations that *prompts* knows, in order of their ids.

    What one person marked in one generation because of one aspect is one critique, called by its
    first id. Annotators' ids, reasons and words stay behind; so do marks in texts and prompts.

    Args:
        table: as the asset `critiques` keeps it.
        prompts: what each generation that may be learned from was asked for.
    """
    said: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in table.select(list(_COLUMNS)).sort_by("critique_id").to_pylist():
        points = row["tokens"] or row["frames"]
        if points and row["generation_id"] in prompts:
            # Of a pool nobody knows who is who: each critique is somebody's.
            who = row["annotator_id"] or f"pool {row['critique_id']}"
            said[row["generation_id"], who, row["aspect"] or _OVERALL].append(row)
    return [
        TrainingCritique(
            critique_id=rows[0]["critique_id"],
            prompt_id=prompts[GenerationId(generation)],
            generation_id=GenerationId(generation),
            aspect=aspect,
            marks=tuple(_mark(row) for row in rows),
        )
        for (generation, _, aspect), rows in said.items()
    ]


def _mark(row: Mapping[str, Any]) -> TokenMark:
    rows_and_columns = row["grid"] if row["tokens"] else None
    return TokenMark(
        cells=tuple(row["tokens"]) if row["tokens"] else None,
        grid=None if rows_and_columns is None else (rows_and_columns[0], rows_and_columns[1]),
        frames=None if row["frames"] is None else (row["frames"][0], row["frames"][1]),
    )
