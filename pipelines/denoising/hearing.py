"""Hearing: which answers are heard, and as whose: the impossible are refused, copies count once."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from annotation import Answers, find_dependence, index_answers, screen_answers
from pipelines.preferences.answers import LEVELS, read_answers
from pipelines.preferences.kernel import IntArray
from pipelines.signals.drops import drops_table, join_drops
from pipelines.signals.query import query

# The refusals of `annotation` by the name under which they are counted.
REFUSALS: Final[Mapping[str, str]] = {
    "value is missing or not a number": "no_number",
    "rating is off its scale": "off_scale",
    "comparison is not one of -2 .. 2": "off_scale",
    "rival missing": "no_rival",
    "compared with itself": "compared_with_itself",
    "shown_left is neither of the two": "side_of_a_stranger",
    "annotation_id is used for different answers": "id_used_twice",
}


class Heard(NamedTuple):
    """Answers to fit, those refused, annotators who count as one, and what was left out."""

    table: pa.Table  # annotation rows; a voice speaks under its first member's id
    refused: pa.Table  # row, annotation_id, reason
    voices: pa.Table  # annotator_id, voice: only those who share a voice
    drops: pa.Table


def hear(annotations: pa.Table, *, merge: bool = True) -> Heard:
    """Refuse answers that cannot be, and count annotators who copy or share answers as one.

    Dependence is looked for in ratings and in comparisons, over all aspects; who is dependent
    in either shares a voice. Of several members' answers to one question the most frequent is
    heard, and none where they are split evenly.

    Args:
        annotations: raw answers, with the columns that a de-noising reads.
        merge: False leaves everybody a voice.
    """
    screened = screen_answers(annotations)
    accepted, refused = screened.accepted, screened.refused
    counts: dict[str, int] = {}
    for reason in refused["reason"].to_pylist():
        name = REFUSALS.get(reason, reason)
        counts[name] = counts.get(name, 0) + 1
    drops = drops_table("refusals", counts)
    voices = _voices(accepted) if merge else _NOBODY
    if voices.num_rows == 0:
        return Heard(accepted, refused, voices, drops)
    table = query(_MERGE, annotations=accepted, voices=voices).cast(accepted.schema)
    copies = accepted.num_rows - table.num_rows
    return Heard(
        table, refused, voices, join_drops(drops, drops_table("voices", {"copied_answer": copies}))
    )


_NOBODY: Final = pa.table(
    {"annotator_id": pa.array([], pa.string()), "voice": pa.array([], pa.string())}
)


def _voices(annotations: pa.Table) -> pa.Table:
    """Return annotator_id and voice of all who share one; a voice is named by its first member."""
    named = annotations.filter(annotations["annotator_id"].is_valid())
    ids = pc.unique(
        pa.concat_arrays(
            [
                pc.drop_null(named["generation_id"].combine_chunks()),
                pc.drop_null(named["other_generation_id"].combine_chunks()),
            ]
        )
    ).sort()
    answers = read_answers(named, ids)
    names, size = answers.annotators, len(answers.annotators)
    if size < 3:  # nobody outside could say who copies
        return _NOBODY
    ratings = [(r.item, r.annotator, r.label) for r in answers.ratings.values()]
    compared = []
    for each in answers.comparisons.values():
        turned = each.item > each.other
        low, high = np.minimum(each.item, each.other), np.maximum(each.item, each.other)
        label = np.where(turned, 2 - each.outcome, each.outcome)
        compared.append((low * len(ids) + high, each.annotator, label))
    links = []
    for questions, classes in ((ratings, LEVELS), (compared, 3)):
        if questions:
            group = find_dependence(_indexed(questions, size, classes)).group
            first = np.unique(group, return_index=True)[1]
            links.append(csr_array((np.ones(size), (np.arange(size), first[group])), (size, size)))
    if not links:
        return _NOBODY
    _, voice = connected_components(sum(links[1:], links[0]), directed=False)
    first = np.unique(voice, return_index=True)[1]
    several = np.flatnonzero(np.bincount(voice)[voice] > 1)
    return pa.table(
        {
            "annotator_id": pa.array([names[n] for n in several], pa.string()),
            "voice": pa.array([names[first[voice[n]]] for n in several], pa.string()),
        }
    )


def _indexed(
    questions: list[tuple[IntArray, IntArray, IntArray]], annotators: int, classes: int
) -> Answers:
    """Index answers whose questions are numbered anew, each aspect's apart."""
    aspect = np.concatenate([np.full(len(q[0]), n) for n, q in enumerate(questions)])
    asked, who, label = (np.concatenate(part) for part in zip(*questions, strict=True))
    _, task = np.unique(np.stack([aspect, asked]), axis=1, return_inverse=True)
    task = task.ravel()
    return index_answers(
        task, who, label, tasks=int(task.max()) + 1, annotators=annotators, classes=classes
    )


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
