"""Evidence: which events and answers speak of a generation, by id."""

from typing import Any, Final

import pyarrow as pa

from data_contracts.schemas import ANNOTATION
from pipelines.signals.engines import DUCKDB, Engine
from pipelines.signals.exposures import EXPOSURE, training_exposures
from pipelines.signals.query import conform, query, subset

EVIDENCE: Final = pa.schema(
    [
        pa.field("generation_id", pa.string()),
        pa.field("source", pa.string()),  # signals, ratings, comparisons or gold
        pa.field("ids", pa.list_(pa.string())),  # event ids, annotation ids; none for gold
    ]
)


def gather_evidence(
    exposures: pa.Table | None,
    annotations: pa.Table | None,
    *,
    gold: pa.Table | None = None,
    engine: Engine = DUCKDB,
) -> pa.Table:
    """Return per generation and source the ids behind what the fit believes.

    Only what training may learn from: no bots, no held-out users, no comments.
    """
    shown = EXPOSURE.empty_table() if exposures is None else training_exposures(exposures)
    names = ("annotation_id", "generation_id", "other_generation_id", "kind", "value")
    wanted = subset(ANNOTATION, names)
    rows = wanted.empty_table() if annotations is None else annotations
    said = conform(rows, wanted, what="annotations")
    known = pa.table({"generation_id": pa.array([], pa.string())}) if gold is None else gold
    found = engine.run(
        _gathered,
        shown=shown.select(["generation_id", "event_ids"]),
        said=said,
        known=known.select(["generation_id"]),
    )
    return found.cast(EVIDENCE)


def _gathered(shown: Any, said: Any, known: Any) -> Any:
    import ibis

    names = ("generation_id", "source", "ids")
    signals = shown.group_by("generation_id").agg(ids=shown.event_ids.collect().flatten())
    answer = said.kind.isin(("rating", "comparison")) & said.value.notnull() & ~said.value.isnan()
    said = said.filter(answer)
    other = said.filter(said.other_generation_id.notnull())
    each = ibis.union(
        said.select("generation_id", "kind", "annotation_id"),
        other.select("kind", "annotation_id", generation_id="other_generation_id"),
    )
    answers = each.group_by("generation_id", "kind").agg(
        ids=each.annotation_id.collect(distinct=True)
    )
    gold = known.distinct().mutate(ids=ibis.literal([], "array<string>"))
    found = ibis.union(
        signals.mutate(source=ibis.literal("signals")).select(names),
        answers.mutate(source=answers.kind + "s").select(names),
        gold.mutate(source=ibis.literal("gold")).select(names),
    )
    return found.mutate(ids=found.ids.sort()).order_by("generation_id", "source")


def direct_votes(annotations: pa.Table | None) -> pa.Table:
    """Count direct comparisons: first_id < second_id, aspect, won (by the first), tied, votes.

    A tie is half a win, and is counted beside; an annotator who answers twice counts once, by
    the last annotation_id.
    """
    names = (
        "annotation_id", "annotator_id", "kind", "generation_id", "other_generation_id", "aspect",
        "value",
    )  # fmt: skip
    wanted = subset(ANNOTATION, names)
    rows = wanted.empty_table() if annotations is None else annotations
    return query(_VOTES, said=conform(rows, wanted, what="annotations"))


_VOTES: Final = """
WITH turned AS (
    SELECT least(generation_id, other_generation_id) AS first_id,
        greatest(generation_id, other_generation_id) AS second_id,
        coalesce(aspect, 'overall') AS aspect,
        (1 + sign(value) * CASE WHEN generation_id < other_generation_id THEN 1 ELSE -1 END) / 2
            AS won,
        row_number() OVER (PARTITION BY annotator_id,
            CASE WHEN annotator_id IS NULL THEN annotation_id END,
            least(generation_id, other_generation_id),
            greatest(generation_id, other_generation_id), coalesce(aspect, 'overall')
            ORDER BY annotation_id DESC) AS age
    FROM said
    WHERE kind = 'comparison' AND value IS NOT NULL AND NOT isnan(value)
        AND generation_id <> other_generation_id
)
SELECT first_id, second_id, aspect, sum(won) AS won, count(*) FILTER (won = 0.5) AS tied,
    count(*) AS votes
FROM turned WHERE age = 1 GROUP BY ALL ORDER BY ALL
"""
