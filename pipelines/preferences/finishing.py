"""Finishing: the linear passes from candidates to preference pairs, for every engine.

All take and give Ibis tables.
"""

from dataclasses import dataclass
from typing import Any

from pipelines.preferences.channels import OVERALL

_ORDER = ("prompt_id", "aspect", "chosen_id", "rejected_id")


@dataclass(frozen=True, slots=True)
class Judging:
    """Say of each candidate why it is left out, or that it is kept."""

    per_prompt: int
    keep_undecided: bool

    def __call__(self, candidates: Any, splits: Any) -> Any:
        """Add *split* and *reason*."""
        import ibis

        prompts = splits.select("split", known_id="prompt_id")
        rows = candidates.left_join(prompts, candidates.prompt_id == prompts.known_id)
        tie = (rows.target == 0.5) & (rows.aspect != OVERALL)
        sure = tie.ifelse(0.5 + rows.weight / 2, rows.probability)
        place = ibis.row_number().over(
            ibis.window(
                group_by=[rows.prompt_id, rows.aspect, rows.kept & rows.known],
                order_by=[sure.desc(), rows.chosen_id, rows.rejected_id],
            )
        )
        reason = ibis.cases(
            (rows.split.isnull(), "unknown_prompt"),
            (ibis.literal(self.keep_undecided), "kept"),
            (~rows.known, "no_evidence"),
            (~rows.kept, "undecided"),
            (place >= self.per_prompt, "prompt_cap"),
            else_="kept",
        )
        return rows.mutate(reason=reason).drop("known_id")


def backed(judged: Any, evidence: Any) -> Any:
    """Name each pair that is kept, and add what it points back to."""
    import ibis

    kept = judged.filter(judged.reason == "kept").drop("reason", "kept", "known")
    two = (
        ibis.least(kept.chosen_id, kept.rejected_id),
        ibis.greatest(kept.chosen_id, kept.rejected_id),
    )
    named = two[0] + "\x1f" + two[1] + "\x1f" + kept.aspect
    kept = kept.mutate(pair_id=named.hexdigest("sha256").left(24))
    each = ibis.union(
        kept.select("pair_id", generation_id="chosen_id"),
        kept.select("pair_id", generation_id="rejected_id"),
    )
    found = each.inner_join(evidence, "generation_id")
    found = found.group_by(of_pair="pair_id").agg(
        sources=found.source.collect(distinct=True).sort(),
        evidence=found.ids.collect().flatten().unique().sort(),
    )
    rows = kept.left_join(found, kept.pair_id == found.of_pair)
    none = ibis.literal([], "array<string>")
    rows = rows.mutate(
        sources=ibis.coalesce(rows.sources, none), evidence=ibis.coalesce(rows.evidence, none)
    )
    return rows.drop("of_pair").order_by(_ORDER)
