"""reward_models: how good a generation is for its prompt, learned from the snapshot."""

import dagster as dg

from data_contracts.ids import CheckpointId
from pipelines.assets.backbone import backbone_pointer
from pipelines.assets.turns import TURNS
from pipelines.resources import Wheel
from pipelines.train_launch import current, train
from reward_models.config import RewardConfig

INPUTS = [
    dg.AssetKey(["preferences", "preference_snapshot"]),
    dg.AssetKey(["artifacts", "prompts"]),
    dg.AssetKey(["artifacts", "generations"]),
    dg.AssetKey(["backbone", "backbone"]),
]


class RewardJob(dg.Config):
    """What an engineer may change in the launchpad; empty fields keep the wheel's settings."""

    learning_rate: float | None = None
    batch_size: int | None = None
    max_steps: int | None = None
    seed: int | None = None


@dg.asset(
    key_prefix="reward_models",
    group_name="reward_models",
    partitions_def=TURNS,
    deps=INPUTS,
    kinds={"torch"},
)
def reward_model(
    context: dg.AssetExecutionContext,
    config: RewardJob,
    wheel: Wheel,
    pipes: dg.PipesSubprocessClient,
) -> dg.MaterializeResult:
    """A reward model on the backbone's trunk, calibrated on validation pairs."""
    told = {k: v for k, v in config.model_dump().items() if v is not None}
    settings = RewardConfig(**{**wheel.settings.reward.model_dump(), **told})
    return train(
        context,
        pipes,
        wheel,
        kind="reward",
        asset="reward_models/reward_model",
        policy=current(wheel.stores, "backbone/backbone", context.partition_key),
        configuration=settings.model_dump(),
    )


@dg.asset(
    key_prefix="reward_models",
    group_name="reward_models",
    partitions_def=TURNS,
    deps=[dg.AssetKey(["reward_models", "reward_model"])],
)
def reward_model_report(context: dg.AssetExecutionContext, wheel: Wheel) -> dg.MaterializeResult:
    """What the reward model is and how often it agrees with pairs it never saw."""
    import json

    stores, turn = wheel.stores, context.partition_key
    checkpoint = CheckpointId(current(stores, "reward_models/reward_model", turn))
    manifest = stores.checkpoints.verify(checkpoint)
    figures = json.loads((stores.root / "jobs" / f"{turn}-reward_model.result.json").read_text())
    validation = figures.get("validation")
    accuracy = (
        "there were no validation pairs"
        if validation is None
        else f"{validation['mean']:.1%} of validation pairs ranked as the snapshot has them "
        f"(95 % interval {validation['low']:.1%} to {validation['high']:.1%})"
    )
    return dg.MaterializeResult(
        metadata={
            "checkpoint": checkpoint,
            "base": current(stores, backbone_pointer(turn).rsplit("/", 1)[0], turn),
            "accuracy": dg.MetadataValue.md(accuracy),
            "files": len(manifest.files),
        }
    )
