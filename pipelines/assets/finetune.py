"""finetune: a better policy than the last, measured before it may be released."""

from typing import Any

import dagster as dg

from data_contracts.ids import CheckpointId
from finetune.config import DpoConfig, SftConfig
from pipelines.assets.backbone import RELEASE
from pipelines.assets.reward_models import INPUTS
from pipelines.assets.turns import TURNS
from pipelines.evaluation import EvaluationJob
from pipelines.resources import Wheel
from pipelines.train_launch import current, launch, train

_KEY = {"key_prefix": "finetune", "group_name": "finetune", "partitions_def": TURNS}
# A DPO pair costs two trained sequences, and the reference's forward pass a third of each.
_SEQUENCES_A_PAIR = 2 + 2 / 3


class SftJob(dg.Config):
    """What an engineer may change in the launchpad; empty fields keep the wheel's settings."""

    learning_rate: float | None = None
    batch_size: int | None = None
    max_steps: int | None = None
    seed: int | None = None


class DpoJob(SftJob):
    """The same, and what only DPO has."""

    beta: float | None = None
    sft_weight: float | None = None


@dg.asset(deps=INPUTS, kinds={"torch"}, **_KEY)
def sft_policy(
    context: dg.AssetExecutionContext,
    config: SftJob,
    wheel: Wheel,
    pipes: dg.PipesSubprocessClient,
) -> dg.MaterializeResult:
    """The backbone after imitating preferred generations."""
    return train(
        context,
        pipes,
        wheel,
        kind="sft",
        asset="finetune/sft_policy",
        policy=current(wheel.stores, "backbone/backbone", context.partition_key),
        configuration=SftConfig(**_told(wheel.settings.sft, config)).model_dump(),
    )


@dg.asset(deps=[*INPUTS, dg.AssetKey(["finetune", "sft_policy"])], kinds={"torch"}, **_KEY)
def dpo_policy(
    context: dg.AssetExecutionContext,
    config: DpoJob,
    wheel: Wheel,
    pipes: dg.PipesSubprocessClient,
) -> dg.MaterializeResult:
    """The policy after learning from pairs, held to the policy released last.

    Where the wheel's method is "sft_only" (an arm for comparison), the same compute is spent on
    more imitation instead.
    """
    settings = DpoConfig(**_told(wheel.settings.dpo, config))
    stores, turn = wheel.stores, context.partition_key
    start = current(stores, "finetune/sft_policy", turn)
    if wheel.settings.method == "sft_only":
        sft = wheel.settings.sft
        steps = round(settings.max_steps * settings.batch_size * _SEQUENCES_A_PAIR / sft.batch_size)
        return train(
            context,
            pipes,
            wheel,
            kind="sft",
            asset="finetune/dpo_policy",
            policy=start,
            configuration=sft.model_copy(update={"max_steps": steps}).model_dump(),
        )
    return train(
        context,
        pipes,
        wheel,
        kind="dpo",
        asset="finetune/dpo_policy",
        policy=start,
        reference=current(stores, "backbone/backbone", turn),
        configuration=settings.model_dump(),
    )


@dg.asset(
    deps=[
        dg.AssetKey(["finetune", "dpo_policy"]),
        dg.AssetKey(["reward_models", "reward_model_report"]),
    ],
    kinds={"torch"},
    **_KEY,
)
def policy_report(
    context: dg.AssetExecutionContext, wheel: Wheel, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult:
    """The candidate against the policy released last, on prompts that training did not see."""
    stores, turn = wheel.stores, context.partition_key
    job = EvaluationJob(
        root=stores.root,
        snapshot_id=current(stores, "preferences/preference_snapshot", turn),
        prompts=current(stores, "artifacts/prompts", turn),
        candidate=current(stores, "finetune/dpo_policy", turn),
        champion=current(stores, "backbone/backbone", turn),
        reward_model=current(stores, "reward_models/reward_model", turn),
        gate=wheel.settings.gate,
        seed=wheel.settings.seed,
    )
    result = launch(
        context,
        pipes,
        wheel,
        module="pipelines.evaluation",
        name="policy_report",
        job=job.model_dump(mode="json"),
    )
    rows = "\n".join(
        f"| {f['rule']} | {'passed' if f['passed'] else '**failed**'} | {f['detail']} |"
        for f in result["findings"]
    )
    return dg.MaterializeResult(
        metadata={
            "candidate": job.candidate,
            "champion": job.champion,
            "passed": result["passed"],
            "gate": dg.MetadataValue.md(f"| rule | verdict | measured |\n|---|---|---|\n{rows}"),
            "measured": dg.MetadataValue.json(result["measured"]),
        }
    )


@dg.asset(deps=[dg.AssetKey(["finetune", "policy_report"])], output_required=False, **_KEY)
def released_policy(context: dg.AssetExecutionContext, wheel: Wheel):  # type: ignore[no-untyped-def]  # Dagster reads a generator's annotation as its output
    """The policy that makes the next generations; materialises only when the gate has passed."""
    import json
    from datetime import UTC, datetime

    stores, turn = wheel.stores, context.partition_key
    report = json.loads((stores.root / "jobs" / f"{turn}-policy_report.result.json").read_text())
    if not report["passed"]:
        failed = ", ".join(f["rule"] for f in report["findings"] if not f["passed"])
        context.log.warning(f"{turn}: not released, the gate refused ({failed})")
        return
    candidate = CheckpointId(current(stores, "finetune/dpo_policy", turn))
    stores.checkpoints.verify(candidate)
    stores.catalogue.promote(
        RELEASE, candidate, reason=f"gate passed in {turn}", by="gate", at=datetime.now(UTC)
    )
    yield dg.MaterializeResult(metadata={"checkpoint": candidate})


def _told(settings: SftConfig | DpoConfig, config: dg.Config) -> dict[str, Any]:
    told = {name: value for name, value in config.model_dump().items() if value is not None}
    return {**settings.model_dump(), **told}
