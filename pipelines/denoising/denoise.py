"""De-noising as one function: from events and answers to preference pairs that can be trusted."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.errors import ContractError
from pipelines.denoising.figures import report_figures, voice_figures
from pipelines.denoising.hearing import hear
from pipelines.denoising.reading import (
    ANNOTATIONS,
    EVENTS,
    GENERATIONS,
    GOLD_LABELS,
    PROMPTS,
    checked,
)
from pipelines.denoising.users import user_table
from pipelines.preferences import IntentFit, IntentSettings, PairSettings, fit_intent
from pipelines.preferences.answers import read_answers
from pipelines.preferences.click_model import ClickSettings
from pipelines.preferences.making import infer_preferences
from pipelines.preferences.pairs import all_pairs, candidate_table
from pipelines.preferences.rating_model import RatingSettings
from pipelines.signals import (
    ExposureSettings,
    WeighingSettings,
    exposures,
    training_exposures,
    weigh,
)
from pipelines.signals.drops import drops_table, join_drops

STEPS: Final = (
    "read",
    "join exposures",
    "find adversaries",
    "infer intent",
    "make pairs",
    "report",
)
Step = Callable[[str], None]


def tables_intent() -> IntentSettings:
    """Return how tables that come in are fitted.

    Siblings are heard, annotators are held closer to the pool, and people are taken to differ
    more in how readily they act. The wheel keeps the defaults of `IntentSettings`, with which its
    figures were measured.
    """
    return IntentSettings(
        siblings=True,
        clicks=ClickSettings(lean_variance=0.5),
        ratings=RatingSettings(annotator_strength=20.0),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DenoiseSettings:
    """What is made of the tables, and how."""

    all_pairs: bool = False  # every pair of generations of one prompt once, sure or not
    signals: ExposureSettings = field(default_factory=lambda: ExposureSettings(heldout_users=0.0))
    intent: IntentSettings = field(default_factory=tables_intent)
    pairs: PairSettings = field(default_factory=PairSettings)
    weighing: WeighingSettings = field(default_factory=WeighingSettings)
    merge_voices: bool = True  # annotators who copy or share answers count as one


class Tables(NamedTuple):
    """What comes in, with exactly the columns that are used."""

    events: pa.Table
    generations: pa.Table
    annotations: pa.Table
    gold: pa.Table
    prompts: pa.Table


class Denoised(NamedTuple):
    """What goes out."""

    pairs: pa.Table  # preference_pair rows, or with all_pairs CANDIDATE rows
    users: pa.Table  # one row for every user with events
    annotators: pa.Table  # reliability by annotator, aspect and kind
    drops: pa.Table
    refused: pa.Table  # answers that cannot be: row, annotation_id, reason
    fit: IntentFit
    figures: dict[str, Any]  # the report


def denoise(
    events: pa.Table | None,
    generations: pa.Table,
    annotations: pa.Table | None,
    *,
    gold: pa.Table | None = None,
    prompts: pa.Table | None = None,
    settings: DenoiseSettings | None = None,
    step: Step = lambda name: None,
) -> Denoised:
    """Infer what people meant and turn it into preference pairs with calibrated confidence.

    Args:
        events: event contract; None or empty: annotators alone.
        generations: generation contract.
        annotations: annotation contract; None or empty: signals alone.
        gold: generation_id, aspect, value (a level 1 .. 5), where the truth is known.
        prompts: prompt contract, for splits by near-duplicate texts; None: each prompt_id
            stands for itself.
        settings: what is made, priors and thresholds.
        step: called with each of STEPS as it begins.

    Returns:
        Pairs, users, annotators, drops, the fit and the figures of the report; the same for any
        order of rows.

    Raises:
        ContractError: a table breaks its contract, or there is no generation.
    """
    settings = settings or DenoiseSettings()
    step("read")
    tables = _tables(events, generations, annotations, gold, prompts)
    step("join exposures")
    shown = exposures(tables.events, tables.generations, settings=settings.signals)
    step("find adversaries")
    weighed = weigh(shown.table, tables.generations, settings=settings.weighing)
    step("infer intent")
    heard = hear(tables.annotations, merge=settings.merge_voices)
    if settings.all_pairs:
        fit = fit_intent(
            weighed.table, heard.table, generations=tables.generations, gold=tables.gold,
            settings=settings.intent,
        )  # fmt: skip
        step("make pairs")
        pairs = all_pairs(fit, tables.generations, annotations=heard.table, settings=settings.pairs)
        drops = join_drops(shown.drops, fit.drops)
    else:
        fit, _, made = infer_preferences(
            weighed.table, heard.table, tables.prompts, tables.generations,
            gold=tables.gold, settings=settings.pairs, intent=settings.intent,
        )  # fmt: skip
        step("make pairs")
        pairs, drops = made.table, join_drops(shown.drops, fit.drops, made.drops)
    drops = join_drops(drops, weighed.drops, heard.drops, _unknown_gold(tables))
    step("report")
    users = user_table(fit, weighed, tables.events)
    figures = report_figures(
        tables.events, tables.annotations, weighed.table, fit, pairs, users, drops
    )
    return Denoised(
        pairs, users, fit.annotators, drops, heard.refused, fit,
        figures | {"voices": voice_figures(heard.voices)},
    )  # fmt: skip


def preview_denoise(
    events: pa.Table | None,
    generations: pa.Table,
    annotations: pa.Table | None,
    *,
    gold: pa.Table | None = None,
    prompts: pa.Table | None = None,
    settings: DenoiseSettings | None = None,
) -> dict[str, Any]:
    """Count rows, drops by reason and expected pairs; nothing is fitted.

    Raises:
        ContractError: as `denoise`.
    """
    settings = settings or DenoiseSettings()
    tables = _tables(events, generations, annotations, gold, prompts)
    shown = exposures(tables.events, tables.generations, settings=settings.signals)
    weighed = weigh(shown.table, tables.generations, settings=settings.weighing)
    ids = pc.unique(tables.generations["generation_id"]).sort()
    accepted = hear(tables.annotations, merge=settings.merge_voices)
    answers = read_answers(accepted.table, ids)
    heard = pc.is_in(
        ids,
        value_set=pa.concat_arrays(
            [
                tables.gold["generation_id"].combine_chunks(),
                pc.unique(training_exposures(shown.table)["generation_id"]),
                *(ids.take(pa.array(found.item)) for found in answers.ratings.values()),
                *(ids.take(pa.array(found.item)) for found in answers.comparisons.values()),
                *(ids.take(pa.array(found.other)) for found in answers.comparisons.values()),
            ]
        ),
    ).to_numpy(zero_copy_only=False)
    _, index, first, second = candidate_table(
        tables.generations, tuple(ids.to_pylist()), what="generations"
    )
    heard = heard[index]
    drops = join_drops(
        shown.drops, weighed.drops, accepted.drops, answers.drops, _unknown_gold(tables)
    )
    candidates = len(first) * len(settings.pairs.aspects)
    with_evidence = int((heard[first] | heard[second]).sum()) * len(settings.pairs.aspects)
    return {
        "rows": _rows(tables),
        "exposures": shown.table.num_rows,
        "answers": int(answers.used.sum()),
        "drops": drops.to_pylist(),
        "candidate_pairs": candidates,
        "expected_pairs": candidates if settings.all_pairs else with_evidence,
    }


def _tables(
    events: pa.Table | None,
    generations: pa.Table,
    annotations: pa.Table | None,
    gold: pa.Table | None,
    prompts: pa.Table | None,
) -> Tables:
    known = checked(generations, GENERATIONS)
    if known.num_rows == 0:
        raise ContractError("generations: no rows; there is nothing to compare")
    named = known.group_by("generation_id").aggregate([("prompt_id", "count_distinct")])
    torn = named.filter(pc.greater(named["prompt_id_count_distinct"], 1))["generation_id"]
    if len(torn):
        raise ContractError(
            f"generations: {len(torn)} ids have two prompts ({', '.join(torn.to_pylist()[:5])}); "
            "an id must be unique"
        )
    if prompts is None:
        ids = pc.unique(known["prompt_id"])
        prompts = pa.table({"prompt_id": ids, "text": ids})
    return Tables(
        events=EVENTS.schema.empty_table() if events is None else checked(events, EVENTS),
        generations=known,
        annotations=ANNOTATIONS.schema.empty_table()
        if annotations is None
        else checked(annotations, ANNOTATIONS),
        gold=GOLD_LABELS.schema.empty_table() if gold is None else checked(gold, GOLD_LABELS),
        prompts=checked(prompts, PROMPTS),
    )


def _rows(tables: Tables) -> dict[str, int]:
    return {name: table.num_rows for name, table in zip(Tables._fields, tables, strict=True)}


def _unknown_gold(tables: Tables) -> pa.Table:
    known = pc.is_in(
        tables.gold["generation_id"],
        value_set=tables.generations["generation_id"].combine_chunks(),
    )
    return drops_table("gold", {"unknown_generation": int(np.sum(~known.to_numpy()))})
