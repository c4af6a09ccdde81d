"""Claim: ten times as many bytes of events as --memory-limit still run, within twice the limit.

    python -m benchmarks.denoise_memory --limit 128MB --out benchmarks/results/denoise_memory.json

Simulated worlds of the frozen file are written again and again under new ids until the events'
Parquet holds ten times the limit; then `flywheel denoise --memory-limit` runs in a process of its
own. The peak is that process's largest resident set as the kernel counts it (VmHWM), so it holds
Python, the libraries, everything compiled, and pages of files. Beside it stands what the same
command needs for a world of a few hundred events (the floor), kernels compiled before. Ids are 32
hexadecimal digits, compression is the writer's default; generations, annotations and gold come on
top and are small.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.denoiser_click_world import code_version, environment, find_world, load_world
from pipelines.byte_sizes import read_bytes

# Runs the command and says what it needed; the first word is where to write that.
CHILD = """
import json, re, sys, time
from pipelines.cli import run
begun = time.process_time(), time.perf_counter()
code = run(sys.argv[2:])
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
json.dump({"exit_code": code, "peak_bytes": peak * 1024,
    "cpu_s": round(time.process_time() - begun[0], 1),
    "wall_s": round(time.perf_counter() - begun[1], 1)}, open(sys.argv[1], "w"))
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--limit", default="128MB")
    parser.add_argument("--times", type=float, default=10.0, help="Bytes of events, in limits.")
    parser.add_argument("--impressions", type=int, default=2_000_000, help="Of each world.")
    parser.add_argument("--scratch", type=Path, help="Where tables lie; default: the system's.")
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args(arguments)
    limit = read_bytes(chosen.limit)
    world = load_world(find_world())
    with tempfile.TemporaryDirectory(dir=chosen.scratch) as made:
        few, many = Path(made) / "few", Path(made) / "many"
        write_worlds(world, few, at_least=1, impressions=300, prompts=20, users=20)
        told = write_worlds(
            world, many, at_least=int(chosen.times * limit), impressions=chosen.impressions
        )
        measure(few, chosen.limit)  # compiles: a compiler's memory is no part of either figure
        floor = measure(few, chosen.limit)
        used = measure(many, chosen.limit)
    peak, allowed = used["peak_bytes"], 2 * limit
    report = {
        "claim": "denoise_memory",
        "environment": environment() | {"code": code_version()},
        "limit_bytes": limit,
        **told,
        "events_bytes_in_limits": round(told["events_parquet_bytes"] / limit, 2),
        "run": used,
        "floor": floor,
        "peak_in_limits": round(peak / limit, 3),
        "peak_above_floor_in_limits": round((peak - floor["peak_bytes"]) / limit, 3),
        "met_whole_process": peak <= allowed,
        "met_above_floor": peak - floor["peak_bytes"] <= allowed,
        "events_per_cpu_s": round(told["events"] / used["cpu_s"]),
    }
    if chosen.out:
        chosen.out.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    print(json.dumps(report, indent=1))


def write_worlds(
    world: ModuleType,
    folder: Path,
    *,
    at_least: int,
    impressions: int,
    prompts: int = 5000,
    users: int = 5000,
) -> dict[str, int]:
    """Write copies of one world, each under ids of its own, until events hold *at_least* bytes."""
    plain = folder / "plain"
    drawn = world.world(seed=0, imp=impressions, n_prompt=prompts, n_user=users, n_gold=20)
    world.write(drawn, plain, 0)
    del drawn
    (folder / "events").mkdir(parents=True)
    copies, size, events = 0, 0, 0
    small: dict[str, list[pa.Table]] = {"generations": [], "annotations": [], "gold": []}
    while size < at_least:
        file = folder / "events" / f"{copies:04d}.parquet"
        source = pq.ParquetFile(plain / "events.parquet")
        with pq.ParquetWriter(file, source.schema_arrow) as writer:
            for batch in source.iter_batches(200_000):
                writer.write_table(renamed(pa.table(batch), copies))
                events += batch.num_rows
                if file.stat().st_size + size >= at_least:
                    break
        size += file.stat().st_size
        for name, tables in small.items():
            tables.append(renamed(pq.read_table(plain / f"{name}.parquet"), copies))
        copies += 1
    for name, tables in small.items():
        pq.write_table(pa.concat_tables(tables), folder / f"{name}.parquet")
    return {
        "events": events,
        "events_parquet_bytes": size,
        "worlds": copies,
        "impressions_of_each": impressions,
        "generations": sum(table.num_rows for table in small["generations"]),
        "users": users * copies,
    }


def renamed(table: pa.Table, copy: int) -> pa.Table:
    """Return *table* with ids of 32 hexadecimal digits, other ones for each *copy*."""
    for at, name in enumerate(table.column_names):
        if name.endswith("_id") and name not in ("tenant_id", "project_id"):
            coded = pc.dictionary_encode(table[name].combine_chunks())
            fresh = [new_id(copy, each) for each in coded.dictionary.to_pylist()]
            names = pa.array(fresh, coded.dictionary.type)
            table = table.set_column(at, table.schema.field(name), names.take(coded.indices))
    return table


def new_id(copy: int, name: str) -> str:
    """Return an opaque id of the same name in another world."""
    return hashlib.blake2b(f"{copy}/{name}".encode(), digest_size=16).hexdigest()


def measure(folder: Path, limit: str) -> dict[str, float]:
    """Run the command in a process of its own."""
    said = folder / "said.json"
    words = ["denoise", "--all-pairs", "--memory-limit", limit, "--out", folder / "out"]
    for name in ("generations", "annotations", "gold"):
        words += [f"--{name}", folder / f"{name}.parquet"]
    words += ["--events", folder / "events"]
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", CHILD, str(said), *map(str, words)],
        check=True, stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    found: dict[str, float] = json.loads(said.read_text("utf-8"))
    if found["exit_code"]:
        raise SystemExit(f"the command left with exit code {found['exit_code']}")
    report = json.loads((folder / "out" / "report.json").read_text("utf-8"))
    pairs = pq.ParquetFile(folder / "out" / "pairs.parquet").metadata.num_rows
    return found | {
        "process_s": round(time.perf_counter() - started, 1),
        "pairs": pairs,
        "exposures": report["rows"]["exposures"],
        "iterations": report["fit"]["iterations"],
        "converged": report["fit"]["converged"],
        "seconds": report["seconds"],
    }


if __name__ == "__main__":
    main()
