"""The Dagster code location of one wheel: FLYWHEEL_ROOT names its folder."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from pipelines.append_io import AppendIOManager
from pipelines.assets import annotation, artifacts, backbone, finetune, preferences, signals, traces
from pipelines.assets import reward_models as reward_assets
from pipelines.assets.turns import TURNS
from pipelines.comparing.blind_sensor import blind_sensor
from pipelines.evaluation_job import evaluate_job
from pipelines.io_managers import RefusingIOManager, TableIOManager
from pipelines.labelling.answers_sensor import answers_sensor, ask_job, learn_job_of
from pipelines.labelling.desk import LabelStudioDesk
from pipelines.labelling.seated_desk import SeatedDesk
from pipelines.landing_job import landing, landing_sensor
from pipelines.post_training import OTHER_REWARD_MODEL, POST_TRAINING
from pipelines.resources import Wheel
from pipelines.settings import ScorerKind, read_resolved
from pipelines.world.desk import SimulatedDesk

MODULES = (traces, artifacts, signals, annotation, preferences, backbone, reward_assets, finetune)

# What trains and reports each kind of reward model.
_JUDGES: Final[Mapping[ScorerKind, dg.AssetSelection]] = {
    "reward": dg.AssetSelection.assets(
        ["reward_models", "reward_model"], ["reward_models", "reward_model_report"]
    ),
    "aspects": dg.AssetSelection.assets(
        ["reward_models", "aspect_model"], ["reward_models", "aspect_model_report"]
    ),
}


def assets_of(scorer: ScorerKind) -> dg.AssetSelection:
    """Return what a turn of the wheel makes: of reward models only the one that the gate asks."""
    return dg.AssetSelection.all() - _JUDGES[_other(scorer)]


def _other(scorer: ScorerKind) -> ScorerKind:
    return "reward" if scorer == "aspects" else "aspects"


def turn_job_of(assets: dg.AssetSelection) -> UnresolvedAssetJobDefinition:
    """Return the job that turns the wheel."""
    return dg.define_asset_job(
        "turn",
        selection=assets,
        partitions_def=TURNS,
        executor_def=dg.in_process_executor,
        description="One turn of the wheel: from a delivery to a released policy.",
    )


def training_jobs(scorer: ScorerKind) -> list[UnresolvedAssetJobDefinition]:
    """Return the jobs that train: for the gate, and what the gate does not ask for."""
    other = _other(scorer)
    training = dg.AssetSelection.groups("reward_models", "finetune")
    return [
        dg.define_asset_job(
            POST_TRAINING,
            selection=training - _JUDGES[other],
            partitions_def=TURNS,
            executor_def=dg.in_process_executor,
            description="The reward model that the gate asks, SFT, DPO, report and gate, on a "
            "snapshot that stands already.",
        ),
        dg.define_asset_job(
            OTHER_REWARD_MODEL,
            selection=_JUDGES[other],
            partitions_def=TURNS,
            executor_def=dg.in_process_executor,
            description="The reward model that the gate does not ask, for comparison, on a "
            "snapshot that stands already.",
        ),
    ]


def build_definitions(root: Path) -> dg.Definitions:
    """Return assets, checks, jobs and sensors of the wheel under *root*."""
    # A folder without a wheel is refused here, in one sentence.
    settings = read_resolved(root)
    people = settings.desk == "label_studio"
    assets = assets_of(settings.scorer)
    learn = learn_job_of(assets)
    sensors = [delivery_sensor(root, "ask" if people else "turn"), landing_sensor(root)]
    return dg.Definitions(
        assets=dg.load_assets_from_modules(MODULES),
        asset_checks=dg.load_asset_checks_from_modules(MODULES),
        jobs=[
            turn_job_of(assets),
            *training_jobs(settings.scorer),
            evaluate_job,
            landing,
            *([ask_job, learn] if people else []),
        ],
        sensors=[
            *sensors,
            *([answers_sensor(root, learn)] if people else []),
            # Where the evidence is simulated the gate asks for nobody's word.
            *([blind_sensor(root)] if people and settings.evidence == "real" else []),
        ],
        resources={
            "io_manager": RefusingIOManager(),
            "tables": TableIOManager(root=str(root)),
            "append": AppendIOManager(root=str(root)),
            "wheel": Wheel(root=str(root)),
            "desk": desk_of(root),
            "pipes": dg.PipesSubprocessClient(),
        },
        executor=dg.in_process_executor,
    )


def desk_of(root: Path) -> dg.ConfigurableResource:
    """Return the desk that the wheel's settings name: where tasks go and answers come from."""
    desks = {"simulated": SimulatedDesk, "label_studio": LabelStudioDesk, "seated": SeatedDesk}
    desk: dg.ConfigurableResource = desks[read_resolved(root).desk](root=str(root))
    return desk


def delivery_sensor(root: Path, job: str = "turn") -> dg.SensorDefinition:
    """Return a sensor that starts *job* when a delivery has arrived whole.

    With people at the desk a turn of the wheel waits for them between asking and learning.
    """

    @dg.sensor(
        job_name=job,
        name="delivery_arrived",
        minimum_interval_seconds=30,
        description="Starts a turn of the wheel when a delivery lies whole in inbox/. Off until "
        "somebody switches it on.",
    )
    def delivery_arrived(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        arrived = Wheel(root=str(root)).inbox.turns()
        known = set(context.instance.get_dynamic_partitions("turn"))
        new = [turn for turn in arrived if turn not in known]
        return dg.SensorResult(
            run_requests=[dg.RunRequest(run_key=turn, partition_key=turn) for turn in new],
            dynamic_partitions_requests=[TURNS.build_add_request(new)] if new else [],
        )

    return delivery_arrived


def _root() -> Path:
    return Path(os.environ.get("FLYWHEEL_ROOT", ".flywheel/demo/ours-7"))


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions of the wheel that FLYWHEEL_ROOT names."""
    return build_definitions(_root())
