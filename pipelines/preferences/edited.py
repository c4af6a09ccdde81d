"""Edited versions: who compared one with its original decides between the two, and nobody else.

Users were shown the original alone. What they did with it says how good it is, and nothing of the
edited version, which stands where every generation begins: without this, an original that many
like would be held for better than what somebody took the trouble to make of it.
"""

from dataclasses import replace
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.preferences.channels import OVERALL
from pipelines.preferences.em import IntentSettings
from pipelines.preferences.intent import fit_intent
from pipelines.preferences.pairs import CANDIDATE, PairSettings, all_pairs
from pipelines.signals.query import query

EDITED: Final = pa.schema(
    [
        pa.field("original_id", pa.string()),
        pa.field("edited_id", pa.string()),
    ]
)


def edited_of(annotations: pa.Table) -> pa.Table:
    """Return EDITED rows of the edits among *annotations*, each once."""
    edits = annotations.filter(
        pc.and_(
            pc.equal(annotations["kind"], "edit"), pc.is_valid(annotations["other_generation_id"])
        )
    )
    return query(
        "SELECT DISTINCT generation_id AS original_id, other_generation_id AS edited_id "
        "FROM edits ORDER BY ALL",
        edits=edits.select(["generation_id", "other_generation_id"]),
    ).cast(EDITED)


def under_parents_skill(edited: pa.Table, generations: pa.Table) -> pa.Table:
    """Return *edited* generations under the skill of what each came from: one question, answered
    again, so the two may be compared.

    Args:
        edited: generation contract, each with its parent.
        generations: generation contract; a parent that is not there leaves the skill unknown.
    """
    names = zip(generations["generation_id"], generations["skill_id"], strict=True)
    under = {generation.as_py(): skill.as_py() for generation, skill in names}
    skills = [under.get(parent) for parent in edited["parent_generation_id"].to_pylist()]
    place = edited.schema.get_field_index("skill_id")
    return edited.set_column(place, edited.schema.field(place), pa.array(skills, pa.string()))


def edited_candidates(
    edited: pa.Table,
    answers: pa.Table,
    generations: pa.Table,
    *,
    settings: PairSettings,
    intent: IntentSettings | None = None,
) -> pa.Table:
    """Compare each edited version with its original by what was said of exactly these two.

    Args:
        edited: EDITED rows.
        answers: annotators' answers, edits among them as comparisons.
        generations: generation contract; edits of what is not there are left out.
        settings: as for `make_pairs`; only "overall" is compared.
        intent: how the fit is done.

    Returns:
        CANDIDATE rows, to stand in place of what the fit of everything says of the same two.
    """
    named = pa.concat_arrays(
        [column.combine_chunks() for column in (edited["original_id"], edited["edited_id"])]
    )
    here = generations.filter(pc.is_in(generations["generation_id"], value_set=named))
    if here.num_rows == 0:
        return CANDIDATE.empty_table()
    direct = query(_DIRECT, answers=answers, edited=edited)
    fit = fit_intent(None, direct, generations=here, settings=intent)
    compared = all_pairs(
        fit, here, annotations=direct, settings=replace(settings, aspects=(OVERALL,))
    )
    return query(_ONLY_EDITED, compared=compared, edited=edited).cast(CANDIDATE)


_DIRECT: Final = f"""
SELECT answers.* FROM answers SEMI JOIN edited
    ON least(generation_id, other_generation_id) = least(original_id, edited_id)
    AND greatest(generation_id, other_generation_id) = greatest(original_id, edited_id)
WHERE kind = 'comparison' AND coalesce(aspect, '{OVERALL}') = '{OVERALL}'
ORDER BY annotation_id
"""
_ONLY_EDITED: Final = """
SELECT compared.* FROM compared SEMI JOIN edited
    ON least(chosen_id, rejected_id) = least(original_id, edited_id)
    AND greatest(chosen_id, rejected_id) = greatest(original_id, edited_id)
ORDER BY prompt_id, chosen_id, rejected_id
"""
