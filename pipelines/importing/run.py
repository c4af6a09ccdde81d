"""One import from beginning to end."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from data_contracts.vocabulary import SPLITS
from pipelines.importing.clicking import event_figures
from pipelines.importing.judging import (
    agreement_by_name,
    agreement_figures,
    comparison_figures,
    rating_figures,
)
from pipelines.importing.machines import machine_figures
from pipelines.importing.options import ImportOptions
from pipelines.importing.page import write_page
from pipelines.importing.preferring import PreferredSet, prefer
from pipelines.importing.storing import source_digest, store_set, validate_set
from pipelines.intake.importers import Imported, importer
from pipelines.stores import open_stores
from pipelines.stores.digests import json_digest

Figures = dict[str, Any]
Advance = Callable[[int, int], None]
Bar = Callable[[str], Advance]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedSet:
    """What an import made."""

    figures: Figures
    page: Path


def preview_import(options: ImportOptions, *, now: datetime) -> Figures:
    """Read and validate a set and say what it holds; nothing is written.

    Raises:
        FlywheelError: an unknown set, a file that is missing or damaged.
        ContractError: a row breaks a contract.
    """
    imported = importer(options.name)(options.path)
    validate_set(imported, now=now)
    return _counts(imported)


def run_import(options: ImportOptions, *, now: datetime, bar: Bar) -> ImportedSet:
    """Import a set: store it, measure its judges, make pairs, train where there is content.

    Args:
        options: what and how.
        now: the moment, with a time zone; it reaches histories only.
        bar: opens a progress bar.

    Raises:
        FlywheelError, ContractError: as `preview_import`; nothing of a refused set is stored.
    """
    seconds: dict[str, float] = {}
    with _stage("read", seconds, bar):
        imported = importer(options.name)(options.path)
        validate_set(imported, now=now)
        source = source_digest(options.path)
    with _stage("store", seconds, bar):
        stores = open_stores(options.root)
        stored = store_set(imported, stores, source=source, now=now)
    answers = imported.annotations
    with _stage("measure agreement", seconds, bar):
        agreement = agreement_figures(answers, resamples=options.resamples, seed=options.seed)
        ratings = rating_figures(answers, stored.reliability)
    preferred: PreferredSet | None = None
    if answers.num_rows or not imported.events.num_rows:
        with _stage("make pairs", seconds, bar):
            preferred = prefer(
                imported,
                stored,
                stores,
                agreement=agreement_by_name(agreement),
                configuration=json_digest([options.name, "import", 2]),
                now=now,
            )
    learned: Figures | None = None
    if options.train and preferred is not None and _all_told(imported, preferred):
        started = time.perf_counter()
        from pipelines.importing.learning import learn

        learned = learn(stored, preferred, stores, options, bar)
        seconds["train"] = round(time.perf_counter() - started, 2)
    figures = {
        "format": 1,
        "set": options.name,
        "source": source,
        "seed": options.seed,
        **_counts(imported),
        "agreement": agreement,
        "ratings": ratings,
        "comparisons": comparison_figures(imported.annotations),
        "machines": machine_figures(
            answers,
            preferred.fit if preferred else None,
            resamples=options.resamples,
            seed=options.seed,
        ),
        "events": event_figures(
            imported.events,
            imported.generations,
            resamples=options.resamples,
            seed=options.seed,
            names=dict(
                zip(*(imported.prompts[n].to_pylist() for n in ("prompt_id", "text")), strict=True)
            ),
        ),
        "aspect_labels": stored.labels.num_rows,
        "snapshot": preferred and _snapshot(preferred),
        "learned": learned,
        "content": len(imported.blobs),
        "time": seconds,
    }
    return ImportedSet(figures=figures, page=write_page(figures, options.reports))


def _counts(imported: Imported) -> Figures:
    reasons: dict[str, int] = {}
    for reason in imported.quarantined["reason"].to_pylist():
        reasons[reason] = reasons.get(reason, 0) + 1
    return {
        "notes": dict(imported.notes),
        "received": imported.received,
        "accepted": imported.accepted,
        "quarantined": reasons,
    }


def _snapshot(preferred: PreferredSet) -> Figures:
    return {
        "snapshot_id": preferred.snapshot.snapshot_id,
        "pairs": preferred.snapshot.pairs,
        "pooled": preferred.pooled,
        "confidence": _quartiles(preferred.pairs),
        "card": dict(preferred.snapshot.card),
    }


def _all_told(imported: Imported, preferred: PreferredSet) -> bool:
    """Say whether every generation has content and each split has pairs to learn from."""
    splits = set(preferred.pairs["split"].to_pylist())
    return imported.generations["blob"].null_count == 0 and splits.issuperset(SPLITS)


def _quartiles(pairs: pa.Table) -> list[float]:
    import numpy as np

    probability = pairs["probability"].to_numpy()
    return np.quantile(probability, (0.25, 0.5, 0.75)).round(4).tolist() if len(probability) else []


@contextmanager
def _stage(title: str, seconds: dict[str, float], bar: Bar) -> Iterator[None]:
    advance, started = bar(title), time.perf_counter()
    advance(0, 1)
    yield
    advance(1, 1)
    seconds[title] = round(time.perf_counter() - started, 2)
