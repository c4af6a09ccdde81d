"""From answers alone to preference pairs: there are no users to watch in a public set."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.contract import load_contract
from data_contracts.errors import ContractError
from pipelines.code_version import code_version
from pipelines.importing.measured import measured_pairs
from pipelines.importing.questions import fitted_answers
from pipelines.importing.storing import StoredSet
from pipelines.intake.importers import MACHINE, Imported
from pipelines.preferences import (
    IntentFit,
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

POOLED: Final = (
    "Nobody knows who answered and each pair was judged once, so that no judge's care can be "
    "estimated: every judgement counts as made and all count alike."
)
UNNAMED: Final = (
    "Nobody knows who answered what: all answers count as one pool's, and no judge's care can be "
    "estimated."
)
MACHINES: Final = "The answers are verdicts of machines; people's gold labels were held back."
MEASURED: Final = (
    "Each rating is a mean over raters with a stated standard error; pairs follow from both, "
    "without a fit."
)
_UNCAPPED: Final = 1_000_000
# Some sets have few prompts with many generations each; the wheel's own cap would leave little.
_PER_PROMPT: Final = 100
_ANSWERS: Final = ("rating", "comparison")


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferredSet:
    """The pairs of one set, validated and kept as a snapshot."""

    snapshot: SnapshotManifest
    pairs: pa.Table
    drops: Mapping[str, object]  # rows left out, by stage and reason
    pooled: bool  # judges unknown: pairs as judged, not as inferred
    fit: IntentFit | None  # None: pairs were made without one


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
    answers, by = fitted_answers(imported.annotations)
    answers = answers.filter(pc.is_in(answers["kind"], value_set=pa.array(_ANSWERS)))
    aspects = tuple(sorted({a for a in answers["aspect"].to_pylist() if a is not None}))
    if not aspects:
        raise ContractError("annotations: no answer names an aspect, so nothing can be compared")
    pooled = _judged_once(answers)
    target = TargetSettings(min_confidence=0.5) if pooled else TargetSettings()
    cap = _UNCAPPED if pooled else _PER_PROMPT
    settings = PairSettings(aspects=aspects, target=target, per_prompt=cap)
    evidence = gather_evidence(None, answers)
    sources = (imported.prompts, imported.generations, evidence)
    fit: IntentFit | None = None
    if imported.stated_errors.num_rows:
        made = measured_pairs(answers, imported.stated_errors, *sources, settings=settings)
        pairs, drops = made.table, made.drops
    else:
        fit = fit_intent(None, answers, generations=imported.generations)
        made = make_pairs(fit, *sources, settings=settings)
        pairs, drops = made.table, join_drops(fit.drops, made.drops)
    if pooled:
        pairs, unjudged = _as_judged(pairs, answers)
        drops = join_drops(drops, drops_table("import", {"never_preferred": unjudged}))
    unnamed = answers["annotator_id"].null_count == answers.num_rows
    gaps = {POOLED: pooled, UNNAMED: unnamed and not pooled, MACHINES: by == MACHINE,
            MEASURED: fit is None}  # fmt: skip
    card = dataset_card(
        pairs,
        drops,
        fit,
        origin=f"The public set {imported.generations['project_id'][0]}: judgements by {by}"
        f"{'s' if by == MACHINE else ''}.",
        agreement=agreement,
        gaps=[told for told, true in gaps.items() if true],
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
    return PreferredSet(
        snapshot=snapshot, pairs=pairs, drops=drop_counts(drops), pooled=pooled, fit=fit
    )


def _judged_once(answers: pa.Table) -> bool:
    """Say whether all judges are unknown and no two judged the same pair under one aspect."""
    if answers["annotator_id"].null_count < answers.num_rows:
        return False
    if pc.any(pc.equal(answers["kind"], "rating")).as_py():
        return False
    compared = list(_sides(answers))
    return len(set(compared)) == len(compared)


def _as_judged(pairs: pa.Table, answers: pa.Table) -> tuple[pa.Table, int]:
    """Keep pairs of which somebody preferred one; return them and how many were left out."""
    known = set(_sides(answers.filter(pc.not_equal(answers["value"], 0.0))))
    named = zip(
        *(pairs[n].to_pylist() for n in ("aspect", "chosen_id", "rejected_id")), strict=True
    )
    kept = pairs.filter(
        pa.array([(aspect, frozenset(pair)) in known for aspect, *pair in named], pa.bool_())
    )
    return kept, pairs.num_rows - kept.num_rows


def _sides(answers: pa.Table) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the aspect and the two that were compared, of each comparison."""
    compared = answers.filter(pc.equal(answers["kind"], "comparison"))
    names = ("aspect", "generation_id", "other_generation_id")
    for aspect, *pair in zip(*(compared[name].to_pylist() for name in names), strict=True):
        yield aspect, frozenset(pair)
