"""The process that measures a candidate against the policy released last.

python -m pipelines.evaluation JOB.json
"""

import math
import sys
from dataclasses import asdict
from datetime import UTC, datetime
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
from pipelines.stores.digests import json_digest


class EvaluationJob(BaseModel):
    """One evaluation, resolved."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Path
    turn: str
    snapshot_id: str  # what the candidate learned from
    prompts: str  # digest of the prompts' table; those held out of training are sampled
    candidate: str
    champion: str
    reward_model: str
    gate: GateConfig
    seed: int
    modality: str = "image"  # of what both draw
    real: bool  # people's evidence, not a simulated studio's
    # None: the turn's own report. Else an evaluation beside it, whose card goes there.
    card: Path | None = None

    @property
    def digest(self) -> str:
        """Return the SHA-256 of everything that decides what is measured."""
        return json_digest(self.model_dump(mode="json", exclude={"root", "card"}))


def run_job(job: EvaluationJob, say: Say) -> dict[str, Any]:
    """Sample both policies on prompts that training did not see, and judge the candidate.

    The questions for a blind comparison are stored, and the card is written, whatever the verdict.

    Raises:
        FlywheelError: fewer than two prompts were held out, or a checkpoint cannot be loaded.
    """
    from finetune.compare import measure_policy
    from finetune.gate import judge_release
    from pipelines.comparing.card import write_card
    from pipelines.comparing.questions import add_questions, store_questions
    from pipelines.comparing.standing import standing_of
    from pipelines.policies import stored_policy
    from reward_models.aspect_scorer import load_scorer

    stores = open_stores(job.root)
    open_snapshot(stores, SnapshotId(job.snapshot_id), GENERAL)  # refused unless validated
    unseen = sampled_prompts(stores, job)
    texts = [text for _, text in unseen]
    comparison = measure_policy(
        stored_policy(stores, job.candidate, job.modality),
        stored_policy(stores, job.champion, job.modality),
        scorer=load_scorer(stores.checkpoints.path(CheckpointId(job.reward_model))),
        prompt_texts=texts,
        samples=job.gate.samples,
        seed=job.seed,
        progress=say,
    )
    asked = {
        "prompt_ids": [prompt_id for prompt_id, _ in unseen],
        "candidate": job.candidate,
        "champion": job.champion,
        "parents": [job.prompts, job.reward_model],
        "at": datetime.now(UTC),
    }
    if job.card is None:
        store_questions(stores, comparison, partition=job.turn, **asked)  # type: ignore[arg-type]  # one dict of several kinds
    else:
        add_questions(stores, comparison, **asked)  # type: ignore[arg-type]
    standing = standing_of(
        stores, CheckpointId(job.candidate), champion=job.champion, real=job.real, seed=job.seed
    )
    verdict = judge_release(comparison.measured, job.gate, standing)
    card = job.card or Path("reports") / f"comparison-{job.turn}-{job.candidate[:12]}.html"
    write_card(
        job.root / card,
        comparison,
        verdict,
        standing,
        prompt_texts=texts,
        names={
            "turn": job.turn,
            "candidate": job.candidate[:12],
            "champion": job.champion[:12],
            "snapshot": job.snapshot_id[:12],
            "reward_model": job.reward_model[:12],
        },
        seed=job.seed,
    )
    return {
        "candidate": job.candidate,
        "champion": job.champion,
        "measured": _plain(asdict(comparison.measured)),
        "standing": _plain(asdict(standing)),
        "passed": verdict.passed,
        "findings": [asdict(finding) for finding in verdict.findings],
        "card": str(card),
    }


def sampled_prompts(stores: Stores, job: EvaluationJob) -> list[tuple[str, str]]:
    """Return ids and texts of the prompts that *job* is measured on.

    Raises:
        FlywheelError: fewer than two were held out of training.
    """
    unseen = unseen_prompts(stores, job.prompts)[: job.gate.prompts]
    if len(unseen) < 2:
        raise FlywheelError(
            "fewer than two prompts were held out of training, so nothing can be measured; "
            "deliver more prompts"
        )
    return unseen


def unseen_prompts(stores: Stores, prompts: str) -> list[tuple[str, str]]:
    """Return ids and texts of the prompts that training never sees, in order of their ids."""
    table = stores.derived.read(Digest(prompts))
    splits = split_prompts(table)
    unseen = set(splits.filter(pc.not_equal(splits["split"], "train"))["prompt_id"].to_pylist())
    rows = zip(table["prompt_id"].to_pylist(), table["text"].to_pylist(), strict=True)
    return [(prompt_id, text) for prompt_id, text in sorted(rows) if prompt_id in unseen]


def _plain(value: Any) -> Any:
    """Replace NaN, which JSON cannot hold, by null."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def run_file(file: Path, say: Say) -> dict[str, Any]:
    """Run the resolved job in *file*."""
    return run_job(EvaluationJob.model_validate_json(file.read_text("utf-8")), say)


def main(arguments: list[str]) -> int:
    """Run the job named on the command line, speaking to Dagster Pipes where there is one."""
    file = Path(arguments[0])
    return run_under_pipes(file, lambda say: run_file(file, say))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
