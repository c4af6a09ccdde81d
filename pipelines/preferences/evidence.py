"""Evidence: which events and answers speak of a generation, by id."""

from typing import Final

import pyarrow as pa

from data_contracts.schemas import ANNOTATION
from pipelines.signals.exposures import EXPOSURE, training_exposures
from pipelines.signals.query import conform, query, subset

EVIDENCE: Final = pa.schema(
    [
        pa.field("generation_id", pa.string()),
        pa.field("source", pa.string()),  # signals, ratings, comparisons or gold
        pa.field("ids", pa.list_(pa.string())),  # event ids, annotation ids; none for gold
    ]
)

_GATHER: Final = """
SELECT generation_id, 'signals' AS source, flatten(list(event_ids)) AS ids
FROM shown GROUP BY generation_id
UNION ALL
SELECT generation_id, kind || 's' AS source, list(DISTINCT annotation_id) AS ids
FROM (
    SELECT generation_id, kind, annotation_id FROM said
    UNION ALL
    SELECT other_generation_id, kind, annotation_id FROM said
    WHERE other_generation_id IS NOT NULL
)
GROUP BY generation_id, kind
UNION ALL
SELECT DISTINCT generation_id, 'gold' AS source, CAST([] AS VARCHAR[]) AS ids FROM known
"""


def gather_evidence(
    exposures: pa.Table | None, annotations: pa.Table | None, *, gold: pa.Table | None = None
) -> pa.Table:
    """Return per generation and source the ids behind what the fit believes.

    Only what training may learn from: no bots, no held-out users, no comments.
    """
    shown = EXPOSURE.empty_table() if exposures is None else training_exposures(exposures)
    names = ("annotation_id", "generation_id", "other_generation_id", "kind", "value")
    wanted = subset(ANNOTATION, names)
    rows = wanted.empty_table() if annotations is None else annotations
    said = query(
        "SELECT * FROM said WHERE kind IN ('rating', 'comparison') AND value IS NOT NULL "
        "AND NOT isnan(value)",
        said=conform(rows, wanted, what="annotations"),
    )
    known = pa.table({"generation_id": pa.array([], pa.string())}) if gold is None else gold
    found = query(
        f"SELECT generation_id, source, list_sort(ids) AS ids FROM ({_GATHER}) "
        "ORDER BY generation_id, source",
        shown=shown.select(["generation_id", "event_ids"]),
        said=said,
        known=known,
    )
    return found.cast(EVIDENCE)


def direct_votes(annotations: pa.Table | None) -> pa.Table:
    """Count direct comparisons: first_id < second_id, aspect, won (by the first), votes.

    A tie is half a win; an annotator who answers twice counts once, by the last annotation_id.
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
        row_number() OVER (PARTITION BY coalesce(annotator_id, annotation_id),
            least(generation_id, other_generation_id),
            greatest(generation_id, other_generation_id), coalesce(aspect, 'overall')
            ORDER BY annotation_id DESC) AS age
    FROM said
    WHERE kind = 'comparison' AND value IS NOT NULL AND NOT isnan(value)
        AND generation_id <> other_generation_id
)
SELECT first_id, second_id, aspect, sum(won) AS won, count(*) AS votes
FROM turned WHERE age = 1 GROUP BY ALL ORDER BY ALL
"""
