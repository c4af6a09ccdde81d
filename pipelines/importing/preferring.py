"""From answers alone to preference pairs: there are no users to watch in a public set."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.contract import load_contract
from data_contracts.errors import ContractError
from pipelines.code_version import code_version
from pipelines.importing.storing import StoredSet
from pipelines.intake.importers import Imported
from pipelines.preferences import (
    PairSettings,
    TargetSettings,
    dataset_card,
    fit_intent,
    gather_evidence,
    make_pairs,
)
from pipelines.signals.drops import drop_counts, drops_table, join_drops
from pipelines.stores import Parent, SnapshotManifest, Stores, write_snapshot
from pipelines.stores.enforcer import refuse

POOLED = (
    "Nobody knows who answered and each pair was judged once, so that no judge's care can be "
    "estimated: every judgement counts as made and all count alike."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferredSet:
    """The pairs of one set, validated and kept as a snapshot."""

    snapshot: SnapshotManifest
    pairs: pa.Table
    drops: Mapping[str, object]  # rows left out, by stage and reason
    pooled: bool  # judges unknown: pairs as judged, not as inferred


def prefer(
    imported: Imported,
    stored: StoredSet,
    stores: Stores,
    *,
    agreement: Mapping[str, float | None],
    configuration: str,
    now: datetime,
) -> PreferredSet:
    """Fit the answers, pair generations of one prompt, validate, and write the snapshot.

    Raises:
        ContractError: no answer can be used, or a pair breaks its contract; nothing is written.
    """
    answers = imported.annotations
    aspects = tuple(sorted({a for a in answers["aspect"].to_pylist() if a is not None}))
    if not aspects:
        raise ContractError("annotations: no answer names an aspect, so nothing can be compared")
    pooled = answers["annotator_id"].null_count == answers.num_rows
    target = TargetSettings(min_confidence=0.5) if pooled else TargetSettings()
    fit = fit_intent(None, answers, generations=imported.generations)
    made = make_pairs(
        fit,
        imported.prompts,
        imported.generations,
        gather_evidence(None, answers),
        settings=PairSettings(aspects=aspects, target=target),
    )
    pairs, drops = made.table, join_drops(fit.drops, made.drops)
    if pooled:
        pairs, unjudged = _as_judged(pairs, answers)
        drops = join_drops(drops, drops_table("import", {"never_compared": unjudged}))
    card = dataset_card(
        pairs,
        drops,
        fit,
        origin=f"The public set {imported.generations['project_id'][0]}: judgements by people.",
        agreement=agreement,
        gaps=[POOLED] if pooled else [],
    )
    contract = load_contract("preference_pair")
    refuse(pairs, contract, now=now)
    snapshot = write_snapshot(
        stores,
        pairs,
        parents=[stored.prompts, stored.generations, Parent(stored.annotations, "evidence")],
        card=card,
        configuration_digest=configuration,
        code_version=code_version(),
        at=now,
    )
    stores.catalogue.record_validation(
        snapshot.digest,
        contract=contract.name,
        version=contract.version,
        passed=True,
        rules=[f"{rule.kind}({rule.column})" for rule in contract.rules],
        rows=pairs.num_rows,
        at=now,
    )
    return PreferredSet(snapshot=snapshot, pairs=pairs, drops=drop_counts(drops), pooled=pooled)


def _as_judged(pairs: pa.Table, answers: pa.Table) -> tuple[pa.Table, int]:
    """Keep pairs that somebody compared directly; return them and how many were left out."""
    compared = answers.filter(pc.equal(answers["kind"], "comparison"))
    sides = (compared[name].to_pylist() for name in ("generation_id", "other_generation_id"))
    known = {frozenset(pair) for pair in zip(*sides, strict=True)}
    named = zip(pairs["chosen_id"].to_pylist(), pairs["rejected_id"].to_pylist(), strict=True)
    kept = pairs.filter(pa.array([frozenset(pair) in known for pair in named], pa.bool_()))
    return kept, pairs.num_rows - kept.num_rows
