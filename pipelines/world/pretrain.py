"""Makes the tiny base checkpoint again: the picture tokenizer first, then the language model.

    python -m pipelines.world.pretrain --out FOLDER

The base model learns a mixture of good and flawed scenes to the plateau of its held-out
likelihood: competent and undiscriminating, as raw pre-trained models are.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import Progress
from torch import Tensor
from transformers import Emu3ForConditionalGeneration

from backbone.architecture import CODEBOOK, tiny_config
from backbone.emu3 import Emu3Backbone
from backbone.protocol import Codes
from backbone.tokens import build_tokenizer
from backbone.train_language import LanguageRun, train_language
from backbone.train_tokenizer import frequent_patches, name_patches, train_tokenizer
from pipelines.world.prompts import HEADERS, every_request
from pipelines.world.scenes import draw_care, draw_scene

Pixels = npt.NDArray[np.uint8]


class SceneSource:
    """An endless mixture of prompts and scenes of all degrees of care."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._requests = every_request()

    def pictures(self, count: int) -> Pixels:
        """Draw (count, 32, 32, 3) pictures."""
        return self.examples(count)[1]

    def examples(self, count: int) -> tuple[list[str], Pixels]:
        """Draw prompts, and a picture for each."""
        rng = self._rng
        picks = rng.integers(len(self._requests), size=count)
        heads = rng.integers(len(HEADERS), size=count)
        cares = draw_care(count, rng=rng)
        texts = [self._requests[i].text(HEADERS[h]) for i, h in zip(picks, heads, strict=True)]
        pictures = [
            draw_scene(self._requests[i], care=float(c), rng=rng)
            for i, c in zip(picks, cares, strict=True)
        ]
        return texts, np.stack(pictures)


def fresh_backbone(seed: int) -> Emu3Backbone:
    """Build an untrained tiny backbone."""
    torch.manual_seed(seed)
    texts = [request.text(header) for request in every_request() for header in HEADERS]
    tokenizer = build_tokenizer(CODEBOOK, texts)
    return Emu3Backbone(Emu3ForConditionalGeneration(tiny_config(tokenizer)), tokenizer)


def train_language_on_scenes(
    backbone: Emu3Backbone,
    source: SceneSource,
    teacher: Tensor,
    *,
    scenes: int,
    steps: int,
    bar: Progress,
) -> LanguageRun:
    """Train the language model on scenes as the *teacher* names them.

    The encoder learns the same names, but misses some: the model need not learn its mistakes.
    """
    side = backbone.model.model.vqmodel.spatial_scale_factor
    drawing = bar.add_task("scenes into tokens", total=scenes)
    texts: list[str] = []
    codes: list[Codes] = []
    while len(texts) < scenes:
        some, pictures = source.examples(min(1000, scenes - len(texts)))
        texts += some
        codes += name_patches(pictures, teacher, side=side)
        bar.update(drawing, completed=len(texts))
    task = bar.add_task("language model", total=steps)

    def progress(step: int, loss: float, held_out: float | None) -> None:
        bar.update(task, completed=step + 1)
        if held_out is not None:
            bar.console.print(f"step {step}: loss {loss:.4f}, held out {held_out:.4f}")

    return train_language(
        backbone, texts, codes, held_out=1000, steps=steps, batch_size=32, progress=progress
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Train from nothing and write the checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tokenizer-steps", type=int, default=2400)
    parser.add_argument("--language-steps", type=int, default=4500)
    parser.add_argument("--scenes", type=int, default=145_000)
    parser.add_argument("--tokenizer-from", type=Path, help="keep the tokenizer of this checkpoint")
    told = parser.parse_args(arguments)
    torch.set_num_threads(1)  # the same sums in the same order, on every machine
    source = SceneSource(told.seed)
    with Progress() as bar:
        backbone = fresh_backbone(told.seed)
        net = backbone.model.model.vqmodel
        teacher = frequent_patches(source.pictures, side=net.spatial_scale_factor, count=CODEBOOK)
        if told.tokenizer_from:
            trained = Emu3Backbone.load(told.tokenizer_from, device="cpu")
            net.load_state_dict(trained.model.model.vqmodel.state_dict())
        else:
            task = bar.add_task("picture tokenizer", total=told.tokenizer_steps)
            train_tokenizer(
                backbone.model,
                source.pictures,
                teacher=teacher,
                steps=told.tokenizer_steps,
                seed=told.seed,
                progress=lambda step, _: bar.update(task, completed=step + 1),
            )
            backbone.save(told.out)
        run = train_language_on_scenes(
            backbone,
            SceneSource(told.seed + 1),
            teacher,
            scenes=told.scenes,
            steps=told.language_steps,
            bar=bar,
        )
    backbone.save(told.out)
    curve = {"held_out": run.held_out, "train": run.train[:: max(len(run.train) // 200, 1)]}
    (told.out / "pretraining.json").write_text(json.dumps(curve) + "\n", "utf-8")


if __name__ == "__main__":
    main()
