"""Claim: heat maps find flaws in generations of prompts that nobody pointed in.

    python -m benchmarks.heat_maps --modality image --seed 100 --out FILE

Simulated: samples of the shipped base model with flaws known from their pixels, a crew of twelve
who rate them and point at what is wrong after half of their ratings (boxes not exact, some flaws
overlooked, one annotator in ten who points anywhere). The reward model learns from the
de-noiser's pairs of these ratings, its heat maps from where the crew pointed. On samples for other
prompts, by aspect: how often a token of a flaw is hotter than another of the same generation (AUC),
with its interval over generations, for the map, for the map that is the same for all generations
(where people pointed in training, on average), and for the token's own negative log-likelihood.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from annotation.queue import TASK
from annotation.results import critiques
from backbone.emu3 import FILM_GRID, Emu3Backbone
from backbone.media import write_media
from benchmarks.crowd_aggregation import environment
from data_contracts.ids import Digest, GenerationId, PromptId, SnapshotId
from data_contracts.schemas import GENERATION, PROMPT
from data_contracts.training import TrainingCritique, TrainingPair
from pipelines.assets.backbone import shipped_checkpoint
from pipelines.judging.critiques import training_critiques
from pipelines.preferences.making import infer_preferences
from pipelines.preferences.pairs import PairSettings
from pipelines.preferences.splits import SplitSettings
from pipelines.world.annotators import answer_tasks, draw_crew
from pipelines.world.flaws import Flaw
from pipelines.world.medium import Medium, medium_of
from pipelines.world.pointing import point_at
from pipelines.world.scenes import RASTER
from reward_models.aspect_trainer import train_aspects
from reward_models.config import AspectConfig
from reward_models.heat_report import heat_figures

EACH: Final = 4  # samples a prompt
SHARE: Final = 0.5  # of ratings after which somebody points
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Samples for some prompts, `EACH` in a row."""

    texts: list[str]  # by sample
    media: list[bytes]
    pixels: NDArray[np.uint8]
    flaws: list[tuple[Flaw, ...]]


@dataclass(frozen=True, kw_only=True)
class PointedBundle:
    """A `TrainingBundle` and `CritiqueBundle` in memory."""

    table: pa.Table
    pointed: pa.Table
    drawn: Drawn
    media: Mapping[str, bytes]
    kind: str
    snapshot_id: SnapshotId = SnapshotId("studio")  # noqa: RUF009
    digest: Digest = Digest("0" * 64)  # noqa: RUF009

    def pairs(self, split: str) -> Sequence[TrainingPair]:
        names = ("pair_id", "prompt_id", "chosen_id", "rejected_id", "aspect", "target", "weight")
        rows = self.table.select([*names, "split"]).to_pylist()
        return [TrainingPair(**{n: r[n] for n in names}) for r in rows if r["split"] == split]

    def critiques(self, split: str) -> Sequence[TrainingCritique]:
        pairs = self.pairs(split)
        named = {g: p.prompt_id for p in pairs for g in (p.chosen_id, p.rejected_id)}
        return training_critiques(self.pointed, named)

    def prompt_text(self, prompt_id: PromptId) -> str:
        return self.drawn.texts[int(prompt_id[1:]) * EACH]

    def modality(self, generation_id: GenerationId) -> str:
        return self.kind

    def content(self, generation_id: GenerationId) -> bytes:
        return self.media[generation_id]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, action="append", required=True)
    parser.add_argument("--modality", choices=["image", "video"], default="image")
    parser.add_argument("--prompts", type=int, default=200, help="that people point in")
    parser.add_argument("--unseen", type=int, default=80, help="that maps are judged on")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args(arguments)
    report = {
        "claim": "heat_maps",
        "simulated": True,
        "told": {k: v for k, v in vars(chosen).items() if k != "out"},
        "by_seed": [measure(seed, chosen) for seed in chosen.seed],
        "environment": environment(),
    }
    text = json.dumps(report, indent=1) + "\n"
    print(text)
    if chosen.out:
        chosen.out.write_text(text, "utf-8")


