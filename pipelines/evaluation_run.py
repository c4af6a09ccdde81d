"""One evaluation that a person asks for: any candidate against any champion of a zone."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from data_contracts.errors import FlywheelError
from data_contracts.ids import CheckpointId
from pipelines.evaluation import EvaluationJob, held_out_of, sampled_prompts
from pipelines.metrics import Say, silent
from pipelines.post_training import ASSETS, SNAPSHOT, asked_under, newest_turn, stands
from pipelines.releasing import (
    named_champion,
    named_policy,
    named_scorer,
    opened_zone,
    zone_settings,
)
from pipelines.settings import GateConfig, faults_of
from pipelines.stores import Stores, open_stores

JOB: Final = "evaluate"
STEP: Final = "evaluation"
_REHEARSED: Final = 4  # of so many prompts one is rehearsed


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRequest:
    """What a person says; None and "" stand for what the gate of the wheel would do."""

    root: Path
    candidate: str  # an id or its start
    against: str = ""  # likewise; empty: the policy released last
    turn: str = ""  # whose held-out prompts; empty: the one the candidate learned in
    prompts: int | None = None
    samples: int | None = None  # pictures a prompt and policy
    seed: int | None = None
    reward_model: str = ""  # an id or its start; empty: the one that the gate asks
    out: Path | None = None  # folder of card and report; None: reports/ of the zone

    def launchpad(self) -> dict[str, Any]:
        """Return what the launchpad of the job *evaluate* takes for the same evaluation."""
        told = {k: v for k, v in asdict(self).items() if k != "root" and v not in (None, "")}
        if self.out is not None:
            told["out"] = str(self.out.absolute())
        return {"ops": {STEP: {"config": told}}}


def resolved(request: EvaluationRequest) -> EvaluationJob:
    """Return exactly what will run.

    Raises:
        FlywheelError: no such zone, policy, reward model or turn, or a number is out of range.
    """
    stores, settings = opened_zone(request.root), zone_settings(request.root)
    candidate = named_policy(stores, request.candidate)
    champion = named_champion(stores, request.against, besides=candidate)
    turn = request.turn or _turn_of(stores, candidate) or newest_turn(stores)
    changes = {"prompts": request.prompts, "samples": request.samples}
    told = {name: value for name, value in changes.items() if value is not None}
    try:
        gate = GateConfig.model_validate(settings.gate.model_dump() | told)
    except ValidationError as error:
        raise FlywheelError(faults_of(error)) from None
    generations, skills = asked_under(stores, turn)
    folder = request.out or stores.root / "reports"
    return EvaluationJob(
        root=stores.root,
        turn=turn,
        snapshot_id=stands(stores, SNAPSHOT, turn),
        prompts=stands(stores, "artifacts/prompts", turn),
        generations=generations,
        skills=skills,
        candidate=candidate,
        champion=champion,
        reward_model=named_scorer(stores, request.reward_model)
        if request.reward_model
        else stands(stores, ASSETS[settings.scorer], turn),
        gate=gate,
        seed=settings.seed if request.seed is None else request.seed,
        modality=settings.studio.modality,
        real=settings.evidence == "real",
        card=folder.absolute() / f"evaluation-{candidate[:12]}-{champion[:12]}.html",
    )


def report_file(job: EvaluationJob) -> Path:
    """Return where the report of *job* lies as JSON: beside its card."""
    assert job.card is not None
    return job.card.with_suffix(".json")


def preview(request: EvaluationRequest) -> dict[str, Any]:
    """Say what would be drawn and how long it takes; a share is rehearsed, nothing is stored.

    Raises:
        FlywheelError: as `resolved`, or as `pipelines.evaluation.run_job`.
    """
    job = resolved(request)
    stores = open_stores(job.root)
    texts = [each.read for each in sampled_prompts(stores, job)]
    return {
        "candidate": job.candidate,
        "champion": job.champion,
        "reward_model": job.reward_model,
        "turn": job.turn,
        "prompts": len(texts),
        "held_out": len(held_out_of(stores, job)),
        "samples": job.gate.samples,
        "pictures": 2 * len(texts) * job.gate.samples,
        "seed": job.seed,
        "seconds": _rehearsed_seconds(stores, job, texts),
        "digest": job.digest,
        "card": str(job.card),
        "report": str(report_file(job)),
    }


def _rehearsed_seconds(stores: Stores, job: EvaluationJob, texts: list[str]) -> float:
    from finetune.compare import measure_policy
    from pipelines.policies import stored_policy
    from reward_models.aspect_scorer import load_scorer

    started = time.perf_counter()
    candidate, champion = (
        stored_policy(stores, name, job.modality) for name in (job.candidate, job.champion)
    )
    scorer = load_scorer(stores.checkpoints.path(CheckpointId(job.reward_model)))
    loaded = time.perf_counter()
    # What a batch costs hardly depends on how full it is, so a whole one is drawn if that is a
    # small part of everything.
    batch = -(-candidate.batch_size // job.gate.samples)
    share = texts[: max(1, min(batch, len(texts) // _REHEARSED))]
    measure_policy(
        candidate, champion, scorer=scorer, prompt_texts=share, samples=job.gate.samples,
        seed=job.seed, resamples=1,
    )  # fmt: skip
    drawn = time.perf_counter() - loaded
    return loaded - started + drawn * len(texts) / len(share)


def run(request: EvaluationRequest, *, say: Say, waits: Callable[[str], None]) -> Mapping[str, Any]:
    """Measure under the wheel's own Dagster, where `flywheel up` shows it; nothing is released.

    Args:
        request: what a person said.
        say: told how many pictures are drawn.
        waits: told which other run has the accelerator, while this one waits for it.

    Raises:
        FlywheelError: as `resolved`, or it failed; the sentence is the measurement's own.
        KeyboardInterrupt: a signal stopped it.
    """
    from pipelines.run_here import run_here

    job = resolved(request)
    ended = run_here(
        request.root,
        JOB,
        run_config=request.launchpad(),
        follows=STEP,
        say=say,
        waits=waits,
    )
    if ended.stopped:
        raise KeyboardInterrupt("the evaluation was stopped; the same command begins it anew")
    if ended.failure is not None:
        raise FlywheelError(f"the evaluation failed: {ended.failure}")
    told: dict[str, Any] = json.loads(report_file(job).read_text("utf-8"))
    return {"run": ended.run_id, **told}


def verdict_of(finding: Mapping[str, Any]) -> str:
    """Say in words whether a rule of the gate passed, failed, or was not asked for."""
    if not finding["passed"]:
        return "failed"
    return "passed" if finding["asked"] else "not asked for"


def job_file(job: EvaluationJob) -> Path:
    """Return where the resolved *job* is written down, beside every other job of its wheel."""
    return job.root / "jobs" / f"{STEP}-{job.digest[:12]}.json"


def measure(job: EvaluationJob, say: Say = silent) -> dict[str, Any]:
    """Run *job* here and write its report beside its card.

    Raises:
        FlywheelError: as `pipelines.evaluation.run_job`, or a file cannot be written.
    """
    from pipelines.evaluation import run_job
    from pipelines.metrics import LiveMetrics

    file = job_file(job)
    file.parent.mkdir(exist_ok=True)
    file.write_text(job.model_dump_json(indent=2) + "\n", "utf-8")
    metrics = LiveMetrics(file, say)
    try:
        told = run_job(job, lambda done, total, _=None: metrics.progress(done, total))
    finally:
        metrics.close()
    report = report_file(job)
    result = {
        "turn": job.turn, "snapshot": job.snapshot_id, "reward_model": job.reward_model,
        "seed": job.seed, "digest": job.digest, **told, "report": str(report),
    }  # fmt: skip
    fresh = report.with_suffix(".tmp")
    fresh.write_text(json.dumps(result, indent=2, sort_keys=True) + "\n", "utf-8")
    fresh.replace(report)
    return result


def _turn_of(stores: Stores, candidate: CheckpointId) -> str | None:
    """Return the last turn whose snapshot *candidate* learned from, itself or what it rests on."""
    prefix = f"{SNAPSHOT}/"
    turns = {
        value: name.removeprefix(prefix)
        for name, value in sorted(stores.catalogue.pointers(prefix).items())
    }
    known = set(stores.checkpoints.ids())
    waiting = [str(candidate)]
    while waiting:
        parents = stores.checkpoints.manifest(CheckpointId(waiting.pop(0))).parents
        found = [turns[each] for each in parents if each in turns]
        if found:
            return max(found)
        waiting += [each for each in parents if each in known]
    return None
