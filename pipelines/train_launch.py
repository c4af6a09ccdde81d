"""Launches a training process for an asset and brings its figures to the Dagster page."""

import gc
import json
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.errors import DagsterPipesExecutionError

from data_contracts.errors import FlywheelError
from data_contracts.ids import CheckpointId
from pipelines.memory import KEEP_MEMORY
from pipelines.metrics import silent
from pipelines.orchestrator import process_tag
from pipelines.piped import answer_file
from pipelines.plots import curves_picture
from pipelines.post_training import ASSETS, Kind, resolve_job, stands
from pipelines.resources import Wheel
from pipelines.stores import Stores
from pipelines.stores.atomic import PARTIAL, write_file
from pipelines.stores.digests import json_digest
from pipelines.unfinished import ORCHESTRATOR


def current(stores: Stores, asset: str, turn: str) -> str:
    """Return what *asset* stands at in *turn*.

    Raises:
        dg.Failure: it was never materialised.
    """
    try:
        return stands(stores, asset, turn)
    except FlywheelError as error:
        raise dg.Failure(str(error)) from None


def launch(
    context: dg.AssetExecutionContext,
    pipes: dg.PipesSubprocessClient,
    wheel: Wheel,
    *,
    module: str,
    name: str,
    job: Mapping[str, Any],
) -> dict[str, Any]:
    """Run `python -m module JOB.json` under Pipes and return what it reported.

    The resolved job and the result lie beside what they made, under jobs/.
    """
    folder = wheel.stores.root / "jobs"
    folder.mkdir(exist_ok=True)
    file = folder / f"{context.partition_key}-{name}-{json_digest(dict(job))[:12]}.json"
    file.write_text(json.dumps(job, indent=2, sort_keys=True) + "\n", "utf-8")
    context.instance.add_run_tags(context.run_id, process_tag())
    if wheel.settings.own_processes:
        figures = _in_own_process(context, pipes, module=module, file=file, job=job)
    else:
        figures = _in_this_process(module, file)
    said = json.dumps(figures, indent=2, sort_keys=True) + "\n"
    result = _result_file(wheel.stores.root, context.partition_key, name)
    write_file(result, said.encode(), partial=folder / PARTIAL)
    return dict(figures)


def figures_of(root: Path, turn: str, name: str, checkpoint: CheckpointId) -> dict[str, Any]:
    """Return what the training of *checkpoint* reported.

    Args:
        root: the wheel's folder.
        turn: of the wheel.
        name: of the asset, without its prefix.
        checkpoint: what the asset stands at. A training stores it before it reports: one that was
            killed in between leaves the figures of the model before.

    Raises:
        dg.Failure: there are no figures, or they are another checkpoint's.
    """
    try:
        figures: dict[str, Any] = json.loads(_result_file(root, turn, name).read_text("utf-8"))
    except FileNotFoundError:
        figures = {}
    if figures.get("checkpoint") != checkpoint:
        found = f"are of {figures['checkpoint'][:12]}" if figures else "are missing"
        raise dg.Failure(
            f"{turn}: {name} stands at {checkpoint[:12]}, but its figures {found}; materialise "
            f"{name} again"
        )
    return figures


def _result_file(root: Path, turn: str, name: str) -> Path:
    return root / "jobs" / f"{turn}-{name}.result.json"


def _in_this_process(module: str, file: Path) -> dict[str, Any]:
    # A trainer collects garbage when it ends: what was here before it is left out of the search.
    gc.freeze()
    try:
        figures: dict[str, Any] = import_module(module).run_file(file, silent)
    finally:
        gc.unfreeze()
    return figures


def _in_own_process(
    context: dg.AssetExecutionContext,
    pipes: dg.PipesSubprocessClient,
    *,
    module: str,
    file: Path,
    job: Mapping[str, Any],
) -> dict[str, Any]:
    told = job.get("configuration", {})
    answer_file(file).unlink(missing_ok=True)
    try:
        pipes.run(
            command=[*_python(told.get("expected_world_size", 1)), "-m", module, str(file)],
            context=context,
            env={
                "OMP_NUM_THREADS": str(told.get("threads", 1)),
                "PYTHONWARNINGS": "ignore",  # advice from one library to another
                ORCHESTRATOR: str(os.getpid()),
                **KEEP_MEMORY,
            },
        )
    except DagsterPipesExecutionError:
        refused = _answered(file).get("refused", "its process ended early; see the run's log")
        raise dg.Failure(f"{file.stem}: {refused}") from None
    figures = _answered(file)
    if not figures:
        raise dg.Failure(f"{file.stem} ended without an answer; see the run's log")
    return figures


def _answered(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(answer_file(file).read_text("utf-8")))
    except FileNotFoundError:
        return {}


def train(
    context: dg.AssetExecutionContext,
    pipes: dg.PipesSubprocessClient,
    wheel: Wheel,
    *,
    kind: Kind,
    changes: dg.Config,
) -> dg.MaterializeResult:
    """Train in a process of its own; return the asset's metadata with its curves."""
    stores = wheel.stores
    try:
        job = resolve_job(
            stores,
            wheel.settings,
            kind=kind,
            turn=context.partition_key,
            told=changes.model_dump(),
        )
    except FlywheelError as error:
        raise dg.Failure(str(error)) from None
    figures = launch(
        context,
        pipes,
        wheel,
        module="pipelines.training",
        name=ASSETS[kind].rsplit("/", 1)[-1],
        job=job.model_dump(mode="json"),
    )
    checkpoint = CheckpointId(figures["checkpoint"])
    stores.checkpoints.verify(checkpoint)
    metadata: dict[str, Any] = {
        "checkpoint": checkpoint,
        "configuration_digest": figures["configuration_digest"],
        "seconds": figures["seconds"],
    }
    if figures["curves"]:
        metadata["curves"] = dg.MetadataValue.md(curves_picture(figures["curves"]))
    if figures.get("validation"):
        metadata["validation accuracy"] = dg.MetadataValue.json(figures["validation"])
    return dg.MaterializeResult(metadata=metadata)


def _python(processes: int) -> list[str]:
    """Return what starts a module in so many processes that find each other on this machine."""
    if processes == 1:
        return [sys.executable]
    spread = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return [sys.executable, *spread]
