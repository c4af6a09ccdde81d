"""Tables: what a de-noising reads whole; they grow with generations and answers, not events."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.errors import ContractError
from pipelines.denoising.reading import ANNOTATIONS, GENERATIONS, GOLD_LABELS, PROMPTS, checked
from pipelines.signals.drops import drops_table


class Tables(NamedTuple):
    """What comes in beside events, with exactly the columns that are used."""

    generations: pa.Table
    annotations: pa.Table
    gold: pa.Table
    prompts: pa.Table

    @property
    def rows(self) -> dict[str, int]:
        """How many rows each table has."""
        return {name: table.num_rows for name, table in zip(self._fields, self, strict=True)}

    @property
    def unknown_gold(self) -> pa.Table:
        """Drops: gold of generations that are not there."""
        ids = self.generations["generation_id"].combine_chunks()
        known = pc.is_in(self.gold["generation_id"], value_set=ids)
        return drops_table("gold", {"unknown_generation": int(np.sum(~known.to_numpy()))})


def conformed(
    generations: pa.Table,
    annotations: pa.Table | None,
    gold: pa.Table | None,
    prompts: pa.Table | None,
) -> Tables:
    """Bring every table to its contract; without prompts, each prompt stands for itself.

    Raises:
        ContractError: a table breaks its contract, or there is no generation.
    """
    known = checked(generations, GENERATIONS)
    if known.num_rows == 0:
        raise ContractError("generations: no rows; there is nothing to compare")
    named = known.group_by("generation_id").aggregate([("prompt_id", "count_distinct")])
    torn = named.filter(pc.greater(named["prompt_id_count_distinct"], 1))["generation_id"]
    if len(torn):
        raise ContractError(
            f"generations: {len(torn)} ids have two prompts ({', '.join(torn.to_pylist()[:5])}); "
            "an id must be unique"
        )
    if prompts is None:
        ids = pc.unique(known["prompt_id"])
        prompts = pa.table({"prompt_id": ids, "text": ids})
    return Tables(
        generations=known,
        annotations=ANNOTATIONS.schema.empty_table()
        if annotations is None
        else checked(annotations, ANNOTATIONS),
        gold=GOLD_LABELS.schema.empty_table() if gold is None else checked(gold, GOLD_LABELS),
        prompts=checked(prompts, PROMPTS),
    )


def about(rows: pa.Table, generations: pa.Table) -> pa.Table:
    """Return the answers or gold about any of *generations*."""
    ids = generations["generation_id"].combine_chunks()
    about = pc.is_in(rows["generation_id"], value_set=ids)
    if "other_generation_id" in rows.column_names:
        about = pc.or_(about, pc.is_in(rows["other_generation_id"], value_set=ids))
    return rows.filter(about)
