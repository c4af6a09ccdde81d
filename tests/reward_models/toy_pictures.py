"""A toy studio for training tests: one small random backbone, and plain coloured pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from transformers import Emu3ForConditionalGeneration

from backbone.architecture import tiny_config
from backbone.emu3 import Emu3Backbone
from backbone.pictures import stack_pngs, write_png
from backbone.tokens import Grid, build_tokenizer
from data_contracts.conditioning import Skill
from data_contracts.ids import Digest, GenerationId, PairId, PromptId, SnapshotId
from data_contracts.training import TrainingPair

SIDE = 8  # pixels: 2 x 2 picture tokens
COLOURS = {"red": (230, 30, 30), "blue": (30, 30, 230)}


def small_backbone() -> Emu3Backbone:
    torch.set_num_threads(1)
    tokenizer = build_tokenizer(32)
    config = tiny_config(tokenizer, codebook_size=32)
    text = config.text_config
    text.hidden_size, text.intermediate_size, text.num_hidden_layers = 32, 64, 2
    text.head_dim = 8
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Emu3ForConditionalGeneration(config)
    backbone = Emu3Backbone(model, tokenizer, grid=Grid(height=2, width=2))
    spread_codebook(backbone)
    return backbone


def spread_codebook(backbone: Emu3Backbone) -> None:
    """Put codebook entries where pictures fall: a random codebook gives all the same token."""
    pictures = stack_pngs([picture(c, seed=900 + i) for c in COLOURS for i in range(8)])
    values = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1.0
    with torch.inference_mode():
        states = backbone.codec.encode(values).flatten(0, -2).clone()
    codebook = backbone.model.model.vqmodel.quantize.embedding.weight
    rows = torch.linspace(0, len(states) - 1, len(codebook)).long()
    codebook.data.copy_(states[rows])


def picture(colour: str, seed: int) -> bytes:
    """Return a picture of one colour with a little noise."""
    noise = np.random.default_rng(seed).integers(-20, 21, (SIDE, SIDE, 3))
    return write_png((np.array(COLOURS[colour]) + noise).clip(0, 255).astype(np.uint8))


def pair(number: int, **changes: object) -> TrainingPair:
    values: dict[str, object] = {
        "pair_id": PairId(f"pair{number}"),
        "prompt_id": PromptId(f"p{number}"),
        "chosen_id": GenerationId(f"red{number}"),
        "rejected_id": GenerationId(f"blue{number}"),
        "aspect": "overall",
        "target": 1.0,
        "weight": 1.0,
    }
    return TrainingPair(**{**values, **changes})  # type: ignore[arg-type]  # a test's shorthand


@dataclass(frozen=True, kw_only=True)
class ToyBundle:
    """A `TrainingBundle` in memory."""

    train: Sequence[TrainingPair]
    validation: Sequence[TrainingPair] = ()
    texts: dict[str, str] = field(default_factory=dict)  # text answers by generation id
    modalities: dict[str, str] = field(default_factory=dict)  # where not what it seems
    skills: dict[str, Skill] = field(default_factory=dict)  # by generation id

    @property
    def snapshot_id(self) -> SnapshotId:
        return SnapshotId("toy")

    @property
    def digest(self) -> Digest:
        return Digest("d" * 64)

    def pairs(self, split: str) -> Sequence[TrainingPair]:
        return {"train": self.train, "validation": self.validation}[split]

    def prompt_text(self, prompt_id: PromptId) -> str:
        return f"a disc {prompt_id}"

    def skill(self, generation_id: GenerationId) -> Skill | None:
        return self.skills.get(generation_id)

    def modality(self, generation_id: GenerationId) -> str:
        seems = "text" if generation_id in self.texts else "image"
        return self.modalities.get(generation_id, seems)

    def content(self, generation_id: GenerationId) -> bytes:
        if generation_id in self.texts:
            return self.texts[generation_id].encode()
        colour = generation_id.rstrip("0123456789")
        return picture(colour, seed=int(generation_id[len(colour) :]))


def red_beats_blue(count: int = 8, held_back: int = 8) -> ToyBundle:
    return ToyBundle(
        train=[pair(i) for i in range(count)],
        validation=[pair(100 + i) for i in range(held_back)],
    )
