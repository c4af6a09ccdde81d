"""One de-noising from files to files."""

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from data_contracts.errors import FlywheelError
from pipelines.denoising.denoise import (
    STEPS,
    Denoised,
    DenoiseSettings,
    Step,
    denoise,
    preview_denoise,
)
from pipelines.denoising.page import json_text, render_page
from pipelines.denoising.reading import (
    ANNOTATIONS,
    EVENTS,
    GENERATIONS,
    GOLD_LABELS,
    PROMPTS,
    Batches,
    Source,
    read_batches,
    read_table,
)
from pipelines.stores.atomic import storage_errors, write_file
from pipelines.stores.canonical import parquet_bytes
from pipelines.stores.parquet_parts import parquet_parts

Read = dict[str, Any]
Advance = Callable[[int, int], None]
_PARTIAL: Final = ".partial"


@dataclass(frozen=True, slots=True, kw_only=True)
class DenoiseOptions:
    """Where the tables lie and where the answer goes; a path of None is a table not given."""

    events: Path | None
    generations: Path
    annotations: Path | None
    gold: Path | None = None
    prompts: Path | None = None
    out: Path
    settings: DenoiseSettings = field(default_factory=DenoiseSettings)


def preview_run(options: DenoiseOptions) -> dict[str, Any]:
    """Read and count; nothing is fitted or written.

    Raises:
        FlywheelError, ContractError: as `run_denoise`.
    """
    return preview_denoise(**_read(options), settings=_settings(options))


def run_denoise(
    options: DenoiseOptions, *, advance: Advance = lambda done, total: None
) -> Denoised:
    """Read the tables, de-noise them, and write pairs, users, annotators and the report.

    Writes `pairs.parquet`, `users.parquet`, `annotators.parquet`, `suspects.parquet`,
    `drops.parquet`, `refused.parquet`, `report.json` and `report.html`; the Parquet files (but for
    the row numbers of refused ones) are the same bytes for the same rows in any order. Files of an
    earlier run are replaced, each whole. Under a memory limit pairs are written as they are made,
    and the answer holds none.

    Raises:
        FlywheelError: a file is missing or damaged, or the disk refuses.
        ContractError: a table breaks its contract.
    """
    if options.out.exists() and not options.out.is_dir():
        raise FlywheelError(f"{options.out} is a file; give a folder to write into")
    started = time.perf_counter()
    seconds: dict[str, float] = {}
    begun = [("read", started)]

    def step(name: str) -> None:
        now = time.perf_counter()
        last, since = begun[-1]
        seconds[last] = seconds.get(last, 0.0) + now - since
        begun.append((name, now))
        advance(STEPS.index(name), len(STEPS) + 1)

    advance(0, len(STEPS) + 1)
    read, settings = _read(options), _settings(options)
    if settings.memory_limit is None:
        made = denoise(**read, settings=settings, step=step)
        files = {"pairs.parquet": parquet_bytes(made.pairs)}
    else:
        made, files = _in_parts(options.out, read, settings, step), {}
    step("report")
    figures = made.figures | {"seconds": {name: round(s, 3) for name, s in seconds.items()}}
    write_denoised(options.out, made, figures, files)
    advance(len(STEPS) + 1, len(STEPS) + 1)
    return made._replace(figures=figures)


def _in_parts(out: Path, read: Read, settings: DenoiseSettings, step: Step) -> Denoised:
    """De-noise with pairs written as they are made; a run that fails leaves no folder."""
    existed, partial = out.exists(), out / _PARTIAL
    with storage_errors("the de-noised pairs"):
        partial.mkdir(parents=True, exist_ok=True)
    try:
        with parquet_parts(out / "pairs.parquet", partial=partial) as pairs:
            return denoise(**read, settings=settings, step=step, keep=pairs.add)
    except BaseException:
        shutil.rmtree(partial if existed else out, ignore_errors=True)
        raise


def write_denoised(
    out: Path, made: Denoised, figures: Mapping[str, Any], files: Mapping[str, bytes]
) -> None:
    """Write tables and report beside *files* into *out*, each whole or not at all."""
    with storage_errors("the de-noised tables"):
        partial = out / _PARTIAL
        partial.mkdir(parents=True, exist_ok=True)
        files = {
            **files,
            "users.parquet": parquet_bytes(made.users),
            "annotators.parquet": parquet_bytes(made.annotators),
            "suspects.parquet": parquet_bytes(made.suspects),
            "drops.parquet": parquet_bytes(made.drops),
            "refused.parquet": parquet_bytes(made.refused),
            "report.json": json_text(figures).encode(),
            "report.html": render_page(figures).encode(),
        }
        for name, content in files.items():
            write_file(out / name, content, partial=partial)
            (out / name).chmod(0o644)
        for left in partial.iterdir():
            left.unlink()
        partial.rmdir()


def _settings(options: DenoiseOptions) -> DenoiseSettings:
    """Let parts lie beside what they become, unless another place is named."""
    if options.settings.memory_limit is None or options.settings.scratch is not None:
        return options.settings
    beside = next(folder for folder in options.out.absolute().parents if folder.is_dir())
    return replace(options.settings, scratch=beside)


def _read(options: DenoiseOptions) -> Read:
    events: pa.Table | Batches | None = None
    if options.events is not None:
        read = read_table if options.settings.memory_limit is None else read_batches
        events = read(options.events, EVENTS)
    wanted: dict[str, tuple[Path | None, Source]] = {
        "generations": (options.generations, GENERATIONS),
        "annotations": (options.annotations, ANNOTATIONS),
        "gold": (options.gold, GOLD_LABELS),
        "prompts": (options.prompts, PROMPTS),
    }
    return {"events": events} | {
        name: None if path is None else read_table(path, source)
        for name, (path, source) in wanted.items()
    }
