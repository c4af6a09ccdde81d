"""preferences: what people meant, as pairs with evidence, validated and frozen in a snapshot."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from annotation.results import edits_as_comparisons
from data_contracts.contract import load_contract
from data_contracts.labels import GENERAL
from pipelines.append_io import read_batch
from pipelines.assets.turns import TURNS
from pipelines.code_version import code_version
from pipelines.io_managers import PARENTS
from pipelines.labelling.quality_sources import gold_of_zone
from pipelines.preferences.card import card_markdown, dataset_card
from pipelines.preferences.edited import edited_of
from pipelines.preferences.known_levels import known_levels
from pipelines.preferences.making import make_preferences
from pipelines.resources import Wheel
from pipelines.settings import Evidence
from pipelines.signals.drops import join_drops
from pipelines.stores import read_asset_table, write_snapshot
from pipelines.stores.enforcer import describe_violations, find_violations

_OUT = {"key_prefix": "preferences", "io_manager_key": "tables"}
_KINDS = {"parquet"}
CONTRACT = "preference_pair"
SNAPSHOT_POINTER = "preferences/preference_snapshot"


@dg.multi_asset(
    outs={
        "user_intents": dg.AssetOut(
            description="What each user's actions meant: the shares of endorsing, mocking and "
            "indiscriminate ones.",
            kinds=_KINDS,
            **_OUT,
        ),
        "generation_labels": dg.AssetOut(
            description="How good each generation is thought to be, and how sure that is; the next "
            "turn asks people where it is not.",
            kinds=_KINDS,
            **_OUT,
        ),
        "pair_drops": dg.AssetOut(
            description="Why some comparisons became no pair, with counts.", kinds=_KINDS, **_OUT
        ),
        "preference_pairs": dg.AssetOut(
            description="Which of two generations for a prompt is better, how sure that is, and "
            "the evidence by id.",
            kinds=_KINDS,
            **_OUT,
        ),
    },
    group_name="preferences",
    partitions_def=TURNS,
    ins={
        "trusted_signals": dg.AssetIn(["signals", "trusted_signals"]),
        "exposures": dg.AssetIn(["signals", "exposures"]),
        "prompts": dg.AssetIn(["artifacts", "prompts"]),
        "generations": dg.AssetIn(["annotation", "all_generations"]),
    },
    deps=[dg.AssetKey(["annotation", "annotations"])],
)
def inferred_preferences(
    context: dg.AssetExecutionContext,
    wheel: Wheel,
    trusted_signals: pa.Table,
    exposures: pa.Table,
    prompts: pa.Table,
    generations: pa.Table,
) -> tuple[dg.Output[pa.Table], dg.Output[pa.Table], dg.Output[pa.Table], dg.Output[pa.Table]]:
    """Read signals for intent, anchored in annotators' raw answers and gold; pair what follows."""
    digest, answers = read_batch(wheel.stores, "annotations", context.partition_key)
    turn = context.partition_key
    gold, unheard = known_levels(
        gold_of_zone(Path(wheel.root)), about=_asked_about(generations, answers)
    )
    made = make_preferences(
        trusted_signals,
        exposures,
        edits_as_comparisons(answers),
        prompts,
        generations,
        **wheel.settings.pairs.model_dump(),
        seed=wheel.settings.seed,
        quality=lambda: _oracle(wheel, turn),
        gold=gold,
        edited=edited_of(answers),
    )
    parents = {PARENTS: [digest]}
    drops = join_drops(unheard, made.drops)
    return (
        dg.Output(made.user_intents, metadata={**parents, **made.figures}),
        dg.Output(made.generation_labels, metadata=parents),
        dg.Output(drops, metadata={**parents, "reasons": dg.MetadataValue.md(_drops_page(drops))}),
        dg.Output(made.pairs, metadata={**parents, **_warnings(made.figures)}),
    )


