"""The process that measures a candidate against the policy released last.

python -m pipelines.evaluation JOB.json
"""

import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from data_contracts.errors import FlywheelError
from data_contracts.ids import CheckpointId, Digest, SnapshotId
from data_contracts.labels import GENERAL
from pipelines.metrics import Say
from pipelines.piped import run_under_pipes
from pipelines.preferences.splits import split_prompts
from pipelines.settings import GateConfig
from pipelines.stores import Stores, open_snapshot, open_stores


class EvaluationJob(BaseModel):
    """One evaluation, resolved."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Path
    snapshot_id: str  # what the candidate learned from
    prompts: str  # digest of the prompts' table; those held out of training are sampled
    candidate: str
    champion: str
    reward_model: str
    gate: GateConfig
    seed: int


def run_job(job: EvaluationJob, progress: Say) -> dict[str, Any]:
    """Sample both policies on prompts that training did not see, and judge the candidate."""
    from backbone.emu3 import Emu3Backbone
    from finetune.evaluate import measure_policy
    from finetune.gate import judge_release
    from reward_models.scorer import RewardScorer

    stores = open_stores(job.root)
    open_snapshot(stores, SnapshotId(job.snapshot_id), GENERAL)  # refused unless validated
    texts = unseen_prompts(stores, job.prompts)[: job.gate.prompts]
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
        "candidate": job.candidate,
        "measured": _plain(asdict(measured)),
        "passed": verdict.passed,
        "findings": [asdict(finding) for finding in verdict.findings],
    }


def unseen_prompts(stores: Stores, prompts: str) -> list[str]:
    """Return the texts of the prompts that training never sees, in order of their ids."""
    table = stores.derived.read(Digest(prompts))
    splits = split_prompts(table)
    unseen = set(splits.filter(pc.not_equal(splits["split"], "train"))["prompt_id"].to_pylist())
    rows = zip(table["prompt_id"].to_pylist(), table["text"].to_pylist(), strict=True)
    return [text for prompt_id, text in sorted(rows) if prompt_id in unseen]


def _plain(value: Any) -> Any:
    """Replace NaN, which JSON cannot hold, by null."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def run_file(file: Path, progress: Say) -> dict[str, Any]:
    """Run the resolved job in *file*."""
    return run_job(EvaluationJob.model_validate_json(file.read_text("utf-8")), progress)


def main(arguments: list[str]) -> int:
    """Run the job named on the command line, speaking to Dagster Pipes where there is one."""
    file = Path(arguments[0])
    return run_under_pipes(file, lambda say: run_file(file, say))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
