"""Claim: DuckDB and Spark run the same passes to the same rows, and executors count as we do.

    python -m benchmarks.denoise_spark --out benchmarks/results/denoise_spark.json

Draws the frozen world, runs the linear passes over its events on both engines, and takes E-steps
over its exposures in this process and on executors. Rows must be equal and counts within 1e-9 (of
counts above 1: relative to them). Wall times hold whatever else runs on the machine, so CPU seconds
of this process with Java and its workers stand beside them; DuckDB has one thread. Each pass runs
once untimed: Java, Spark and Ibis compile then.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.denoise_processes import drawn
from benchmarks.denoiser_click_world import code_version, environment, find_world, load_world
from pipelines.preferences import click_model
from pipelines.preferences.click_model import designed, logged_only
from pipelines.preferences.evidence import gather_evidence
from pipelines.preferences.executors import on_executors
from pipelines.signals import exposures, sessions, signal_patterns
from pipelines.signals.engines import DUCKDB, Engine
from pipelines.signals.spark import LOCAL, Spark, spark_session


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--impressions", type=int, default=400_000)
    parser.add_argument("--exposures", type=int, nargs="+", default=[400_000, 2_000_000])
    parser.add_argument("--master", default=LOCAL)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args(arguments)
    warnings.simplefilter("ignore", FutureWarning)  # from one library to another
    report: dict[str, object] = {
        "claim": "denoise_spark",
        "environment": environment() | {"code": code_version()},
        "master": chosen.master,
    }
    began = time.perf_counter()
    with spark_session(chosen.master) as spark:
        report["start_s"] = round(time.perf_counter() - began, 1)
        report["passes"] = measure_passes(spark, chosen.impressions, chosen.rounds)
        report["e_step"] = {size: measure_e_step(spark, size) for size in chosen.exposures}
    report["load_at_end"] = round(os.getloadavg()[0], 2)
    if chosen.out:
        chosen.out.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    print(json.dumps(report, indent=1))


def measure_passes(spark: Spark, impressions: int, rounds: int) -> dict[str, object]:
    """Return seconds by pass and engine."""
    world = load_world(find_world())
    with tempfile.TemporaryDirectory() as made:
        world.write(world.world(seed=0, imp=impressions), Path(made), 0)
        events, generations, annotations = (
            pq.read_table(Path(made) / f"{name}.parquet")
            for name in ("events", "generations", "annotations")
        )
    shown = exposures(events, generations).table
    passes: dict[str, Callable[[Engine], pa.Table]] = {
        "exposures": lambda engine: exposures(events, generations, engine=engine).table,
        "sessions": lambda engine: sessions(events, engine=engine),
        "patterns": lambda engine: signal_patterns(shown, engine=engine),
        "evidence": lambda engine: gather_evidence(shown, annotations, engine=engine),
    }
    told: dict[str, object] = {"events": events.num_rows, "exposures": shown.num_rows}
    for name, run in passes.items():
        equal = run(DUCKDB).equals(run(spark))
        here = _seconds(lambda run=run: run(DUCKDB), rounds)
        there = _seconds(lambda run=run: run(spark), rounds)
        told[name] = {"duckdb": here, "spark": there, "equal": equal}
        print(name, told[name], flush=True)
    return told


def measure_e_step(spark: Spark, size: int, steps: int = 6) -> dict[str, object]:
    """Return seconds a step in this process and on executors, and how far counts lie apart."""
    table = drawn(size)
    chances = logged_only(designed(5), table)
    parameters = click_model.first_parameters(table, chances, settings=click_model.ClickSettings())
    known = click_model.beliefs(table, parameters)
    flat = np.full((len(table.shown.start) - 1, 5), -np.log(5))
    whole = table.count(known, flat)
    one = _seconds(lambda: table.count(known, flat), steps)
    began = time.perf_counter()
    with on_executors(spark)(table) as spread:
        assert spread is not None
        shared = spread.count(known, flat)
        ready = time.perf_counter() - began
        several = _seconds(lambda: spread.count(known, flat), steps)
    apart = max(
        float(np.max(np.abs(np.asarray(a) - b) / np.maximum(np.abs(a), 1.0)))
        for a, b in zip(whole, shared, strict=True)
    )
    told = {"one_process": one, "spark": several, "first_step_with_sending_s": round(ready, 2)}
    print(size, told, apart, flush=True)
    return told | {"counts_apart": apart, "same_within_1e-9": apart <= 1e-9}


def _seconds(run: Callable[[], Any], rounds: int) -> dict[str, float]:
    """Return medians of wall seconds, and of CPU seconds of this process and all it started."""
    wall, cpu = [], []
    for _ in range(rounds):
        began, spent = time.perf_counter(), _cpu()
        run()
        wall.append(time.perf_counter() - began)
        cpu.append(_cpu() - spent)
    return {
        "wall_s": round(statistics.median(wall), 4), "cpu_s": round(statistics.median(cpu), 4)
    }  # fmt: skip


def _cpu() -> float:
    me = psutil.Process()
    times = [each.cpu_times() for each in (me, *me.children(recursive=True))]
    return sum(spent.user + spent.system for spent in times)


if __name__ == "__main__":
    main()
