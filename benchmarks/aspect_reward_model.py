"""Claim: a reward model of aspects ranks as well as nine tenths of the oracle, and is calibrated.

    python -m benchmarks.aspect_reward_model --seed 100 --out FILE

Simulated: scenes of the studio with known truth, and a crew of twelve annotators of whom some are
careless or reversed. Training and calibration see scenes of one policy alone (drawn with the
studio's usual care) for some prompts, and the pairs that the de-noiser makes of the crew's ratings
and comparisons. Everything is reported on other prompts, for that policy and for two that were
never seen: scenes drawn with great care, all of them fairly good, and samples of the shipped base
model. By policy and aspect: accuracy on pairs that differ in truth, and against fresh answers of
the same crew, where the oracle (truth itself) errs too and so is the ceiling; accuracy with ties;
expected calibration error against truth. Beside it, on "overall": the base model's likelihood
without any training, and the reward model of one number, trained on the same overall pairs.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from annotation.queue import TASK
from backbone.emu3 import Emu3Backbone
from backbone.pictures import stack_pngs, write_png
from backbone.tokens import visual_prompt
from benchmarks.crowd_aggregation import environment
from data_contracts.ids import Digest, GenerationId, PromptId, SnapshotId
from data_contracts.schemas import GENERATION, PROMPT
from data_contracts.training import TrainingPair
from pipelines.assets.backbone import shipped_checkpoint
from pipelines.preferences.making import infer_preferences
from pipelines.preferences.pairs import PairSettings
from pipelines.preferences.splits import SplitSettings
from pipelines.world.annotators import Crew, answer_tasks, compare, draw_crew
from pipelines.world.prompts import Request, every_request
from pipelines.world.scenes import draw_care, draw_scene
from pipelines.world.truth import judge
from reward_models.aspect_calibration import AspectCalibration
from reward_models.aspect_report import JudgedPairs, aspect_figures
from reward_models.aspect_scorer import AspectRewardScorer
from reward_models.aspect_trainer import train_aspects
from reward_models.config import AspectConfig, RewardConfig
from reward_models.trainer import train_reward
from reward_models.watch import Watch

ASPECTS: Final = ("prompt_alignment", "physical_plausibility", "aesthetics", "overall")
PICTURES: Final = 8
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Pictures of one policy for some requests, `PICTURES` each in a row, and their truth."""

    texts: list[str]  # by prompt
    pngs: list[bytes]
    truth: dict[str, Floats]  # (pictures,) by aspect, in [0, 1]


@dataclass(frozen=True, kw_only=True)
class StudioBundle:
    """A `TrainingBundle` in memory."""

    table: pa.Table
    texts: Mapping[str, str]
    media: Mapping[str, bytes]
    aspects: tuple[str, ...]
    snapshot_id: SnapshotId = SnapshotId("studio")  # noqa: RUF009
    digest: Digest = Digest("0" * 64)  # noqa: RUF009

    def pairs(self, split: str) -> Sequence[TrainingPair]:
        names = ("pair_id", "prompt_id", "chosen_id", "rejected_id", "aspect", "target", "weight")
        rows = self.table.select([*names, "split"]).to_pylist()
        return [
            TrainingPair(**{n: row[n] for n in names})
            for row in rows
            if row["split"] == split and row["aspect"] in self.aspects
        ]

    def prompt_text(self, prompt_id: PromptId) -> str:
        return self.texts[prompt_id]

    def skill(self, generation_id: GenerationId) -> None:
        return None

    def modality(self, generation_id: GenerationId) -> str:
        return "image"

    def content(self, generation_id: GenerationId) -> bytes:
        return self.media[generation_id]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, action="append", required=True)
    parser.add_argument("--prompts", type=int, default=500, help="trained and calibrated on")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--head-learning-rate", type=float, default=5e-3)
    parser.add_argument("--other-prompts", type=int, default=AspectConfig().other_prompts)
    parser.add_argument(
        "--validate-by", choices=["text", "meaning"], default="text",
        help="which prompts the calibration is fitted on: of other texts, or of other meanings",
    )  # fmt: skip
    parser.add_argument("--alone", action="store_true", help="leave out the model of one number")
    parser.add_argument("--backbone", type=Path, default=shipped_checkpoint())
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args(arguments)
    seeds = [measure(seed, chosen) for seed in chosen.seed]
    report = {
        "claim": "aspect_reward_model",
        "simulated": True,
        "bars": {"accuracy_of_ceiling": 0.9, "calibration_error": 0.05},
        "told": {k: v for k, v in vars(chosen).items() if k not in ("out", "backbone")},
        "by_seed": seeds,
        "environment": environment(),
    }
    text = json.dumps(report, indent=1) + "\n"
    print(text)
    if chosen.out:
        chosen.out.write_text(text, "utf-8")