def measure(seed: int, told: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of one seed."""
    rng = np.random.default_rng([seed, 11])
    medium = medium_of(told.modality)
    backbone = Emu3Backbone.load(shipped_checkpoint(told.modality), device="cpu")
    policy = backbone.of_frames(FILM_GRID.frames) if told.modality == "video" else backbone
    requests = medium.requests()
    # No two that mean the same on different sides.
    by_meaning: dict[tuple[str, ...], Any] = {r.meaning: r for r in requests}
    order = rng.permutation(len(by_meaning))
    asked = [list(by_meaning.values())[i] for i in order[: told.prompts + told.unseen]]
    seen = _sampled(policy, medium, asked[: told.prompts], seed)
    unseen = _sampled(policy, medium, asked[told.prompts :], seed + 1)
    bundle = _bundle(seen, medium, rng)
    config = AspectConfig(max_steps=told.steps, device="cpu", seed=seed)
    run = train_aspects(bundle, backbone=backbone, config=config)
    assert run.heat is not None
    aspects = run.heat.head.aspects
    maps = run.scorer.heat_maps(unseen.texts, unseen.media)
    surprise = _surprise(run.scorer.backbone, unseen)
    usual = _mean_map(bundle, aspects, len(surprise[0]), medium.frames)
    true: dict[str, Any] = {}
    for aspect in aspects:
        masks = [_mask(found, aspect, medium.frames) for found in unseen.flaws]
        told_of = [i for i, mask in enumerate(masks) if mask.any()]
        found = heat_figures(
            [maps[aspect][i].ravel() for i in told_of],
            [usual[aspect]] * len(told_of),
            [surprise[i] for i in told_of],
            [masks[i] for i in told_of],
            rng=rng,
        )
        true[aspect] = None if found is None else asdict(found)
    return {
        "seed": seed,
        "seconds": round(run.seconds, 1),
        "answers_pointed_in": run.heat.answers,
        "critiques": len(run.heat.critiques),
        "fit": run.heat.head.card.model_dump(mode="json"),
        "unseen_prompts_against_truth": true,
        "validation_prompts_against_annotators": {
            name: asdict(found) for name, found in run.heat.report.items()
        },
    }


def _sampled(policy: Emu3Backbone, medium: Medium, asked: Sequence[Any], seed: int) -> Drawn:
    wanted = [request for request in asked for _ in range(EACH)]
    codes = policy.generate([r.text() for r in wanted], seed=seed, grammar=True)
    pixels = policy.decode([c for c in codes if c is not None])
    return Drawn(
        texts=[request.text() for request in wanted],
        media=[write_media(each) for each in pixels],
        pixels=pixels,
        flaws=medium.flaws(pixels, wanted),
    )


def _bundle(drawn: Drawn, medium: Medium, rng: np.random.Generator) -> PointedBundle:
    """Let the crew rate everything and point, and the de-noiser make pairs of the ratings."""
    crew = draw_crew(12, rng=rng)
    truth = medium.truth(drawn.pixels, drawn.texts)
    values = truth.aspects | {"overall": truth.overall / 100.0}
    ids = [f"g{k:05d}" for k in range(len(drawn.media))]
    prompts = [f"q{k // EACH:04d}" for k in range(len(ids))]
    now = datetime(2026, 1, 1, tzinfo=UTC)
    generations = pa.Table.from_pylist(
        [
            {"generation_id": g, "tenant_id": "t", "project_id": "p", "prompt_id": q,
             "model_release": "base", "modality": medium.modality, "created_at": now}
            for g, q in zip(ids, prompts, strict=True)
        ],
        schema=GENERATION,
    )  # fmt: skip
    asked = [
        {"prompt_id": q, "text": t} for q, t in dict(zip(prompts, drawn.texts, strict=True)).items()
    ]
    tasks = [
        {"task_id": f"{aspect}-{g}", "kind": "rating", "prompt_id": q, "generation_id": g,
         "other_generation_id": None, "aspect": aspect}
        for aspect in values for g, q in zip(ids, prompts, strict=True)
    ]  # fmt: skip
    answers = answer_tasks(
        pa.Table.from_pylist(tasks, schema=TASK),
        {a: dict(zip(ids, v.tolist(), strict=True)) for a, v in values.items()},
        crew, answers_per_task=3, batch="b", start=now, rng=rng,
    )  # fmt: skip
    pointed = point_at(
        answers, dict(zip(ids, drawn.flaws, strict=True)), crew,
        films=medium.frames > 1, share=SHARE, rng=rng,
    )  # fmt: skip
    made = infer_preferences(
        None, answers, pa.Table.from_pylist(asked, schema=PROMPT), generations,
        settings=PairSettings(splits=SplitSettings(validation=0.2, heldout=0.0)),
    )  # fmt: skip
    return PointedBundle(
        table=made.pairs.table,
        pointed=critiques(pointed, rows=FILM_GRID.height, columns=FILM_GRID.width),
        drawn=drawn,
        media=dict(zip(ids, drawn.media, strict=True)),
        kind=medium.modality,
    )


def _surprise(model: Emu3Backbone, drawn: Drawn) -> list[Floats]:
    from reward_models.critiques import visual_places
    from reward_models.heat import read_places
    from reward_models.sequences import read_answers

    answers = read_answers(drawn.texts, drawn.media, model, max_length=512)
    rows = np.arange(len(drawn.media))
    places = [visual_places(answers, int(row), model.ids.visual) for row in rows]
    found = dict(read_places(model, answers, rows, places, batch_size=64))
    return [-found[i][:, -1].astype(float) for i in range(len(rows))]


def _mean_map(
    bundle: PointedBundle, aspects: Sequence[str], tokens: int, frames: int
) -> dict[str, Floats]:
    """Return by aspect how often people pointed at each token in training."""
    sums = {aspect: np.zeros((frames, tokens // frames)) for aspect in aspects}
    for critique in bundle.critiques("train"):
        for mark in critique.marks:
            first, last = mark.frames or (0, frames)
            cells = np.arange(tokens // frames) if mark.cells is None else np.array(mark.cells)
            for aspect in {critique.aspect, "overall"}:
                sums[aspect][first:last, cells] += 1.0
    return {aspect: found.ravel() for aspect, found in sums.items()}


def _mask(flaws: Sequence[Flaw], aspect: str, frames: int) -> Floats:
    """Return (tokens,) 1 where there is a flaw of *aspect*, or of any for "overall"."""
    mask = np.zeros((frames, FILM_GRID.height, FILM_GRID.width))
    for flaw in flaws:
        if aspect not in (flaw.aspect, "overall"):
            continue
        first, last = flaw.frames or (0, frames)
        x, y, width, height = flaw.box or (
            0,
            0,
            FILM_GRID.width * RASTER,
            FILM_GRID.height * RASTER,
        )
        down, across = (
            slice(y // RASTER, -(-(y + height) // RASTER)),
            slice(x // RASTER, -(-(x + width) // RASTER)),
        )
        mask[first:last, down, across] = 1.0
    return mask.ravel()


if __name__ == "__main__":
    main()
