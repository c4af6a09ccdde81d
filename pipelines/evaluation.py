"""The process that measures a candidate against the policy released last.

python -m pipelines.evaluation JOB.json
"""

import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from data_contracts.errors import FlywheelError
from data_contracts.ids import CheckpointId, Digest, SnapshotId
from data_contracts.labels import GENERAL
from pipelines.piped import Progress, run_under_pipes
from pipelines.settings import GateConfig
from pipelines.stores import Stores, open_snapshot, open_stores


class EvaluationJob(BaseModel):
    """One evaluation, resolved."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Path
    snapshot_id: str  # its held-out and validation prompts are sampled
    prompts: str  # digest of the prompts' table
    candidate: str
    champion: str
    reward_model: str
    gate: GateConfig
    seed: int


def run_job(job: EvaluationJob, progress: Progress) -> dict[str, Any]:
    """Sample both policies on prompts that training did not see, and judge the candidate."""
    from backbone.emu3 import Emu3Backbone
    from finetune.evaluate import measure_policy
    from finetune.gate import judge_release
    from reward_models.scorer import RewardScorer

    stores = open_stores(job.root)
    texts = unseen_prompts(stores, job.snapshot_id, job.prompts)[: job.gate.prompts]
    if len(texts) < 2:
        raise FlywheelError(
            "fewer than two prompts were held out of training, so nothing can be measured; "
            "deliver more prompts"
        )
    folders = {
        name: stores.checkpoints.path(CheckpointId(checkpoint))
        for name, checkpoint in (
            ("candidate", job.candidate),
            ("champion", job.champion),
            ("reward_model", job.reward_model),
        )
    }
    measured = measure_policy(
        Emu3Backbone.load(folders["candidate"]),
        Emu3Backbone.load(folders["champion"]),
        scorer=RewardScorer.load(folders["reward_model"]),
        prompt_texts=texts,
        samples=job.gate.samples,
        seed=job.seed,
        progress=progress,
    )
    verdict = judge_release(measured, job.gate)
    return {
        "measured": _plain(asdict(measured)),
        "passed": verdict.passed,
        "findings": [asdict(finding) for finding in verdict.findings],
    }


def unseen_prompts(stores: Stores, snapshot_id: str, prompts: str) -> list[str]:
    """Return the texts of the prompts whose pairs training did not see, in order of their ids."""
    pairs = open_snapshot(stores, SnapshotId(snapshot_id), GENERAL).pairs
    splits = dict(zip(pairs["prompt_id"].to_pylist(), pairs["split"].to_pylist(), strict=True))
    unseen = {prompt for prompt, split in splits.items() if split != "train"}
    table = stores.derived.read(Digest(prompts), columns=["prompt_id", "text"])
    rows = sorted(zip(*(c.to_pylist() for c in table.columns), strict=True))
    return [text for prompt_id, text in rows if prompt_id in unseen]


def _plain(value: Any) -> Any:
    """Replace NaN, which JSON cannot hold, by null."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def main(arguments: list[str]) -> int:
    """Run the job named on the command line."""
    job = EvaluationJob.model_validate_json(Path(arguments[0]).read_text("utf-8"))
    return run_under_pipes("evaluation", lambda progress: run_job(job, progress))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
