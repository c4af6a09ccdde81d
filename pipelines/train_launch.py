"""Launches a training process for an asset and brings its figures to the Dagster page."""

import json
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import dagster as dg

from data_contracts.ids import CheckpointId
from pipelines.memory import KEEP_MEMORY
from pipelines.plots import curves_picture
from pipelines.resources import Wheel
from pipelines.stores import Stores
from pipelines.stores.digests import json_digest
from pipelines.training import TrainingJob


def current(stores: Stores, asset: str, turn: str) -> str:
    """Return what *asset* (a checkpoint, a snapshot or a table) stands at in *turn*.

    Raises:
        dg.Failure: it was never materialised.
    """
    found = stores.catalogue.pointer(f"{asset}/{turn}")
    if found is None:
        raise dg.Failure(f"{asset}, partition {turn}, was never materialised; materialise it first")
    return found


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
    if wheel.settings.own_processes:
        threads = str(job.get("configuration", {}).get("threads", 1))
        done = pipes.run(
            command=[sys.executable, "-m", module, str(file)],
            context=context,
            env={"OMP_NUM_THREADS": threads, **KEEP_MEMORY},
        )
        (figures,) = done.get_custom_messages()
    else:
        figures = import_module(module).run_file(file, lambda done, total: None)
    result = folder / f"{context.partition_key}-{name}.result.json"
    result.write_text(json.dumps(figures, indent=2, sort_keys=True) + "\n", "utf-8")
    return dict(figures)


def train(
    context: dg.AssetExecutionContext,
    pipes: dg.PipesSubprocessClient,
    wheel: Wheel,
    *,
    kind: str,
    asset: str,
    policy: str,
    reference: str | None = None,
    configuration: Mapping[str, Any],
) -> dg.MaterializeResult:
    """Train in a process of its own; return the asset's metadata with its curves."""
    turn, stores = context.partition_key, wheel.stores
    job = TrainingJob(
        kind=kind,  # type: ignore[arg-type]  # validated by the model
        root=stores.root,
        snapshot_id=current(stores, "preferences/preference_snapshot", turn),
        prompts=current(stores, "artifacts/prompts", turn),
        generations=current(stores, "artifacts/generations", turn),
        policy=policy,
        reference=reference,
        configuration=dict(configuration),
        pointer=f"{asset}/{turn}",
    )
    figures = launch(
        context,
        pipes,
        wheel,
        module="pipelines.training",
        name=asset.rsplit("/", 1)[-1],
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
