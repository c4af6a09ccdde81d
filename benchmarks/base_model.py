"""Claim: the shipped base model draws as well as the mixture that it learned, and no better.

    python -m benchmarks.base_model [--checkpoint FOLDER] [--seed 51] [--prompts 150]

A base model is meant to be competent and undiscriminating: gains of the wheel are then no repair
of a crippled start. Pictures and films on held-out prompts of one seed, beside scenes drawn for
the same prompts by people of all degrees of care. Simulated; a minute or two.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from backbone.emu3 import Emu3Backbone
from pipelines.assets.backbone import shipped_checkpoint
from pipelines.world.medium import FILMS, PICTURES, Medium
from pipelines.world.scenes import draw_care
from pipelines.world.scoring import interval, score_policy
from pipelines.world.studio import Studio, StudioSettings

MEDIA = {"pictures": PICTURES, "films": FILMS}


def of_model(backbone: Emu3Backbone, studio: Studio, *, seed: int) -> dict[str, Any]:
    """Return what the model draws: quality, aspects, validity and diversity."""
    prompts = len(studio.heldout_texts)
    policy = backbone.of_frames(studio.medium.frames)
    score = score_policy(policy, studio, samples=2, validity_samples=4 * prompts, seed=seed)
    rng = np.random.default_rng(seed)
    return {
        "quality": interval(score.overall, rng=rng),
        "aspects": {name: float(values.mean()) for name, values in score.aspects.items()},
        "validity": interval(score.valid.astype(float), rng=rng),
        "diversity": interval(score.distances, rng=rng),
    }


def of_mixture(studio: Studio, medium: Medium, *, seed: int) -> dict[str, Any]:
    """Return the same of scenes that people of all degrees of care draw for the same prompts."""
    rng = np.random.default_rng(seed)
    texts = studio.heldout_texts
    drawn = [
        np.stack(
            [medium.draw(medium.parse(t), care=float(draw_care(1, rng=rng)[0]), rng=rng)
             for t in texts]
        )
        for _ in range(2)
    ]  # fmt: skip
    truths = [medium.truth(media, texts) for media in drawn]
    return {
        "quality": interval(np.stack([t.overall for t in truths], 1), rng=rng),
        "aspects": {
            name: float(np.mean([t.aspects[name] for t in truths])) for name in medium.aspects
        },
        "diversity": interval(medium.distance(*drawn), rng=rng),
    }


def main() -> None:
    """Measure and print as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, help="without it, the shipped one")
    parser.add_argument("--seed", type=int, default=51)
    parser.add_argument("--prompts", type=int, default=150)
    told = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    for name in track(MEDIA, description="base model", console=Console(stderr=True)):
        medium = MEDIA[name]
        settings = StudioSettings(modality=medium.modality, heldout_prompts=told.prompts)
        studio = Studio(settings, seed=told.seed)
        folder = told.checkpoint or shipped_checkpoint()
        backbone = Emu3Backbone.load(folder, device="cpu")
        found[name] = {
            "model": of_model(backbone, studio, seed=told.seed),
            "mixture": of_mixture(studio, medium, seed=told.seed),
        }
    result = {"claim": (__doc__ or "").splitlines()[0], "simulated": True, "seed": told.seed}
    json.dump(result | {"prompts": told.prompts} | found, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
