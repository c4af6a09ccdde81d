"""The process that measures a candidate against the policy released last.

python -m pipelines.evaluation JOB.json
"""

import math
import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from data_contracts.errors import FlywheelError
from data_contracts.ids import CheckpointId, SnapshotId
from data_contracts.labels import GENERAL
from pipelines.asked import Asked, skill_names, trained_prompts, unseen_prompts
from pipelines.metrics import Say
from pipelines.piped import run_under_pipes
from pipelines.settings import GateConfig
from pipelines.stores import Stores, open_snapshot, open_stores
from pipelines.stores.digests import json_digest

if TYPE_CHECKING:
    from finetune.measured import Comparison


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
    # Digests of the tables that say under which skill each prompt was asked; None: under none.
    generations: str | None = Field(default=None, exclude_if=lambda digest: digest is None)
    skills: str | None = Field(default=None, exclude_if=lambda digest: digest is None)
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
    Each prompt is sampled under the skill that it was asked under; a blind question shows the
    prompt alone, so none is asked about those under a skill.

    Raises:
        FlywheelError: fewer than two prompts were held out, a checkpoint cannot be loaded, or the
            reward model would cut a skill's guidance.
    """
    from finetune.by_skill import figures_by_skill
    from finetune.compare import measure_policy
    from finetune.gate import judge_release
    from pipelines.comparing.card import write_card
    from pipelines.comparing.questions import add_questions, store_questions
    from pipelines.comparing.standing import standing_of
    from pipelines.comparing.unjudged import unjudged_aspects
    from pipelines.policies import stored_policy
    from reward_models.aspect_scorer import load_scorer
    from reward_models.sequences import check_fits

    stores = open_stores(job.root)
    # Refused unless validated.
    learned = open_snapshot(stores, SnapshotId(job.snapshot_id), GENERAL)
    unseen = sampled_prompts(stores, job)
    scorer = load_scorer(stores.checkpoints.path(CheckpointId(job.reward_model)))
    candidate = stored_policy(stores, job.candidate, job.modality)
    guided = [each.read for each in unseen if each.skill]
    check_fits(guided, candidate, max_length=scorer.max_length)
    plain = [row for row, each in enumerate(unseen) if each.skill is None]
    comparison = measure_policy(
        candidate,
        stored_policy(stores, job.champion, job.modality),
        scorer=scorer,
        prompt_texts=[each.read for each in unseen],
        samples=job.gate.samples,
        seed=job.seed,
        progress=say,
        # Where everything was asked under skills, everything counts.
        unguided=plain or None,
    )
    by_skill = figures_by_skill(
        comparison, skill_names(unseen), rng=np.random.default_rng(job.seed)
    )
    questioned = comparison if len(plain) == len(unseen) else _of_rows(comparison, plain)
    asked = {
        "prompt_ids": [unseen[row].prompt_id for row in plain],
        "candidate": job.candidate,
        "champion": job.champion,
        "parents": [job.prompts, job.reward_model],
        "at": datetime.now(UTC),
    }
    if job.card is None:
        store_questions(stores, questioned, partition=job.turn, **asked)  # type: ignore[arg-type]  # one dict of several kinds
    else:
        add_questions(stores, questioned, **asked)  # type: ignore[arg-type]
    standing = standing_of(
        stores, CheckpointId(job.candidate), champion=job.champion, real=job.real, seed=job.seed
    )
    measured = comparison.measured
    verdict = judge_release(
        measured,
        job.gate,
        standing,
        unjudged=unjudged_aspects(
            measured.modality,
            judged=measured.aspects,
            paired=learned.pairs["aspect"].unique().to_pylist(),
        ),
    )
    card = job.card or Path("reports") / f"comparison-{job.turn}-{job.candidate[:12]}.html"
    write_card(
        job.root / card,
        comparison,
        verdict,
        standing,
        prompt_texts=[
            each.text if each.skill is None else f"{each.text} (under {each.skill_id})"
            for each in unseen
        ],
        by_skill=by_skill,
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
        "measured": _plain(asdict(measured)),
        "standing": _plain(asdict(standing)),
        "passed": verdict.passed,
        "findings": [asdict(finding) for finding in verdict.findings],
        "skills": _plain([asdict(each) for each in by_skill]),
        "card": str(card),
    }


def sampled_prompts(stores: Stores, job: EvaluationJob) -> list[Asked]:
    """Return the prompts that *job* is measured on.

    Raises:
        FlywheelError: fewer than two were held out of training.
    """
    unseen = held_out_of(stores, job)[: job.gate.prompts]
    if len(unseen) < 2:
        raise FlywheelError(
            "fewer than two prompts were held out of training, so nothing can be measured; "
            "deliver more prompts"
        )
    return unseen


def held_out_of(stores: Stores, job: EvaluationJob) -> list[Asked]:
    """Return every prompt that *job* may be measured on, in order of their ids."""
    return unseen_prompts(
        stores,
        job.prompts,
        generations=job.generations,
        skills=job.skills,
        trained=trained_prompts(stores, [job.candidate, job.champion]),
    )


def _of_rows(comparison: "Comparison", rows: list[int]) -> "Comparison":
    """Return the samples of some prompts."""
    return replace(
        comparison,
        candidate=[comparison.candidate[i] for i in rows],
        champion=[comparison.champion[i] for i in rows],
        candidate_scores=comparison.candidate_scores[rows],
        champion_scores=comparison.champion_scores[rows],
        diversities=None,  # no question asks about it
    )


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
