"""reward_models: how good a generation is for its prompt, learned from the snapshot."""

from pathlib import Path

import dagster as dg

from data_contracts.ids import CheckpointId
from data_contracts.labels import GENERAL
from pipelines.assets.backbone import backbone_pointer
from pipelines.assets.launchpad import AspectChanges, RewardChanges
from pipelines.assets.turns import TURNS
from pipelines.judging.content import generation_reader
from pipelines.judging.page import report_table, write_report
from pipelines.orchestrator import POOL
from pipelines.post_training import generations_of
from pipelines.resources import Wheel
from pipelines.train_launch import current, figures_of, train

INPUTS = [
    dg.AssetKey(["preferences", "preference_snapshot"]),
    dg.AssetKey(["artifacts", "prompts"]),
    dg.AssetKey(["annotation", "all_generations"]),
    dg.AssetKey(["backbone", "backbone"]),
]
_KEY = {"key_prefix": "reward_models", "group_name": "reward_models", "partitions_def": TURNS}


@dg.asset(deps=INPUTS, kinds={"torch"}, pool=POOL, **_KEY)
def reward_model(
    context: dg.AssetExecutionContext,
    config: RewardChanges,
    wheel: Wheel,
    pipes: dg.PipesSubprocessClient,
) -> dg.MaterializeResult:
    """A reward model on the backbone's trunk, calibrated on validation pairs."""
    return train(context, pipes, wheel, kind="reward", changes=config)


@dg.asset(
    deps=[*INPUTS, dg.AssetKey(["annotation", "critiques"])],
    kinds={"torch"}, pool=POOL, **_KEY,
)  # fmt: skip
def aspect_model(
    context: dg.AssetExecutionContext,
    config: AspectChanges,
    wheel: Wheel,
    pipes: dg.PipesSubprocessClient,
) -> dg.MaterializeResult:
    """A reward model that tells aspects apart, with ties; calibrated on validation pairs.

    Where annotators pointed at what is wrong, it also says where a generation is bad.
    Missing unless this wheel's gate asks it, or the job other_reward_model trained it.
    """
    return train(context, pipes, wheel, kind="aspects", changes=config)


@dg.asset(deps=[dg.AssetKey(["reward_models", "aspect_model"])], **_KEY)
def aspect_model_report(context: dg.AssetExecutionContext, wheel: Wheel) -> dg.MaterializeResult:
    """How often the model of aspects agrees with pairs it never saw, and if its odds hold."""
    stores, turn = wheel.stores, context.partition_key
    checkpoint = CheckpointId(current(stores, "reward_models/aspect_model", turn))
    stores.checkpoints.verify(checkpoint)
    figures = figures_of(stores.root, turn, "aspect_model", checkpoint)
    page = Path("reports") / f"aspects-{turn}-{checkpoint[:12]}.html"
    write_report(
        stores.root / page,
        figures,
        names={"turn": turn, "checkpoint": checkpoint[:12]},
        real=wheel.settings.evidence == "real",
        content=generation_reader(stores, generations_of(stores, turn), GENERAL),
    )
    return dg.MaterializeResult(
        metadata={
            "checkpoint": checkpoint,
            "report": dg.MetadataValue.path(str(stores.root / page)),
            "accuracy": dg.MetadataValue.md(report_table(figures)),
        }
    )


@dg.asset(deps=[dg.AssetKey(["reward_models", "reward_model"])], **_KEY)
def reward_model_report(context: dg.AssetExecutionContext, wheel: Wheel) -> dg.MaterializeResult:
    """How often the reward model agrees with pairs that it never saw."""
    stores, turn = wheel.stores, context.partition_key
    checkpoint = CheckpointId(current(stores, "reward_models/reward_model", turn))
    stores.checkpoints.verify(checkpoint)
    figures = figures_of(stores.root, turn, "reward_model", checkpoint)
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
            "validation pairs": int(figures.get("validation_pairs", 0)),
        }
    )
