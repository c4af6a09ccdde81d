"""Claim: two processes fit faster than one, and find the same within 1e-9.

    python -m benchmarks.denoise_processes --out benchmarks/results/denoise_processes.json

Draws the frozen world with more exposures, encodes it once, and fits it by turns in one process
and in several, so that both see the same load on the machine. Steps are fixed in number. Starting
the processes and handing them their shards is reported apart from the steps, which repeat. Ratios
are of the medians over rounds; above 1, several processes are faster.

Wall times hold whatever else runs: with fewer free cores than processes the others wait. So CPU
seconds of the busiest process stand beside them; where each process has a core to itself, a fit
takes about as long as that.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil

from benchmarks.denoiser_click_world import code_version, environment, find_world, load_world
from pipelines.denoising.denoise import tables_intent
from pipelines.preferences.channels import Channel
from pipelines.preferences.click_model import designed, logged_only
from pipelines.preferences.click_table import ClickTable, number_keys
from pipelines.preferences.em import IntentSettings, State, run_em
from pipelines.preferences.kernel import FloatArray
from pipelines.preferences.workers import partitioned
from pipelines.signals import SIGNAL_NAMES


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--exposures", type=int, nargs="+", default=[400_000, 2_000_000])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args(arguments)
    report: dict[str, object] = {
        "claim": "denoise_processes",
        "environment": environment() | {"code": code_version()},
        "steps": chosen.steps,
        "rounds": chosen.rounds,
    }
    for size in chosen.exposures:
        report[f"{size} exposures"] = measure(
            size, processes=chosen.processes, steps=chosen.steps, rounds=chosen.rounds
        )
        report["load_at_end"] = round(os.getloadavg()[0], 2)
        if chosen.out:
            chosen.out.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    print(json.dumps(report, indent=1))


def measure(size: int, *, processes: int, steps: int, rounds: int) -> dict[str, object]:
    """Return seconds and ratios for one size of world."""
    table = drawn(size)
    # A tolerance of nought is never met, so that every fit takes all steps.
    settings = replace(tables_intent(), max_iterations=steps, tolerance=0.0)
    chances = logged_only(designed(settings.classes), table)
    fitted(table, chances, replace(settings, max_iterations=1))  # compiles, or loads
    counted = _kernel_seconds(table, chances, settings)
    seconds: dict[int, list[float]] = {1: [], processes: []}
    busiest: dict[int, list[float]] = {1: [], processes: []}
    starting: list[float] = []
    found: dict[int, State] = {}
    for _ in range(rounds):
        for count in (1, processes):
            began = time.perf_counter()
            with partitioned(table, processes=count) as spread:
                assert spread is not None
                # The first step waits until every process has its shard.
                fitted(spread, chances, replace(settings, max_iterations=1))
                ready, spent = time.perf_counter(), _cpu_seconds()
                found[count] = fitted(spread, chances, settings)
                seconds[count].append(time.perf_counter() - ready)
                busiest[count].append(
                    max(after - spent[pid] for pid, after in _cpu_seconds().items())
                )
                if count > 1:
                    starting.append(ready - began)
    one, several = (statistics.median(seconds[n]) for n in (1, processes))
    alone, shared = (statistics.median(busiest[n]) for n in (1, processes))
    start = statistics.median(starting)
    apart = float(np.abs(found[1].posterior - found[processes].posterior).max())
    return {
        "users": len(table.users),
        "generations": len(table.shown.start) - 1,
        "processes": processes,
        "seconds_a_step": {
            str(n): round(statistics.median(s) / steps, 5) for n, s in seconds.items()
        },
        "all_seconds": {str(n): [round(s, 3) for s in found] for n, found in seconds.items()},
        "counting_share_of_a_step": round(counted / (one / steps), 3),
        "cpu_s_a_step_of_the_busiest": {
            "1": round(alone / steps, 5),
            str(processes): round(shared / steps, 5),
        },
        "start_s": round(start, 2),
        "times_as_fast": round(one / several, 3),
        "times_as_fast_by_cpu_of_the_busiest": round(alone / shared, 3),
        "times_as_fast_with_start": round(one / (several + start), 3),
        "posteriors_apart": apart,
        "same_within_1e-9": apart <= 1e-9,
    }


def _cpu_seconds() -> dict[int, float]:
    """Return CPU seconds of this process and of each that it started, by process id."""
    me = psutil.Process()
    times = {each.pid: each.cpu_times() for each in (me, *me.children())}
    return {pid: spent.user + spent.system for pid, spent in times.items()}


def drawn(size: int) -> ClickTable:
    """Return the base world of seed 0 with *size* exposures, encoded."""
    world = load_world(find_world())
    w = world.world(seed=0, imp=size)
    pattern = np.zeros(size, dtype=np.int64)
    for k, name in enumerate(world.SIGNALS):
        pattern |= w["signals"][:, k].astype(np.int64) << SIGNAL_NAMES.index(name)
    keys, key = number_keys(pattern, w["position"].astype(np.int64))
    order = np.lexsort((key, w["user"], w["item"]))
    start = np.searchsorted(w["item"][order], np.arange(len(w["quality"]) + 1)).astype(np.int64)
    users = len(w["mocker"])
    return ClickTable(
        shown=keys.shown(start, w["user"][order].astype(np.int64), key[order], np.ones(size)),
        users=tuple(f"u{n}" for n in range(users)),
        tenants=("t",) * users,
        trusted=np.ones(users),
        **keys.columns(["grid"], first_examined=0.95),
    )


def fitted(table: ClickTable, chances: FloatArray, settings: IntentSettings) -> State:
    """Fit the clicks alone."""
    items, classes = len(table.shown.start) - 1, settings.classes
    silent = Channel(
        aspect="overall", ratings=None, comparisons=None, confusions=None, judges=None,
        link=np.eye(classes), posterior=np.full((items, classes), 1 / classes),
        touched=np.zeros(0, dtype=np.int64), gold=None,
    )  # fmt: skip
    return run_em(table, (silent,), chances, settings=settings)


def _kernel_seconds(table: ClickTable, chances: FloatArray, settings: IntentSettings) -> float:
    """Return the seconds of one E-step in this process, the part that is spread."""
    from pipelines.preferences import click_model

    parameters = click_model.first_parameters(table, chances, settings=settings.clicks)
    known = click_model.beliefs(table, parameters)
    flat = np.full((len(table.shown.start) - 1, settings.classes), -np.log(settings.classes))
    spent = []
    for _ in range(5):
        began = time.perf_counter()
        table.count(known, flat)
        spent.append(time.perf_counter() - began)
    return statistics.median(spent)


if __name__ == "__main__":
    main()
