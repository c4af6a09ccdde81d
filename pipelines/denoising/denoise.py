"""De-noising as one function: from events and answers to preference pairs that can be trusted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.errors import ContractError
from data_contracts.schemas import PREFERENCE_PAIR
from pipelines.denoising.copies import copy_figures, mark_suspects
from pipelines.denoising.crowd import crowd_figures
from pipelines.denoising.figures import report_figures
from pipelines.denoising.reading import EVENTS, Batches, checked, table_batches
from pipelines.denoising.sightings import Sightings, see, see_in_parts
from pipelines.denoising.tables import Tables, about, conformed, heard_of
from pipelines.denoising.users import user_table
from pipelines.denoising.working import EngineName, checked_engine, working
from pipelines.preferences import IntentFit, IntentSettings, PairSettings, fit_intent
from pipelines.preferences.answers import read_answers
from pipelines.preferences.click_model import ClickSettings
from pipelines.preferences.evidence import gather_evidence
from pipelines.preferences.hearing import Heard
from pipelines.preferences.kernel import FloatArray
from pipelines.preferences.pairs import (
    all_pairs,
    candidate_table,
    make_pairs,
    pairs_apart,
)
from pipelines.preferences.partitions import checked_processes
from pipelines.preferences.rating_model import RatingSettings
from pipelines.preferences.splits import split_prompts
from pipelines.signals import ExposureSettings, WeighingSettings
from pipelines.signals.drops import DROPS, add_drops, drops_table, join_drops
from pipelines.signals.engines import DUCKDB, Engine
from pipelines.stores.atomic import storage_errors

STEPS: Final = (
    "read",
    "join exposures",
    "find adversaries",
    "infer intent",
    "make pairs",
    "report",
)
Step = Callable[[str], None]
Keep = Callable[[pa.Table], None]
LEAST_MEMORY: Final = 16_000_000


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
    crowd: bool = False  # read annotators alone as well: models judged by gold, and minorities
    memory_limit: int | None = None  # bytes; events are joined and counted part by part on disk
    processes: int = 1  # that share the E-step; the figures are the same within 1e-9
    engine: EngineName = "duckdb"  # of linear passes; on Spark executors take the E-step too
    spark_master: str = "local[2]"
    scratch: Path | None = None  # where those parts lie meanwhile; None: the system's place

    def __post_init__(self) -> None:
        checked_processes(self.processes)
        checked_engine(self.engine, processes=self.processes)
        if self.memory_limit is not None and self.memory_limit < LEAST_MEMORY:
            raise ContractError(
                f"memory_limit is {self.memory_limit:,} bytes; give at least {LEAST_MEMORY:,}"
            )


class Denoised(NamedTuple):
    """What goes out."""

    pairs: pa.Table  # preference_pair rows, or with all_pairs CANDIDATE rows
    users: pa.Table  # one row for every user with events
    annotators: pa.Table  # reliability by annotator, aspect and kind; may_be_copy
    suspects: pa.Table  # pairs of annotators who look like copies
    drops: pa.Table
    refused: pa.Table  # answers and gold that cannot be
    fit: IntentFit
    figures: dict[str, Any]  # the report


def denoise(
    events: pa.Table | Batches | None,
    generations: pa.Table,
    annotations: pa.Table | None,
    *,
    gold: pa.Table | None = None,
    prompts: pa.Table | None = None,
    settings: DenoiseSettings | None = None,
    step: Step = lambda name: None,
    keep: Keep | None = None,
) -> Denoised:
    """Infer what people meant and turn it into preference pairs with calibrated confidence.

    Args:
        events: event contract, as a table or some rows at a time (`read_batches`); None or
            empty: annotators alone.
        generations: generation contract.
        annotations: annotation contract; None or empty: signals alone.
        gold: generation_id, aspect, value (a level 1 .. 5), where the truth is known.
        prompts: prompt contract, for splits by near-duplicate texts; None: each prompt_id
            stands for itself.
        settings: what is made, priors and thresholds.
        step: called with each of STEPS as it begins.
        keep: takes the pairs, some prompts at a time, in order; the answer then holds none.

    Returns:
        Pairs, users, annotators, drops, the fit and the figures of the report; the same for any
        order of rows.

    Raises:
        ContractError: a table breaks its contract, there is no generation, or pairs are asked for
            of an aspect that nobody speaks of.
        FlywheelError: one of several processes ended before its time, or Spark is missing, does
            not start, or ends before its time.
    """
    settings = settings or DenoiseSettings()
    step("read")
    tables = conformed(generations, annotations, gold, prompts)
    heard = heard_of(tables, merge=settings.merge_voices, aspects=settings.pairs.aspects)
    with (
        working(
            settings.engine, settings.spark_master, in_parts=settings.memory_limit is not None
        ) as (engine, spread),
        _sightings(events, tables, settings=settings, engine=engine, step=step) as seen,
    ):
        step("infer intent")
        fit = fit_intent(
            seen.clicks(settings.intent.clicks), heard.table, generations=tables.generations,
            gold=heard.gold, settings=settings.intent, processes=settings.processes,
            spread=spread,
        )  # fmt: skip
        step("make pairs")
        collected: list[pa.Table] = []
        made = _make_pairs(seen, fit, heard, tables, keep or collected.append, settings, engine)
    drops = join_drops(seen.drops[0], fit.drops, made.drops)
    drops = join_drops(drops, seen.drops[1], heard.drops)
    step("report")
    users = user_table(fit, seen)
    figures = report_figures(tables, heard, seen, fit, made.probability, users, drops)
    ids = pa.array(fit.generation_ids, pa.string())
    crowd = crowd_figures(heard.table, heard.gold, ids) if settings.crowd else []
    return Denoised(
        pa.concat_tables(collected) if collected else made.schema.empty_table(),
        users, mark_suspects(fit.annotators, heard), heard.suspects, drops, heard.refused, fit,
        figures | copy_figures(heard) | {"crowd": crowd},
    )  # fmt: skip


def preview_denoise(
    events: pa.Table | Batches | None,
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
    tables = conformed(generations, annotations, gold, prompts)
    accepted = heard_of(tables, merge=settings.merge_voices, aspects=settings.pairs.aspects)
    with _sightings(events, tables, settings=replace(settings, all_pairs=True)) as seen:
        shown = seen.shown()
    ids = pc.unique(tables.generations["generation_id"]).sort()
    answers = read_answers(accepted.table, ids)
    heard = pc.is_in(
        ids,
        value_set=pa.concat_arrays(
            [
                accepted.gold["generation_id"].combine_chunks(),
                shown,
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
    drops = join_drops(*seen.drops, accepted.drops, answers.drops)
    candidates = len(first) * len(settings.pairs.aspects)
    with_evidence = int((heard[first] | heard[second]).sum()) * len(settings.pairs.aspects)
    return {
        "rows": {"events": seen.events} | tables.rows,
        "exposures": seen.exposures,
        "answers": int(answers.used.sum()),
        "drops": drops.to_pylist(),
        "candidate_pairs": candidates,
        "expected_pairs": candidates if settings.all_pairs else with_evidence,
    } | copy_figures(accepted)


@contextmanager
def _sightings(
    events: pa.Table | Batches | None,
    tables: Tables,
    *,
    settings: DenoiseSettings,
    engine: Engine = DUCKDB,
    step: Step = lambda name: None,
) -> Iterator[Sightings]:
    """Give what users saw and did; what lies on disk for it is gone afterwards."""
    given = EVENTS.schema.empty_table() if events is None else events
    if settings.memory_limit is None:
        rows = given if isinstance(given, pa.Table) else given.whole()
        yield see(
            checked(rows, EVENTS), tables.generations, signals=settings.signals,
            weighing=settings.weighing, engine=engine, step=step,
            keep_events=not settings.all_pairs,
        )  # fmt: skip
        return
    batches = table_batches(given, EVENTS) if isinstance(given, pa.Table) else given
    with (
        storage_errors("what is joined under a memory limit"),
        TemporaryDirectory(prefix=".flywheel-denoise-", dir=settings.scratch) as folder,
    ):
        yield see_in_parts(
            batches, tables.generations, folder=Path(folder), limit=settings.memory_limit,
            keep_events=not settings.all_pairs, processes=settings.processes,
            signals=settings.signals, weighing=settings.weighing, step=step,
        )  # fmt: skip


class Made(NamedTuple):
    """What pairs were made, when each block of them has been kept."""

    probability: FloatArray
    drops: pa.Table
    schema: pa.Schema


def _make_pairs(
    seen: Sightings,
    fit: IntentFit,
    heard: Heard,
    tables: Tables,
    keep: Keep,
    settings: DenoiseSettings,
    engine: Engine,
) -> Made:
    chances, drops, schema = [np.zeros(0)], [DROPS.empty_table()], PREFERENCE_PAIR
    splits = None
    if not settings.all_pairs:
        splits = split_prompts(tables.prompts, settings=settings.pairs.splits)
    for generations, shown in seen.blocks():
        said, known = heard.table, heard.gold
        if generations.num_rows < tables.generations.num_rows:
            said, known = about(said, generations), about(known, generations)
        if settings.all_pairs:
            pairs = all_pairs(fit, generations, annotations=said, settings=settings.pairs)
            apart = pairs_apart(
                generations, fit.generation_ids, aspects=len(settings.pairs.aspects)
            )
            drops.append(drops_table("preferences", apart))
        else:
            evidence = gather_evidence(shown, said, gold=known, engine=engine)
            found = make_pairs(
                fit, tables.prompts, generations, evidence, annotations=said, splits=splits,
                settings=settings.pairs, engine=engine,
            )  # fmt: skip
            pairs = found.table
            drops.append(found.drops)
        keep(pairs)
        chances.append(pairs["probability"].to_numpy())
        schema = pairs.schema
    return Made(np.concatenate(chances), add_drops(*drops), schema)
