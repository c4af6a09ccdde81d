"""Hearing: which answers and gold are heard, and as whose: what cannot be is refused, copies
count once. Every fit takes its answers from here."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annotation import screen_answers
from data_contracts.schemas import ANNOTATION
from data_contracts.vocabulary import ASPECTS
from pipelines.preferences.voices import Voices, find_voices
from pipelines.signals.drops import drops_table, join_drops
from pipelines.signals.query import query

# The refusals of `annotation` by the name under which they are counted.
REFUSALS: Final[Mapping[str, str]] = {
    "aspect is not known": "unknown_aspect",
    "value is missing or not a number": "no_number",
    "rating is off its scale": "off_scale",
    "comparison is not one of -2 .. 2": "off_scale",
    "rival missing": "no_rival",
    "compared with itself": "compared_with_itself",
    "shown_left is neither of the two": "side_of_a_stranger",
    "annotation_id is used for different answers": "id_used_twice",
}
REFUSED: Final = pa.schema(
    [
        pa.field("table", pa.string()),  # annotations or gold
        pa.field("row", pa.int64()),  # counted from 0 in the table that came in
        pa.field("annotation_id", pa.string()),  # null: gold, which is named by its generation
        pa.field("generation_id", pa.string()),
        pa.field("reason", pa.string()),
    ]
)
ANSWERS: Final = ("rating", "comparison")


class Heard(NamedTuple):
    """Answers and gold to fit, what was refused, and annotators who count as one or should."""

    table: pa.Table  # annotation rows; a voice speaks under its first member's id
    gold: pa.Table  # generation_id, aspect, value
    accepted: pa.Table  # answers that can be, everybody under their own id
    refused: pa.Table  # REFUSED
    voices: pa.Table  # annotator_id, voice: only those who share a voice
    suspects: pa.Table  # `voices.SUSPECT` rows: pairs who look like copies, merged or not
    drops: pa.Table

    @property
    def copies(self) -> int:
        """How many annotators add no voice of their own."""
        return self.voices.num_rows - len(pc.unique(self.voices["voice"]))

    @property
    def suspected(self) -> pa.Array:
        """Annotators who look like copies and are heard all the same, sorted."""
        return Voices(self.voices, self.suspects).suspected


def hear(
    annotations: pa.Table,
    *,
    gold: pa.Table | None = None,
    known: pa.Array | None = None,
    merge: bool = True,
) -> Heard:
    """Refuse answers and gold that cannot be, and count annotators who copy or share as one.

    Dependence is looked for in ratings and in comparisons, over all aspects; who is dependent
    in either shares a voice. Of several members' answers to one question the most frequent is
    heard, and none where they are split evenly. Who looks like a copy but gave too much for
    others to judge keeps a voice, and is counted under *suspected_copy*: those answers are heard.

    Args:
        annotations: raw answers, with the columns that a de-noising reads, or all of the contract.
        gold: generation_id, aspect, value; None: nothing is known.
        known: ids of generations; gold of others is left out. None: of any generation.
        merge: False leaves everybody a voice; who looks like a copy is told all the same.
    """
    annotations = _with_absent(annotations)
    screened = screen_answers(annotations)
    accepted = screened.accepted
    given = _NO_GOLD if gold is None else gold.select(_NO_GOLD.column_names)
    heard_gold, unheard, gold_drops = _hear_gold(given, known)
    refused = pa.concat_tables([_refused_rows(annotations, screened.refused), unheard])
    counts: dict[str, int] = {}
    for reason in screened.refused["reason"].to_pylist():
        name = REFUSALS.get(reason, reason)
        counts[name] = counts.get(name, 0) + 1
    found = find_voices(accepted)
    if not merge:
        found = found.apart()
    table = accepted
    if found.table.num_rows:
        merged = query(_MERGE, annotations=accepted, voices=found.table)
        table = merged.select(accepted.column_names).cast(accepted.schema)
    lost = {
        "copied_answer": accepted.num_rows - table.num_rows,
        "suspected_copy": _answers_of(accepted, found.suspected),
    }
    drops = join_drops(drops_table("refusals", counts), drops_table("voices", lost), gold_drops)
    return Heard(table, heard_gold, accepted, refused, found.table, found.suspects, drops)


_NO_GOLD: Final = pa.table(
    {
        "generation_id": pa.array([], pa.string()),
        "aspect": pa.array([], pa.string()),
        "value": pa.array([], pa.float64()),
    }
)


def _with_absent(annotations: pa.Table) -> pa.Table:
    """Return *annotations* with nulls where nullable columns did not come or no aspect is named."""
    for name in ("annotator_id", "other_generation_id", "aspect", "value", "scale", "shown_left"):
        if name not in annotations.column_names:
            empty = pa.nulls(annotations.num_rows, ANNOTATION.field(name).type)
            annotations = annotations.append_column(name, empty)
    at, aspect = annotations.schema.get_field_index("aspect"), annotations["aspect"]
    nameless = pc.if_else(pc.equal(aspect, ""), pa.scalar(None, aspect.type), aspect)
    return annotations.set_column(at, annotations.schema.field(at), nameless)


def _hear_gold(gold: pa.Table, known: pa.Array | None) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Return gold that can be heard, REFUSED rows, and the drops."""
    named = pc.is_in(gold["aspect"], value_set=pa.array(ASPECTS)).to_numpy()
    there = np.ones(gold.num_rows, dtype=bool)
    if known is not None:
        there = pc.is_in(gold["generation_id"], value_set=known).to_numpy()
    bad = np.flatnonzero(~named)
    refused = pa.table(
        {
            "table": pa.array(["gold"] * len(bad), pa.string()),
            "row": bad,
            "annotation_id": pa.nulls(len(bad), pa.string()),
            "generation_id": gold["generation_id"].take(pa.array(bad)),
            "reason": pa.array(["aspect is not known"] * len(bad), pa.string()),
        }
    ).cast(REFUSED)
    counts = {"unknown_aspect": len(bad), "unknown_generation": int((named & ~there).sum())}
    return gold.filter(pa.array(named & there)), refused, drops_table("gold", counts)


