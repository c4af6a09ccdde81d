"""A trained reward model as a `Scorer`, with the calibration that gives its numbers a meaning."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from backbone.emu3 import Emu3Backbone
from backbone.tokens import Grid
from data_contracts.errors import FlywheelError
from reward_models.calibration import Calibration
from reward_models.checkpoint import load_checkpoint
from reward_models.model import Emu3RewardModel
from reward_models.preferences import FloatArray
from reward_models.sequences import IntArray, Sequences, read_answers

_CARD: Final = "scorer.json"


class ScorerCard(BaseModel):
    """What a scorer is besides its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    max_length: int
    batch_size: int
    grid_height: int
    grid_width: int
    calibration: Calibration


class RewardScorer:
    """Scores answers on one fixed scale; implements `data_contracts.training.Scorer`.

    The same prompts and contents give the same scores.
    """

    def __init__(
        self,
        backbone: Emu3Backbone,
        *,
        name: str,
        max_length: int,
        batch_size: int = 64,
        calibration: Calibration | None = None,
    ) -> None:
        self.backbone = backbone
        self.name = name
        self.max_length = max_length
        self.batch_size = batch_size
        self.calibration = calibration or Calibration()

    @classmethod
    def load(cls, folder: Path, *, device: str | None = None) -> "RewardScorer":
        """Load what `save` wrote.

        Raises:
            FlywheelError: *folder* is not a saved scorer.
        """
        try:
            card = ScorerCard.model_validate_json((folder / _CARD).read_bytes())
        except (OSError, ValidationError) as error:
            raise FlywheelError(
                f"{folder.name}: no readable {_CARD} ({type(error).__name__}); "
                "give a folder saved by a reward model's training"
            ) from error
        backbone = load_checkpoint(Emu3RewardModel, folder, called="a reward model", device=device)
        backbone.grid = Grid(height=card.grid_height, width=card.grid_width)
        return cls(
            backbone,
            name=card.name,
            max_length=card.max_length,
            batch_size=card.batch_size,
            calibration=card.calibration,
        )

    def save(self, folder: Path) -> None:
        """Write weights, tokenizer and calibration into *folder*."""
        self.backbone.save(folder)
        card = ScorerCard(
            name=self.name,
            max_length=self.max_length,
            batch_size=self.batch_size,
            grid_height=self.backbone.grid.height,
            grid_width=self.backbone.grid.width,
            calibration=self.calibration,
        )
        text = json.dumps(card.model_dump(), indent=2, sort_keys=True)
        (folder / _CARD).write_text(text + "\n", encoding="utf-8")

    def score(self, prompts: Sequence[str], contents: Sequence[bytes]) -> list[float]:
        """Score *contents[i]* (PNG or UTF-8 text) as an answer to *prompts[i]*, in log-odds.

        Raises:
            FlywheelError: media that cannot be read.
            ShapeError: *prompts* and *contents* differ in length.
        """
        answers = read_answers(prompts, contents, self.backbone, max_length=self.max_length)
        if not contents:
            return []
        raw = raw_scores(
            self.backbone, answers, np.arange(len(contents)), batch_size=self.batch_size
        )
        scores: list[float] = self.calibration.scores(raw).tolist()
        return scores


@torch.inference_mode()
def raw_scores(
    backbone: Emu3Backbone, sequences: Sequences, rows: IntArray, *, batch_size: int
) -> FloatArray:
    """Return (k,) uncalibrated scores of *rows*, batched by length so that little is padded."""
    scores = np.empty(len(rows))
    order = np.argsort(sequences.lengths(rows), kind="stable")
    for start in range(0, len(rows), batch_size):
        part = order[start : start + batch_size]
        ids, _ = sequences.padded(rows[part])
        real = torch.arange(ids.shape[1]) < torch.from_numpy(sequences.lengths(rows[part]))[:, None]
        out = backbone.model(
            input_ids=ids.to(backbone.device), attention_mask=real.long().to(backbone.device)
        )
        scores[part] = out.logits[:, 0].double().cpu().numpy()
    return scores
