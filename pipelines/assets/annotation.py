"""annotation: what people are asked, what they answer, and how far they agree."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import dagster as dg
import numpy as np
import pyarrow as pa

from annotation.confusion import annotator_confusion as measure_confusion
from annotation.quality import annotator_quality as measure_quality
from annotation.quality import aspect_agreement as measure_agreement
from annotation.queue import choose_tasks
from annotation.reliability import annotator_reliability as estimate_reliability
from annotation.reliability import aspect_labels as aggregate_labels
from annotation.results import critiques as read_critiques
from annotation.weeks import annotator_weeks as measure_weeks
from data_contracts.conform import conform
from data_contracts.contract import load_contract
from data_contracts.errors import ContractError
from data_contracts.labels import GENERAL
from data_contracts.schemas import ANNOTATION, GENERATION
from pipelines.append_io import read_batch
from pipelines.assets.turns import TURNS, turn_name
from pipelines.io_managers import PARENTS
from pipelines.labelling.edits import edited_generations as edits_of
from pipelines.labelling.edits import edits_among
from pipelines.labelling.ledger import open_ledger
from pipelines.labelling.quality_figures import standing_figures, told_in_numbers
from pipelines.labelling.quality_page import agreement_page, quality_page
from pipelines.labelling.quality_sources import gold_of_zone, has_desk
from pipelines.preferences.edited import under_parents_skill
from pipelines.resources import AnnotationDesk, Wheel
from pipelines.stores import read_asset_table
from pipelines.stores.enforcer import refuse, split_rows
from pipelines.world.desk import turn_number
from pipelines.world.medium import medium_of

_OUT = {"key_prefix": "annotation", "io_manager_key": "tables"}
_KINDS = {"parquet"}
_Rows: TypeAlias = dg.Output[pa.Table]


@dg.asset(
    group_name="annotation",
    kinds=_KINDS,
    partitions_def=TURNS,
    ins={"generations": dg.AssetIn(key_prefix="artifacts")},
    deps=[
        dg.AssetKey(["artifacts", "prompts"]),
        dg.AssetKey(["signals", "trusted_signals"]),
    ],
    **_OUT,
)
def annotation_queue(
    context: dg.AssetExecutionContext, wheel: Wheel, generations: pa.Table
) -> dg.Output[pa.Table]:
    """Which questions are worth a person's time: where the previous snapshot was unsure."""
    settings = wheel.settings
    turn = turn_number(context.partition_key)
    known = wheel.stores.catalogue.pointer(f"preferences/generation_labels/{turn_name(turn - 1)}")
    uncertainty = wheel.stores.derived.read(known) if known else None  # type: ignore[arg-type]  # a digest
    tasks = choose_tasks(
        generations,
        uncertainty.select(["generation_id", "uncertainty"]) if uncertainty else None,
        budget=settings.queue.budget,
        exploration=settings.queue.exploration,
        rng=np.random.default_rng([settings.seed, turn]),
        aspects=(*medium_of(settings.studio.modality).aspects, "overall"),
    )
    return dg.Output(tasks, metadata={"tasks": tasks.num_rows, PARENTS: [known] if known else []})


@dg.asset(
    group_name="annotation",
    kinds=_KINDS,
    partitions_def=TURNS,
    ins={"annotation_queue": dg.AssetIn(key_prefix="annotation")},
    **_OUT,
)
def annotation_tasks(
    context: dg.AssetExecutionContext,
    desk: dg.ResourceParam[AnnotationDesk],
    annotation_queue: pa.Table,
) -> pa.Table:
    """The questions as they were handed to the annotators."""
    desk.push(context.partition_key, annotation_queue)
    return annotation_queue


@dg.asset(
    key_prefix="annotation",
    group_name="annotation",
    partitions_def=TURNS,
    io_manager_key="append",
    kinds={"deltalake"},
    deps=[dg.AssetKey(["annotation", "annotation_tasks"])],
)
def annotations(
    context: dg.AssetExecutionContext, wheel: Wheel, desk: dg.ResourceParam[AnnotationDesk]
) -> dg.Output[pa.Table]:
    """Annotators' answers that keep their contract; refused ones are counted by reason."""
    answers = conform(desk.pull(context.partition_key), ANNOTATION, what="annotations")
    accepted, refused = split_rows(answers, load_contract("annotation"), now=datetime.now(UTC))
    parent = wheel.stores.catalogue.pointer(f"annotation/annotation_tasks/{context.partition_key}")
    figures = standing_figures(
        accepted,
        gold=gold_of_zone(Path(wheel.root)),
        rng=np.random.default_rng(wheel.settings.seed),
    )
    return dg.Output(
        accepted,
        metadata={
            PARENTS: [parent],
            "received": answers.num_rows,
            "refused": refused.num_rows,
            **told_in_numbers(figures),
        },
    )


