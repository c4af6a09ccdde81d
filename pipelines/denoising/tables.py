"""Tables: what a de-noising reads whole; they grow with generations and answers, not events."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.errors import ContractError
from data_contracts.vocabulary import ASPECTS
from pipelines.denoising.reading import ANNOTATIONS, GENERATIONS, GOLD_LABELS, PROMPTS, checked
from pipelines.preferences.answers import fitted_aspects
from pipelines.preferences.channels import OVERALL
from pipelines.preferences.hearing import Heard, hear
from pipelines.signals.query import query

# Two million pairs of one prompt; pairs grow as squares, and those of one prompt are made at once.
MOST_OF_PROMPT: Final = 2_000


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


def conformed(
    generations: pa.Table,
    annotations: pa.Table | None,
    gold: pa.Table | None,
    prompts: pa.Table | None,
) -> Tables:
    """Bring every table to its contract; without prompts, each prompt stands for itself.

    Raises:
        ContractError: a table breaks its contract, there is no generation, only some say whose
            they are, or a prompt has more than MOST_OF_PROMPT that would be compared.
    """
    known = checked(generations, GENERATIONS)
    if known.num_rows == 0:
        raise ContractError("generations: no rows; there is nothing to compare")
    asked = [(name, "count_distinct") for name in ("prompt_id", "tenant_id")]
    named = known.group_by("generation_id").aggregate(asked)
    several = pc.max_element_wise(*(named[f"{name}_{how}"] for name, how in asked))
    torn = named.filter(pc.greater(several, 1))["generation_id"]
    if len(torn):
        raise ContractError(
            f"generations: {len(torn)} ids have two prompts or tenants "
            f"({', '.join(torn.to_pylist()[:5])}); an id must be unique"
        )
    nameless = named.filter(pc.equal(named["tenant_id_count_distinct"], 0))["generation_id"]
    if 0 < len(nameless) < named.num_rows:
        raise ContractError(
            f"generations: {len(nameless):,} of {named.num_rows:,} ids have no tenant_id "
            f"({', '.join(sorted(nameless.to_pylist())[:5])}); say whose each is, or of none"
        )
    crowded = query(_CROWDED, known=known).to_pylist()
    if crowded:
        named_first = ", ".join(f"{row['prompt_id']}: {row['rows']:,}" for row in crowded[:5])
        raise ContractError(
            f"generations: {len(crowded):,} prompts have more than {MOST_OF_PROMPT:,} generations "
            f"of one tenant and skill ({named_first}), and every two would be compared; leave some "
            "out, or give what answers different requests a prompt_id of its own"
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


_CROWDED: Final = f"""
SELECT prompt_id, count(DISTINCT generation_id) AS rows FROM known
GROUP BY prompt_id, tenant_id, skill_id HAVING count(DISTINCT generation_id) > {MOST_OF_PROMPT}
ORDER BY rows DESC, prompt_id
"""


def heard_of(tables: Tables, *, merge: bool, aspects: Sequence[str]) -> Heard:
    """Return what is heard of answers and gold, once it is sure that *aspects* can be fitted.

    Raises:
        ContractError: pairs are asked for of an aspect that nobody has named, or that neither an
            answer nor gold speaks of.
    """
    strange = [aspect for aspect in aspects if aspect not in ASPECTS]
    if strange:
        raise ContractError(
            f"pairs: {', '.join(strange)} is no aspect; ask for {', '.join(ASPECTS)}"
        )
    ids = pc.unique(tables.generations["generation_id"]).sort()
    heard = hear(tables.annotations, gold=tables.gold, known=ids, merge=merge)
    if set(aspects) != {OVERALL}:  # which needs no answer
        fitted = fitted_aspects(heard.table, heard.gold, ids)
        silent = [aspect for aspect in aspects if aspect not in fitted]
        if silent:
            raise ContractError(
                f"pairs: neither an answer nor gold speaks of {', '.join(silent)}; "
                f"ask for {', '.join(fitted)}"
            )
    return heard


def about(rows: pa.Table, generations: pa.Table) -> pa.Table:
    """Return the answers or gold about any of *generations*."""
    ids = generations["generation_id"].combine_chunks()
    about = pc.is_in(rows["generation_id"], value_set=ids)
    if "other_generation_id" in rows.column_names:
        about = pc.or_(about, pc.is_in(rows["other_generation_id"], value_set=ids))
    return rows.filter(about)