@dg.asset_check(
    asset=dg.AssetKey(["preferences", "preference_pairs"]),
    blocking=True,
    name="keeps_its_contract",
    partitions_def=TURNS,
)
def pairs_keep_their_contract(
    context: dg.AssetCheckExecutionContext, wheel: Wheel
) -> dg.AssetCheckResult:
    """Every rule of the contract, over the whole table; offenders are named by id."""
    stores, contract = wheel.stores, load_contract(CONTRACT)
    found = read_asset_table(
        stores, "preferences/preference_pairs", clearance=GENERAL, partition=context.partition_key
    )
    now = datetime.now(UTC)
    violations = find_violations(found.table, contract, now=now)
    passed = violations.num_rows == 0
    stores.catalogue.record_validation(
        found.digest,
        contract=CONTRACT,
        version=contract.version,
        passed=passed,
        rules=[str(rule) for rule in contract.rules],
        rows=found.table.num_rows,
        at=now,
    )
    said = describe_violations(violations, contract, rows=found.table.num_rows)
    return dg.AssetCheckResult(
        passed=passed,
        metadata={"rows": found.table.num_rows, "rules": len(contract.rules)}
        | ({} if passed else {"offenders": dg.MetadataValue.text(said)}),
    )


@dg.asset(
    key_prefix="preferences",
    group_name="preferences",
    partitions_def=TURNS,
    deps=[
        dg.AssetKey(["preferences", "preference_pairs"]),
        dg.AssetKey(["preferences", "pair_drops"]),
    ],
)
def preference_snapshot(context: dg.AssetExecutionContext, wheel: Wheel) -> dg.MaterializeResult:
    """The pairs, frozen with their dataset card; shut until preference_pairs passed its check."""
    stores, turn = wheel.stores, context.partition_key
    pairs = read_asset_table(
        stores, "preferences/preference_pairs", clearance=GENERAL, partition=turn
    )
    drops = [
        read_asset_table(stores, name, clearance=GENERAL, partition=turn).table
        for name in ("signals/signal_drops", "preferences/pair_drops")
    ]
    generations = read_asset_table(
        stores, "annotation/all_generations", clearance=GENERAL, partition=turn
    )
    card = dataset_card(
        pairs.table,
        join_drops(*drops),
        None,
        origin=card_origin(wheel.settings.evidence),
        generations=generations.table,
    )
    manifest = write_snapshot(
        stores,
        pairs.table,
        parents=[pairs.digest],
        card=card,
        configuration_digest=wheel.settings.digest,
        code_version=code_version(),
        at=datetime.now(UTC),
    )
    pointer = f"{SNAPSHOT_POINTER}/{turn}"
    stores.catalogue.swap_pointer(
        pointer,
        expected=stores.catalogue.pointer(pointer),
        new=manifest.snapshot_id,
        reason="materialised",
        by=f"run {context.run_id}",
        at=datetime.now(UTC),
    )
    return dg.MaterializeResult(
        metadata={
            "snapshot": manifest.snapshot_id,
            "pairs": manifest.pairs,
            "card": dg.MetadataValue.md(card_markdown(card)),
        }
    )


def card_origin(evidence: Evidence) -> str:
    """Say in the dataset card where signals and answers come from."""
    said = "events, generations and annotations of one turn of the wheel"
    return f"{said} in a simulated studio" if evidence == "simulated" else said


def _asked_about(generations: pa.Table, answers: pa.Table) -> pa.Array:
    """Return the turn's generations, and those of earlier turns that its annotators were asked."""
    both = generations["generation_id"].chunks + answers["generation_id"].chunks
    return pc.unique(pa.chunked_array(both, pa.string()))


def _drops_page(drops: pa.Table) -> str:
    rows = [f"| {r['stage']} | {r['reason']} | {r['rows']} |" for r in drops.to_pylist()]
    return "\n".join(["| stage | reason | rows |", "|---|---|---|", *rows])


def _warnings(figures: Mapping[str, int | float | str]) -> dict[str, str]:
    """Return what a person should look at before these pairs are trained on."""
    suspected = figures["annotators who may be copies"]
    if not suspected:
        return {}
    return {
        "look at first": f"{suspected} annotators answer so alike that they look like copies, and "
        "gave so much that nobody else can tell; all are heard"
    }


def _oracle(wheel: Wheel, turn: str) -> pa.Table:
    import pyarrow.parquet as pq

    return pq.read_table(wheel.inbox.file(turn, "oracle"))
