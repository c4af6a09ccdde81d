"""Joining: the linear passes from events to exposures, as expressions that every engine runs.

All take and give Ibis tables.
"""

from typing import Any, Final

from data_contracts.vocabulary import EVENT_KINDS
from pipelines.signals.signal_table import SIGNALS

KEY: Final = ("tenant_id", "user_id", "session_id", "turn", "generation_id")
_NO_SIGNAL: Final = ("delete",)  # a tidy desk says nothing about quality


def repeated(events: Any) -> Any:
    """Name the event ids that come more than once, whosever they are."""
    counted = events.group_by("event_id").agg(rows=events.count())
    return counted.filter(counted.rows > 1).select("event_id")


def numbered_uses(events: Any) -> Any:
    """Add *use*: which time an event_id comes within its tenant, from 1."""
    order = ("occurred_at", "kind", *KEY, "value", "position")
    return events.mutate(use=_place(by=["tenant_id", "event_id"], order=order))


def copies(sent: Any) -> Any:
    """Name the rows that copy another one, of those whose ids come for the first time.

    A copy is the same act at the same instant, whatever its event id; the smallest id stays.
    """
    same = (*KEY, "kind", "occurred_at")
    first = sent.filter(sent.use == 1).select("row", "event_id", *same)
    counted = first.group_by(same).agg(rows=first.count())
    several = counted.filter(counted.rows > 1)
    alike = first.semi_join(several, [first[name].identical_to(several[name]) for name in same])
    placed = alike.mutate(copy=_place(by=same, order=("event_id",)))
    return placed.filter(placed["copy"] > 1).select("row")


def judged(sent: Any, known: Any) -> Any:
    """Say of each event why it is left out, or that it is kept; *copied* and *use* are known."""
    import ibis

    prompts = known.group_by(known_id=known.generation_id).agg(
        prompt_id=known.prompt_id.min(), owner=known.tenant_id.min()
    )
    rows = sent.left_join(prompts, sent.generation_id == prompts.known_id)
    chance = rows["propensity"]
    odd = chance.notnull() & ~chance.isnan() & ((chance <= 0) | (chance > 1))
    no_value = rows["value"].isnull() | rows["value"].isnan()
    reason = ibis.cases(
        (rows["copied"] | (rows["use"] > 1), "duplicate_event"),
        (rows["prompt_id"].isnull(), "unknown_generation"),
        (~ibis.coalesce(rows["owner"] == rows["tenant_id"], False), "other_tenant"),
        (rows["kind"].notin(EVENT_KINDS), "unknown_kind"),
        (rows["position"] < 0, "impossible_position"),
        (odd, "impossible_propensity"),
        (rows["kind"].isin(_NO_SIGNAL), "not_a_signal"),
        ((rows["kind"] == "edit") & no_value, "edit_without_value"),
        else_="kept",
    )
    value = no_value.ifelse(ibis.null("float64"), rows["value"])
    return rows.mutate(reason=reason, value=value).drop("copied", "use", "known_id", "owner")


def reasons(judged: Any) -> Any:
    """Count events by reason."""
    return judged.group_by("reason").agg(rows=judged.count()).order_by("reason")


def patterned(judged: Any) -> Any:
    """Join the events that are kept: a row per user, session, turn and generation."""
    return _joined(judged, event_ids=judged.event_id.collect().sort())


def patterned_without_ids(judged: Any) -> Any:
    """As `patterned`, without the ids of the events."""
    return _joined(judged)


def _joined(judged: Any, **more: Any) -> Any:
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
            events=kept.count(),
            **more,
        )
        .order_by(KEY)
    )


def _place(*, by: Any, order: Any) -> Any:
    """Return the place of a row among those that are alike in *by*, from 1."""
    import ibis

    return ibis.row_number().over(ibis.window(group_by=by, order_by=order)) + 1
