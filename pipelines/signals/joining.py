"""Joining: the linear passes from events to exposures, as expressions that every engine runs.

All take and give Ibis tables.
"""

from typing import Any, Final

from data_contracts.vocabulary import EVENT_KINDS
from pipelines.signals.signal_table import SIGNALS

KEY: Final = ("tenant_id", "user_id", "session_id", "turn", "generation_id")
_NO_SIGNAL: Final = ("delete",)  # a tidy desk says nothing about quality


def numbered_uses(events: Any) -> Any:
    """Add *use*: which time an event_id comes, from 1."""
    order = ("occurred_at", "kind", *KEY, "value", "position")
    return events.mutate(use=_place(by=["event_id"], order=order))


def judged(events: Any, known: Any) -> Any:
    """Say of each event why it is left out, or that it is kept."""
    return judged_sent(numbered_uses(events), known)


def judged_sent(sent: Any, known: Any) -> Any:
    """As `judged`, of events whose uses are numbered.

    A copy is the same act at the same instant, whatever its event id; the smallest id stays.
    """
    import ibis

    prompts = known.group_by(known_id=known.generation_id).agg(prompt_id=known.prompt_id.min())
    rows = sent.left_join(prompts, sent.generation_id == prompts.known_id)
    same = [rows.use > 1, *KEY, "kind", "occurred_at"]
    rows = rows.mutate(copy=_place(by=same, order=("event_id", "use")))
    chance = rows["propensity"]
    odd = chance.notnull() & ~chance.isnan() & ((chance <= 0) | (chance > 1))
    no_value = rows["value"].isnull() | rows["value"].isnan()
    reason = ibis.cases(
        ((rows["copy"] > 1) | (rows["use"] > 1), "duplicate_event"),
        (rows["prompt_id"].isnull(), "unknown_generation"),
        (rows["kind"].notin(EVENT_KINDS), "unknown_kind"),
        (rows["position"] < 0, "impossible_position"),
        (odd, "impossible_propensity"),
        (rows["kind"].isin(_NO_SIGNAL), "not_a_signal"),
        ((rows["kind"] == "edit") & no_value, "edit_without_value"),
        else_="kept",
    )
    value = no_value.ifelse(ibis.null("float64"), rows["value"])
    return rows.mutate(reason=reason, value=value).drop("copy", "use", "known_id")


def reasons(judged: Any) -> Any:
    """Count events by reason."""
    return judged.group_by("reason").agg(rows=judged.count()).order_by("reason")


def patterned(judged: Any) -> Any:
    """Join the events that are kept: a row per user, session, turn and generation."""
    import ibis

    kept = judged.filter(judged.reason == "kept")
    seen = kept.kind == "impression"
    pattern = ibis.literal(0, "int64")
    for s, signal in enumerate(SIGNALS):
        given = ibis.coalesce(signal.condition(kept), False)
        pattern += given.ifelse(ibis.literal(1 << s, "int64"), 0)
    return (
        kept.group_by(KEY)
        .agg(
            project_id=kept.project_id.min(),
            prompt_id=kept.prompt_id.min(),
            surface=ibis.coalesce(kept.surface.min(where=seen), kept.surface.min()),
            position=kept.position.min(where=seen),
            propensity=kept.propensity.max(where=seen & ~kept.propensity.isnan()),
            shown_at=kept.occurred_at.min(),
            pattern=pattern,
            impressions=seen.any(),
            event_ids=kept.event_id.collect().sort(),
        )
        .order_by(KEY)
    )


def _place(*, by: Any, order: Any) -> Any:
    """Return the place of a row among those that are alike in *by*, from 1."""
    import ibis

    return ibis.row_number().over(ibis.window(group_by=by, order_by=order)) + 1