@dg.asset(
    group_name="annotation",
    kinds=_KINDS,
    partitions_def=TURNS,
    deps=[dg.AssetKey(["annotation", "annotations"])],
    **_OUT,
)
def critiques(context: dg.AssetExecutionContext, wheel: Wheel) -> dg.Output[pa.Table]:
    """Where annotators pointed: visual tokens of pictures, frames of films, characters of text."""
    from backbone.emu3 import STUDIO_GRID

    digest, answers = read_batch(wheel.stores, "annotations", context.partition_key)
    found = read_critiques(answers, rows=STUDIO_GRID.height, columns=STUDIO_GRID.width)
    return dg.Output(found, metadata={"critiques": found.num_rows, PARENTS: [digest]})


@dg.asset(
    group_name="annotation",
    kinds=_KINDS,
    partitions_def=TURNS,
    ins={"generations": dg.AssetIn(key_prefix="artifacts")},
    deps=[dg.AssetKey(["annotation", "annotations"])],
    **_OUT,
)
def edited_generations(
    context: dg.AssetExecutionContext, wheel: Wheel, generations: pa.Table
) -> dg.Output[pa.Table]:
    """Texts as annotators made them better: generations of people, whose parent was edited."""
    digest, answers = read_batch(wheel.stores, "annotations", context.partition_key)
    root = Path(wheel.root)
    found = GENERATION.empty_table()
    if has_desk(root):
        found = edits_of(open_ledger(root), context.partition_key)
    edited, lacking = edits_among(found, answers)
    edited = under_parents_skill(edited, generations)
    refuse(edited, load_contract("generation"), now=datetime.now(UTC))
    strange = set(edited["parent_generation_id"].to_pylist()) - set(
        generations["generation_id"].to_pylist()
    )
    if strange:
        raise ContractError(
            f"edits: {len(strange)} of what was edited is not of this turn (first: {min(strange)})"
        )
    return dg.Output(
        edited, metadata={"edits": edited.num_rows, "lacking": lacking, PARENTS: [digest]}
    )


@dg.asset(
    group_name="annotation",
    kinds=_KINDS,
    partitions_def=TURNS,
    ins={"generations": dg.AssetIn(key_prefix="artifacts")},
    deps=[dg.AssetKey(["annotation", "edited_generations"])],
    **_OUT,
)
def all_generations(
    context: dg.AssetExecutionContext, wheel: Wheel, generations: pa.Table
) -> dg.Output[pa.Table]:
    """What pairs may name: the policies' generations, and people's edited versions of them."""
    edited = read_asset_table(
        wheel.stores,
        "annotation/edited_generations",
        clearance=GENERAL,
        partition=context.partition_key,
    )
    # Without edits this is the table of the policies' generations itself, which rests on no answer.
    parents = [edited.digest] if edited.table.num_rows else []
    return dg.Output(
        pa.concat_tables([generations, edited.table]),
        metadata={"edited": edited.table.num_rows, PARENTS: parents},
    )


@dg.multi_asset(
    outs={
        "annotator_reliability": dg.AssetOut(
            description="How often each annotator is right, by what all of them say together.",
            kinds=_KINDS,
            **_OUT,
        ),
        "annotator_quality": dg.AssetOut(
            description="Who wants a word: agreement, gold, side, haste and drift of each "
            "annotator, with intervals. A page for leads, no input of training.",
            kinds=_KINDS,
            **_OUT,
        ),
        "annotator_confusion": dg.AssetOut(
            description="What each annotator says where the answer is known, or most others agree.",
            kinds=_KINDS,
            **_OUT,
        ),
        "annotator_weeks": dg.AssetOut(
            description="Each annotator's answers, pace and agreement, week by week.",
            kinds=_KINDS,
            **_OUT,
        ),
        "aspect_agreement": dg.AssetOut(
            description="How far annotators agree beyond chance, by kind of answer and aspect.",
            kinds=_KINDS,
            **_OUT,
        ),
        "aspect_labels": dg.AssetOut(
            description="What annotators say together of each rated generation. A report for "
            "people: training reads their raw answers.",
            kinds=_KINDS,
            **_OUT,
        ),
    },
    group_name="annotation",
    partitions_def=TURNS,
    deps=[dg.AssetKey(["annotation", "annotations"])],
)
def annotation_reports(
    context: dg.AssetExecutionContext, wheel: Wheel
) -> tuple[_Rows, _Rows, _Rows, _Rows, _Rows, _Rows]:
    """How much each annotator's judgement is worth, and what they say together; for people."""
    digest, answers = read_batch(wheel.stores, "annotations", context.partition_key)
    seed = [wheel.settings.seed, turn_number(context.partition_key)]
    gold = gold_of_zone(Path(wheel.root))
    quality = measure_quality(answers, gold=gold)
    agreement = measure_agreement(answers, rng=np.random.default_rng(seed))
    parents = {PARENTS: [digest]}
    return (
        dg.Output(estimate_reliability(answers), metadata=parents),
        dg.Output(
            quality, metadata=parents | {"annotators": dg.MetadataValue.md(quality_page(quality))}
        ),
        dg.Output(measure_confusion(answers, gold=gold), metadata=parents),
        dg.Output(measure_weeks(answers, gold=gold), metadata=parents),
        dg.Output(
            agreement,
            metadata=parents | {"agreement": dg.MetadataValue.md(agreement_page(agreement))},
        ),
        dg.Output(aggregate_labels(answers), metadata=parents),
    )