def _refused_rows(annotations: pa.Table, refused: pa.Table) -> pa.Table:
    return pa.table(
        {
            "table": pa.array(["annotations"] * refused.num_rows, pa.string()),
            "row": refused["row"],
            "annotation_id": refused["annotation_id"],
            "generation_id": annotations["generation_id"].take(refused["row"]),
            "reason": refused["reason"],
        }
    ).cast(REFUSED)


def _answers_of(annotations: pa.Table, annotators: pa.Array) -> int:
    mine = pc.and_(
        pc.is_in(annotations["annotator_id"], value_set=annotators),
        pc.is_in(annotations["kind"], value_set=pa.array(ANSWERS)),
    )
    return int(np.sum(mine.to_numpy()))


_MERGE: Final = """
WITH said AS (
    SELECT annotations.*, voices.voice,
        least(generation_id, coalesce(other_generation_id, generation_id)) AS one,
        greatest(generation_id, coalesce(other_generation_id, generation_id)) AS two,
        CASE WHEN generation_id > coalesce(other_generation_id, generation_id)
            THEN -value ELSE value END AS meant,
        coalesce(aspect, 'overall') AS asked
    FROM annotations LEFT JOIN voices USING (annotator_id)
), counted AS (
    SELECT *, count(DISTINCT annotator_id) OVER (
        PARTITION BY voice, kind, asked, one, two, meant) AS votes FROM said
), led AS (
    SELECT *, max(votes) OVER question AS most FROM counted
    WINDOW question AS (PARTITION BY voice, kind, asked, one, two)
), foremost AS (
    SELECT *, row_number() OVER (
            PARTITION BY voice, kind, asked, one, two ORDER BY annotation_id) AS place,
        min(meant) OVER question = max(meant) OVER question AS agreed
    FROM led WHERE voice IS NULL OR votes = most
    WINDOW question AS (PARTITION BY voice, kind, asked, one, two)
)
SELECT annotation_id, coalesce(voice, annotator_id) AS annotator_id,
    * EXCLUDE (annotation_id, annotator_id, voice, one, two, meant, asked, votes, most, place,
        agreed)
FROM foremost WHERE voice IS NULL OR kind NOT IN ('rating', 'comparison')
    OR (place = 1 AND coalesce(agreed, true))
ORDER BY annotation_id
"""
