"""Arrow schemas of the records: the one place that says which columns a table has.

A field that is not nullable must be present and filled; a nullable one may be absent from a
file that comes in and is then null.
"""

from collections.abc import Mapping
from typing import Final

import pyarrow as pa

UTC: Final = pa.timestamp("us", tz="UTC")


def _need(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


def _may(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=True)


EVENT: Final = pa.schema(
    [
        _need("event_id", pa.string()),
        _need("tenant_id", pa.string()),
        _need("project_id", pa.string()),
        _need("user_id", pa.string()),
        _need("session_id", pa.string()),
        _need("turn", pa.int32()),
        _need("kind", pa.string()),
        _need("generation_id", pa.string()),
        _need("surface", pa.string()),
        _may("position", pa.int32()),  # from 0; required for an impression
        _may("propensity", pa.float64()),  # logged chance of being shown there, in (0, 1]
        _may("value", pa.float64()),  # dwell: seconds; edit: share of the output kept
        _need("occurred_at", UTC),
        _need("received_at", UTC),
    ]
)

PROMPT: Final = pa.schema(
    [
        _need("prompt_id", pa.string()),
        _need("text", pa.string()),
        _may("conditioning", pa.list_(pa.string())),  # blob digests
        _may("previous_turns", pa.list_(pa.string())),  # prompt ids
    ]
)

GENERATION: Final = pa.schema(
    [
        _need("generation_id", pa.string()),
        _need("tenant_id", pa.string()),
        _need("project_id", pa.string()),
        _need("prompt_id", pa.string()),
        _may("parent_generation_id", pa.string()),
        _may("session_id", pa.string()),
        _may("turn", pa.int32()),
        _need("model_release", pa.string()),
        _need("modality", pa.string()),
        _may("blob", pa.string()),  # digest; null where only ratings are known
        _may("seed", pa.int64()),
        _may("skill_id", pa.string()),
        _may("created_at", UTC),
    ]
)

SKILL: Final = pa.schema(
    [
        _need("skill_id", pa.string()),
        _need("tenant_id", pa.string()),
        _may("project_id", pa.string()),  # null: every project of the tenant
        _need("text", pa.string()),
        _need("digest", pa.string()),  # of the text, as UTF-8
        _may("created_at", UTC),
    ]
)

ANNOTATION: Final = pa.schema(
    [
        _need("annotation_id", pa.string()),
        _need("task_id", pa.string()),
        _may("annotator_id", pa.string()),  # null: one of a pool
        _need("kind", pa.string()),
        _need("generation_id", pa.string()),
        _may("other_generation_id", pa.string()),  # the rival, or the edited version
        _may("aspect", pa.string()),
        _may("value", pa.float64()),  # rating on its scale; comparison -2 .. 2, null cannot judge
        _may("tie_kind", pa.string()),
        _may("scale", pa.string()),
        _may("reason_code", pa.string()),
        _may("text", pa.string()),
        _may("geometry", pa.string()),  # JSON
        _may("shown_left", pa.string()),
        _may("lead_time_s", pa.float64()),
        _may("origin", pa.string()),
        _may("is_gold", pa.bool_()),
        _may("updated_at", UTC),
    ]
)

PREFERENCE_PAIR: Final = pa.schema(
    [
        _need("pair_id", pa.string()),
        _need("prompt_id", pa.string()),
        _need("chosen_id", pa.string()),
        _need("rejected_id", pa.string()),
        _need("aspect", pa.string()),
        _need("probability", pa.float64()),  # posterior that chosen is better, in [.5, 1]
        _need("target", pa.float64()),  # what training aims at
        _need("weight", pa.float64()),  # how much training should care, in [0, 1]
        _need("sources", pa.list_(pa.string())),
        _need("evidence", pa.list_(pa.string())),  # event and annotation ids
        _need("split", pa.string()),
    ]
)

SNAPSHOT: Final = pa.schema(
    [
        _need("snapshot_id", pa.string()),
        _need("digest", pa.string()),  # of the pairs' file
        _need("parents", pa.list_(pa.string())),
        _need("label", pa.list_(pa.string())),  # owners; empty is GENERAL
        _need("label_epoch", pa.int64()),
        _need("code_version", pa.string()),
        _need("configuration_digest", pa.string()),
        _need("pairs", pa.int64()),
    ]
)

SCHEMAS: Final[Mapping[str, pa.Schema]] = {
    "event": EVENT,
    "prompt": PROMPT,
    "generation": GENERATION,
    "skill": SKILL,
    "annotation": ANNOTATION,
    "preference_pair": PREFERENCE_PAIR,
    "snapshot": SNAPSHOT,
}
