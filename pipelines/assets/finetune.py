"""finetune: a better policy than the last, measured before it may be released."""

import dagster as dg

from data_contracts.ids import CheckpointId
from pipelines.assets.backbone import RELEASE
from pipelines.assets.launchpad import DpoChanges, SftChanges
from pipelines.assets.reward_models import INPUTS
from pipelines.assets.turns import TURNS
from pipelines.evaluation import EvaluationJob
from pipelines.evaluation_job import shown
from pipelines.orchestrator import POOL
from pipelines.post_training import ASSETS, asked_under
from pipelines.releasing import champion_now, standing_findings
from pipelines.resources import Wheel
from pipelines.stores import PointerMoved, RolledBack
from pipelines.train_launch import current, launch, train

_KEY = {"key_prefix": "finetune", "group_name": "finetune", "partitions_def": TURNS}


@dg.asset(deps=INPUTS, kinds={"torch"}, pool=POOL, **_KEY)
def sft_policy(
    context: dg.AssetExecutionContext,
    config: SftChanges,
    wheel: Wheel,
    pipes: dg.PipesSubprocessClient,
) -> dg.MaterializeResult:
    """The backbone after imitating preferred generations."""
    return train(context, pipes, wheel, kind="sft", changes=config)


@dg.asset(
    deps=[*INPUTS, dg.AssetKey(["finetune", "sft_policy"])], kinds={"torch"}, pool=POOL, **_KEY
)
def dpo_policy(
    context: dg.AssetExecutionContext,
    config: DpoChanges,
    wheel: Wheel,
    pipes: dg.PipesSubprocessClient,
) -> dg.MaterializeResult:
    """The policy after learning from pairs, held to the policy released last."""
    return train(context, pipes, wheel, kind="dpo", changes=config)


@dg.asset(
    deps=[
        dg.AssetKey(["finetune", "dpo_policy"]),
        dg.AssetKey(["reward_models", "reward_model_report"]),
        dg.AssetKey(["reward_models", "aspect_model_report"]),
    ],
    kinds={"torch"},
    pool=POOL,
    **_KEY,
)
def policy_report(
    context: dg.AssetExecutionContext, wheel: Wheel, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult:
    """The candidate against the policy released last, on prompts that training did not see."""
    stores, turn = wheel.stores, context.partition_key
    generations, skills = asked_under(stores, turn)
    candidate = current(stores, "finetune/dpo_policy", turn)
    job = EvaluationJob(
        root=stores.root,
        turn=turn,
        snapshot_id=current(stores, "preferences/preference_snapshot", turn),
        prompts=current(stores, "artifacts/prompts", turn),
        generations=generations,
        skills=skills,
        candidate=candidate,
        # Another turn may have released since this one began.
        champion=champion_now(
            stores, candidate, started_from=current(stores, "backbone/backbone", turn)
        ),
        reward_model=current(stores, ASSETS[wheel.settings.scorer], turn),
        gate=wheel.settings.gate,
        seed=wheel.settings.seed,
        modality=wheel.settings.studio.modality,
        real=wheel.settings.evidence == "real",
    )
    result = launch(
        context,
        pipes,
        wheel,
        module="pipelines.evaluation",
        name="policy_report",
        job=job.model_dump(mode="json"),
    )
    return dg.MaterializeResult(metadata=shown(result, stores.root))


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
    measured = str(report.get("candidate", "unknown"))
    if measured != candidate:
        raise dg.Failure(
            f"{turn}: the report is about checkpoint {measured[:12]}, but the candidate is now "
            f"{candidate[:12]}; materialise policy_report again"
        )
    champion = str(report.get("champion", "unknown"))
    released = stores.catalogue.release(RELEASE)
    if released not in (candidate, champion):
        raise _uncompared(turn, candidate, champion, released)
    stores.checkpoints.verify(candidate)
    # Somebody may have reported a picture, or reclassified a project, since the report was made.
    findings = standing_findings(stores.root, stores, candidate)
    refused = [f"{f.rule}: {f.detail}" for f in findings if not f.passed]
    if refused:
        context.log.warning(f"{turn}: not released, {'; '.join(refused)}")
        return
    try:
        stores.catalogue.promote(
            RELEASE, candidate, reason=f"gate passed in {turn}", by="gate", at=datetime.now(UTC),
            expected=champion,
        )  # fmt: skip
    except PointerMoved:  # since we looked
        released = stores.catalogue.release(RELEASE)
        raise _uncompared(turn, candidate, champion, released) from None
    except RolledBack as error:
        context.log.warning(f"{turn}: not released, {error}")
        return
    yield dg.MaterializeResult(metadata={"checkpoint": candidate})


def _uncompared(turn: str, candidate: str, champion: str, released: str | None) -> dg.Failure:
    return dg.Failure(
        f"{turn}: {candidate[:12]} was compared with {champion[:12]}, but "
        f"{(released or 'nothing')[:12]} is released now; materialise policy_report again, which "
        "measures against what is released"
    )