def measure(seed: int, told: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of one seed."""
    rng = np.random.default_rng([seed, 7])
    requests = every_request()
    # By a request's two groups, so that no held-out prompt means what a trained one means.
    order = rng.permutation(len(requests))
    held = {_meaning(requests[i]) for i in order[:80]}
    test = [requests[i] for i in order[:80]]
    seen = [requests[i] for i in order if _meaning(requests[i]) not in held][: told.prompts]
    crew = draw_crew(12, rng=rng)
    backbone = Emu3Backbone.load(told.backbone, device="cpu")
    bundle = _bundle(_scenes(seen, draw_care(len(seen) * PICTURES, rng=rng), rng), crew, rng)
    if told.validate_by == "meaning":
        bundle = _split_by_meaning(bundle, seen, np.random.default_rng([seed, 8]))
    config = AspectConfig(
        max_steps=told.steps, learning_rate=told.learning_rate,
        head_learning_rate=told.head_learning_rate, device="cpu", seed=seed,
        other_prompts=told.other_prompts,
    )  # fmt: skip
    run = train_aspects(bundle, backbone=backbone, config=config, watch=Watch(progress=_say))
    overall = StudioBundle(
        table=bundle.table, texts=bundle.texts, media=bundle.media, aspects=("overall",)
    )
    plain = None if told.alone else train_reward(
        overall, backbone=backbone, watch=Watch(progress=_say),
        config=RewardConfig(max_steps=told.steps, learning_rate=1e-3, device="cpu", seed=seed),
    ).scorer  # fmt: skip
    care = draw_care(len(test) * PICTURES, rng=rng)
    policies = {
        "the policy trained on": _scenes(test, care, rng),
        "careful scenes": _scenes(test, rng.uniform(0.8, 1.0, len(care)), rng),
        "shipped base model": _sampled(backbone, test, seed),
    }
    return {
        "seed": seed,
        "pairs": {
            aspect: len([p for p in bundle.pairs("train") if p.aspect == aspect])
            for aspect in ASPECTS
        },
        "ties_among_them": len([p for p in bundle.pairs("train") if p.target == 0.5]),
        "seconds": round(run.seconds, 1),
        "validation": {name: asdict(found) for name, found in run.report.items()},
        "calibrations": {n: c.model_dump() for n, c in run.scorer.calibrations.items()},
        "held_out": {
            name: _held_out(drawn, run.scorer, plain, backbone, crew, rng)
            for name, drawn in policies.items()
        },
    }


def _held_out(
    drawn: Drawn, scorer: AspectRewardScorer, plain: Any, base: Emu3Backbone, crew: Crew,
    rng: np.random.Generator,
) -> dict[str, Any]:  # fmt: skip
    texts = [text for text in drawn.texts for _ in range(PICTURES)]
    scores = {k: np.array(v) for k, v in scorer.score_aspects(texts, drawn.pngs).items()}
    first, second = _same_prompt(len(texts))
    found: dict[str, Any] = {}
    for aspect in ASPECTS:
        truth, width = drawn.truth[aspect], scorer.calibrations[aspect].width
        gap, lead = truth[first] - truth[second], scores[aspect][first] - scores[aspect][second]
        said = np.array([
            compare(truth[i], truth[j], crew, int(rng.integers(len(crew))),
                    first_left=bool(rng.random() < 0.5), rng=rng)
            for i, j in zip(first, second, strict=True)
        ])  # fmt: skip
        heard = np.abs(said) > 0
        ceiling = _agreement(gap[heard], said[heard])
        true = aspect_figures(
            _pairs(lead, gap, first), calibrated=(_identity(width),), rng=rng, resamples=1000
        )
        found[aspect] = {
            "against_truth": asdict(true),
            "against_answers": _agreement(lead[heard], said[heard]),
            "ceiling": ceiling,
            "share_of_ceiling": _agreement(lead[heard], said[heard]) / ceiling,
        }
    gap = drawn.truth["overall"][first] - drawn.truth["overall"][second]
    likely = base.sequence_logprobs(
        [visual_prompt(text, base.grid) for text in texts],
        [base.completion(c) for c in base.tokenise(stack_pngs(drawn.pngs))],
    )
    beside = {"likelihood": np.asarray(likely)}
    if plain is not None:
        beside["reward model of one number"] = np.array(plain.score(texts, drawn.pngs))
    decided = np.abs(gap) > 1e-9
    found["beside it, overall against truth"] = {
        name: _agreement((values[first] - values[second])[decided], gap[decided])
        for name, values in beside.items()
    }
    return found


def _scenes(requests: Sequence[Request], care: Floats, rng: np.random.Generator) -> Drawn:
    asked = [request for request in requests for _ in range(PICTURES)]
    pictures = [draw_scene(r, care=float(c), rng=rng) for r, c in zip(asked, care, strict=True)]
    return _drawn(requests, np.stack(pictures))


def _sampled(policy: Emu3Backbone, requests: Sequence[Request], seed: int) -> Drawn:
    asked = [request.text() for request in requests for _ in range(PICTURES)]
    codes = policy.generate(asked, seed=seed, grammar=True)
    return _drawn(requests, policy.decode([c for c in codes if c is not None]))


def _drawn(requests: Sequence[Request], pictures: NDArray[np.uint8]) -> Drawn:
    truth = judge(pictures, [request for request in requests for _ in range(PICTURES)])
    values = {name: getattr(truth, name) for name in ASPECTS[:-1]}
    return Drawn(
        texts=[request.text() for request in requests],
        pngs=[write_png(picture) for picture in pictures],
        truth={**values, "overall": truth.overall / 100.0},
    )


def _bundle(drawn: Drawn, crew: Crew, rng: np.random.Generator) -> StudioBundle:
    """Let the crew judge everything, and the de-noiser make pairs of what they said."""
    prompts = [f"q{k:04d}" for k in range(len(drawn.texts))]
    ids = [f"g{k:05d}" for k in range(len(drawn.pngs))]
    now = datetime(2026, 1, 1, tzinfo=UTC)
    generations = pa.Table.from_pylist(
        [
            {"generation_id": g, "tenant_id": "t", "project_id": "p", "session_id": None,
             "prompt_id": prompts[k // PICTURES], "turn": 0, "model_release": "scenes",
             "modality": "image", "created_at": now}
            for k, g in enumerate(ids)
        ],
        schema=GENERATION,
    )  # fmt: skip
    asked = pa.Table.from_pylist(
        [{"prompt_id": p, "text": t} for p, t in zip(prompts, drawn.texts, strict=True)],
        schema=PROMPT,
    )
    tasks = [
        {"task_id": f"{aspect}-{g}", "kind": "rating", "prompt_id": prompts[k // PICTURES],
         "generation_id": g, "other_generation_id": None, "aspect": aspect}
        for aspect in ASPECTS for k, g in enumerate(ids)
    ]  # fmt: skip
    answers = answer_tasks(
        pa.Table.from_pylist(tasks, schema=TASK),
        {a: dict(zip(ids, v.tolist(), strict=True)) for a, v in drawn.truth.items()},
        crew, answers_per_task=3, batch="b", start=now, rng=rng,
    )  # fmt: skip
    made = infer_preferences(
        None, answers, asked, generations,
        settings=PairSettings(
            aspects=ASPECTS, ties=True, per_prompt=28,
            splits=SplitSettings(validation=0.2, heldout=0.0),
        ),
    )  # fmt: skip
    return StudioBundle(
        table=made.pairs.table,
        texts=dict(zip(prompts, drawn.texts, strict=True)),
        media=dict(zip(ids, drawn.pngs, strict=True)),
        aspects=ASPECTS,
    )


def _split_by_meaning(
    bundle: StudioBundle, asked: Sequence[Request], rng: np.random.Generator
) -> StudioBundle:
    """Validate on a fifth of the meanings, so that those prompts are as new as held-out ones."""
    meanings = [tuple(sorted(_meaning(request))) for request in asked]
    kinds = sorted(set(meanings))
    kept = {kinds[i] for i in rng.permutation(len(kinds))[: len(kinds) // 5]}
    split = [
        "validation" if meanings[int(prompt[1:])] in kept else "train"
        for prompt in bundle.table["prompt_id"].to_pylist()
    ]
    place = bundle.table.schema.get_field_index("split")
    table = bundle.table.set_column(place, "split", pa.array(split))
    return replace(bundle, table=table)


def _same_prompt(pictures: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return all pairs of pictures of one prompt."""
    i, j = np.triu_indices(PICTURES, 1)
    starts = np.arange(0, pictures, PICTURES)[:, None]
    return (starts + i).ravel(), (starts + j).ravel()


def _pairs(lead: Floats, gap: Floats, first: NDArray[np.int64]) -> JudgedPairs:
    """Turn every pair so that the truly better one is the chosen one."""
    tie = np.abs(gap) < 1e-9
    return JudgedPairs(
        margin=lead * np.where(gap < 0, -1.0, 1.0),
        longer=np.zeros(len(lead)),
        masses=np.stack([~tie, tie], -1).astype(float),
        weight=np.ones(len(lead)),
        prompts=(first // PICTURES).astype(str),
    )


def _identity(width: float) -> AspectCalibration:
    """Return the calibration of scores that are calibrated already."""
    return AspectCalibration(width=width)


def _agreement(lead: Floats, said: Floats) -> float:
    """Return the share of pairs whose lead goes the way that *said* does; equal counts half."""
    return float(((np.sign(lead) == np.sign(said)) + 0.5 * (lead == 0)).mean())


def _meaning(request: Request) -> frozenset[str]:
    groups = [request.first] + ([request.second] if request.second else [])
    return frozenset(group.words() for group in groups)


def _say(done: int, total: int) -> None:
    if done % 50 == 0 or done == total:
        print(f"step {done} of {total}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
