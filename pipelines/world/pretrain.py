"""Makes a tiny base checkpoint again: the picture tokenizer first, then the language model.

    python -m pipelines.world.pretrain --out FOLDER

The base model learns a mixture of good and flawed scenes to the plateau of its held-out
likelihood: competent and undiscriminating, as raw pre-trained models are. With --film-steps it
goes on with films beside pictures.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
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
from data_contracts.errors import FlywheelError
from pipelines.world.medium import FILMS, PICTURES, Media, Medium
from pipelines.world.prompts import HEADERS, every_request
from pipelines.world.scenes import draw_care

# The encoder misses some of its teacher's names (.65 % of a drawn scene), never half of them.
_ALIKE: Final = 0.5


class SceneSource:
    """An endless mixture of prompts and scenes, or films, of all degrees of care."""

    def __init__(self, seed: int, medium: Medium = PICTURES) -> None:
        self._rng = np.random.default_rng(seed)
        self._medium = medium
        self._requests = medium.requests()

    def pictures(self, count: int) -> Media:
        """Draw *count* pictures or films."""
        return self.examples(count)[1]

    def examples(self, count: int) -> tuple[list[str], Media]:
        """Draw prompts, and a picture or film for each."""
        rng, headers = self._rng, self._medium.headers
        picks = rng.integers(len(self._requests), size=count)
        heads = rng.integers(len(headers), size=count)
        cares = draw_care(count, rng=rng)
        texts = [self._requests[i].text(headers[h]) for i, h in zip(picks, heads, strict=True)]
        drawn = [
            self._medium.draw(self._requests[i], care=float(c), rng=rng)
            for i, c in zip(picks, cares, strict=True)
        ]
        return texts, np.stack(drawn)


def fresh_backbone(seed: int) -> Emu3Backbone:
    """Build an untrained tiny backbone."""
    torch.manual_seed(seed)
    texts = [request.text(header) for request in every_request() for header in HEADERS]
    tokenizer = build_tokenizer(CODEBOOK, texts)
    return Emu3Backbone(Emu3ForConditionalGeneration(tiny_config(tokenizer)), tokenizer)


def named_examples(
    source: SceneSource, count: int, teacher: Tensor, *, side: int, bar: Progress
) -> tuple[list[str], list[Codes]]:
    """Draw *count* prompts with their pictures or films, in codes as the *teacher* names them.

    The encoder learns the same names, but misses some: the model need not learn its mistakes.
    """
    task = bar.add_task("into tokens", total=count)
    texts: list[str] = []
    codes: list[Codes] = []
    while len(texts) < count:
        some, media = source.examples(min(1000, count - len(texts)))
        named = name_patches(media.reshape(-1, *media.shape[-3:]), teacher, side=side)
        grid = named[0].shape
        texts += some
        codes += list(np.stack(named).reshape(len(some), *media.shape[1:-3], *grid))
        bar.update(task, completed=len(texts))
    return texts, codes


def train_on(
    backbone: Emu3Backbone,
    examples: tuple[list[str], list[Codes]],
    *,
    steps: int,
    bar: Progress,
    learning_rate: float = 5e-3,
) -> LanguageRun:
    """Train the language model on *examples*; the last thousand measure its likelihood."""
    task = bar.add_task("language model", total=steps)

    def progress(step: int, loss: float, held_out: float | None) -> None:
        bar.update(task, completed=step + 1)
        if held_out is not None:
            bar.console.print(f"step {step}: loss {loss:.4f}, held out {held_out:.4f}")

    return train_language(
        backbone,
        *examples,
        held_out=1000,
        steps=steps,
        batch_size=32,
        learning_rate=learning_rate,
        progress=progress,
    )


def mixed(
    pictures: tuple[list[str], list[Codes]], films: tuple[list[str], list[Codes]], seed: int
) -> tuple[list[str], list[Codes]]:
    """Shuffle pictures and films together, so that both are held out."""
    texts, codes = pictures[0] + films[0], pictures[1] + films[1]
    order = np.random.default_rng(seed).permutation(len(texts))
    return [texts[i] for i in order], [codes[i] for i in order]


def main(arguments: Sequence[str] | None = None) -> None:
    """Train from nothing, or from a checkpoint's first stage, and write the checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0, help="of weights and of the patches' names")
    parser.add_argument("--scenes-seed", type=int, help="of what is drawn; without it, --seed")
    parser.add_argument("--tokenizer-steps", type=int, default=2400)
    parser.add_argument("--language-steps", type=int, default=4500)
    parser.add_argument("--scenes", type=int, default=145_000)
    parser.add_argument("--film-steps", type=int, default=0, help="of pictures and films; 0: none")
    parser.add_argument("--films", type=int, default=60_000)
    parser.add_argument("--film-scenes", type=int, default=40_000, help="pictures beside the films")
    parser.add_argument("--tokenizer-from", type=Path, help="keep the tokenizer of this checkpoint")
    parser.add_argument("--language-from", type=Path, help="go on from this checkpoint")
    told = parser.parse_args(arguments)
    drawn = told.seed if told.scenes_seed is None else told.scenes_seed
    torch.set_num_threads(1)  # the same sums in the same order, on every machine
    curves: dict[str, LanguageRun] = {}
    with Progress() as bar:
        backbone = fresh_backbone(told.seed)
        net = backbone.model.model.vqmodel
        side = net.spatial_scale_factor
        source = SceneSource(told.seed)
        teacher = frequent_patches(source.pictures, side=side, count=CODEBOOK)
        if told.language_from:
            backbone = Emu3Backbone.load(told.language_from, device="cpu")
            require_same_names(backbone, source.pictures(200), teacher)
        else:
            _train_tokenizer(backbone, source, teacher, told, bar)
            scenes = named_examples(
                SceneSource(drawn + 1), told.scenes, teacher, side=side, bar=bar
            )
            curves["pictures"] = train_on(backbone, scenes, steps=told.language_steps, bar=bar)
        if told.film_steps:
            both = mixed(
                named_examples(
                    SceneSource(drawn + 2), told.film_scenes, teacher, side=side, bar=bar
                ),
                named_examples(
                    SceneSource(drawn + 3, FILMS), told.films, teacher, side=side, bar=bar
                ),
                told.seed,
            )
            curves["pictures_and_films"] = train_on(backbone, both, steps=told.film_steps, bar=bar)
    before = _stages_of(told.language_from)
    backbone.save(told.out)
    stages = before + [
        {
            "stage": name,
            "held_out": run.held_out,
            "train": run.train[:: max(len(run.train) // 200, 1)],
        }
        for name, run in curves.items()
    ]
    (told.out / "pretraining.json").write_text(json.dumps(stages) + "\n", "utf-8")


def _stages_of(folder: Path | None) -> list[dict[str, Any]]:
    """Return the curves of the stages that a checkpoint went through."""
    file = folder / "pretraining.json" if folder else None
    return json.loads(file.read_text("utf-8")) if file and file.is_file() else []


def require_same_names(backbone: Emu3Backbone, pictures: Media, teacher: Tensor) -> None:
    """Refuse a teacher whose names for patches are not those of the checkpoint.

    Raises:
        FlywheelError: they differ; a model that went on would unlearn what it can.
    """
    side = backbone.model.model.vqmodel.spatial_scale_factor
    pairs = zip(
        backbone.tokenise(pictures), name_patches(pictures, teacher, side=side), strict=True
    )
    alike = float(np.mean([np.mean(ours == theirs) for ours, theirs in pairs]))
    if alike < _ALIKE:
        raise FlywheelError(
            f"the checkpoint names {alike:.0%} of the patches as --seed does; "
            "give the --seed that it was made with"
        )


def _train_tokenizer(
    backbone: Emu3Backbone,
    source: SceneSource,
    teacher: Tensor,
    told: argparse.Namespace,
    bar: Progress,
) -> None:
    if told.tokenizer_from:
        trained = Emu3Backbone.load(told.tokenizer_from, device="cpu")
        backbone.model.model.vqmodel.load_state_dict(trained.model.model.vqmodel.state_dict())
        return
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


if __name__ == "__main__":
    main()
