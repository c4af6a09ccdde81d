"""A trained model of aspects as a `Scorer` and `AspectScorer`, with its calibration."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from backbone.emu3 import Emu3Backbone
from backbone.tokens import Grid
from data_contracts.errors import FlywheelError
from reward_models.aspect_calibration import AspectCalibration
from reward_models.aspect_model import Emu3AspectModel
from reward_models.checkpoint import load_checkpoint
from reward_models.critiques import map_shape, visual_places
from reward_models.ensemble import EnsembleCard, EnsembleScorer
from reward_models.heat import HeatHead, read_places
from reward_models.information import information
from reward_models.preferences import FloatArray
from reward_models.scorer import RewardScorer
from reward_models.sequences import IntArray, Sequences, read_answers

_CARD: Final = "aspects.json"
OVERALL: Final = "overall"


class AspectCard(BaseModel):
    """What a scorer of aspects is besides its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    aspects: tuple[str, ...]
    max_length: int
    batch_size: int
    grid_height: int
    grid_width: int
    calibrations: dict[str, AspectCalibration]
    asked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a model says of n answers in one aspect, in log-odds."""

    mean: FloatArray  # (n,)
    deviation: FloatArray  # (n,) how unsure the model itself is, above 0


class AspectRewardScorer:
    """Scores answers aspect by aspect, each on one fixed scale.

    Implements `data_contracts.training.Scorer` (its score is that of "overall", or the mean over
    all aspects where people were not asked for it), `AspectScorer` and `HeatScorer`. The same
    prompts and contents give the same scores.
    """

    def __init__(
        self,
        backbone: Emu3Backbone,
        *,
        name: str,
        aspects: tuple[str, ...],
        max_length: int,
        batch_size: int = 64,
        calibrations: Mapping[str, AspectCalibration] | None = None,
        heat: HeatHead | None = None,
        asked: tuple[str, ...] = (),
    ) -> None:
        self.backbone = backbone
        self.name = name
        self.aspects = aspects
        self.max_length = max_length
        self.batch_size = batch_size
        self.calibrations = {a: AspectCalibration() for a in aspects} | dict(calibrations or {})
        self.heat = heat
        self.asked = asked  # prompts that the model wrote, beside which information is measured

    @classmethod
    def load(cls, folder: Path, *, device: str | None = None) -> "AspectRewardScorer":
        """Load what `save` wrote.

        Raises:
            FlywheelError: *folder* is not a saved scorer of aspects.
        """
        try:
            card = AspectCard.model_validate_json((folder / _CARD).read_bytes())
        except (OSError, ValidationError) as error:
            raise FlywheelError(
                f"{folder.name}: no readable {_CARD} ({type(error).__name__}); "
                "give a folder saved by the training of a reward model of aspects"
            ) from error
        backbone = load_checkpoint(
            Emu3AspectModel, folder, called="a reward model of aspects", device=device
        )
        backbone.grid = Grid(height=card.grid_height, width=card.grid_width)
        return cls(
            backbone,
            name=card.name,
            aspects=card.aspects,
            max_length=card.max_length,
            batch_size=card.batch_size,
            calibrations=card.calibrations,
            heat=HeatHead.load(folder),
            asked=card.asked,
        )

    def save(self, folder: Path) -> None:
        """Write weights, tokenizer and calibrations into *folder*."""
        self.backbone.save(folder)
        card = AspectCard(
            name=self.name,
            aspects=self.aspects,
            max_length=self.max_length,
            batch_size=self.batch_size,
            grid_height=self.backbone.grid.height,
            grid_width=self.backbone.grid.width,
            calibrations=self.calibrations,
            asked=self.asked,
        )
        text = json.dumps(card.model_dump(), indent=2, sort_keys=True)
        (folder / _CARD).write_text(text + "\n", encoding="utf-8")
        if self.heat is not None:
            self.heat.save(folder)

    def judge(self, prompts: Sequence[str], contents: Sequence[bytes]) -> dict[str, Judgement]:
        """Judge *contents[i]* (PNG or UTF-8 text) as an answer to *prompts[i]*, by aspect.

        Raises:
            FlywheelError: media that cannot be read.
            ShapeError: *prompts* and *contents* differ in length.
        """
        answers = read_answers(prompts, contents, self.backbone, max_length=self.max_length)
        rows = np.arange(len(contents))
        counts = any(self.calibrations[aspect].information for aspect in self.aspects)
        mean, deviation, nats = raw_judgements(
            self.backbone, answers, rows, aspects=len(self.aspects), batch_size=self.batch_size,
            asked=self.asked if counts else (),
        )  # fmt: skip
        tokens = answers.completion_lengths(rows).astype(float)
        return {
            aspect: Judgement(
                mean=self.calibrations[aspect].scores(mean[:, k], tokens, nats),
                deviation=self.calibrations[aspect].slope * deviation[:, k],
            )
            for k, aspect in enumerate(self.aspects)
        }

    def score_aspects(
        self, prompts: Sequence[str], contents: Sequence[bytes]
    ) -> dict[str, list[float]]:
        """Return scores by aspect, "overall" among them; raises as `judge` does."""
        found = {name: said.mean for name, said in self.judge(prompts, contents).items()}
        if OVERALL not in found:
            found[OVERALL] = np.mean(list(found.values()), axis=0)
        return {name: scores.tolist() for name, scores in found.items()}

    def score(self, prompts: Sequence[str], contents: Sequence[bytes]) -> list[float]:
        """Return scores of "overall"; raises as `judge` does."""
        return self.score_aspects(prompts, contents)[OVERALL]

    @property
    def heat_aspects(self) -> tuple[str, ...]:
        """Return the aspects that there are heat maps of, "overall" among them; none: no maps."""
        return self.heat.aspects if self.heat is not None else ()

    def heat_maps(
        self, prompts: Sequence[str], contents: Sequence[bytes]
    ) -> dict[str, list[FloatArray]]:
        """Return by aspect where each of *contents* is bad: chances over its visual tokens.

        (rows, columns) of a picture, (frames, rows, columns) of a film, (0, columns) of a text.
        A value is the chance that somebody who points because of the aspect points there; how bad
        the whole is, the scores say.

        Raises:
            FlywheelError: media that cannot be read, or nobody pointed when the model was trained.
            ShapeError: *prompts* and *contents* differ in length.
        """
        if self.heat is None:
            raise FlywheelError(
                f"{self.name}: it has no heat maps, for it was trained without critiques; train a "
                "reward model of aspects on a turn whose annotators pointed at what is wrong"
            )
        answers = read_answers(prompts, contents, self.backbone, max_length=self.max_length)
        rows, visual = np.arange(len(contents)), self.backbone.ids.visual
        places = [visual_places(answers, int(row), visual) for row in rows]
        read = read_places(self.backbone, answers, rows, places, batch_size=self.batch_size)
        found = {i: self.heat.chances(known) for i, known in read}
        shapes = [map_shape(len(each), self.backbone.grid) for each in places]
        return {
            aspect: [found[i][aspect].reshape(shape) for i, shape in enumerate(shapes)]
            for aspect in self.heat.aspects
        }


def load_scorer(
    folder: Path, *, device: str | None = None
) -> AspectRewardScorer | RewardScorer | EnsembleScorer:
    """Load whichever reward model was saved in *folder*, or several that are asked together.

    Raises:
        FlywheelError: none was, or a member is missing.
    """
    if not (folder / _CARD).is_file():
        return RewardScorer.load(folder, device=device)
    first, card = AspectRewardScorer.load(folder, device=device), EnsembleCard.read(folder)
    if card is None:
        return first
    others = [AspectRewardScorer.load(folder / name, device=device) for name in card.others]
    return EnsembleScorer([first, *others], doubt=card.lower_bound)


class RawJudgements(NamedTuple):
    """What a model says of k answers before any calibration."""

    mean: FloatArray  # (k, a)
    deviation: FloatArray  # (k, a)
    information: FloatArray  # (k,) nats


@torch.inference_mode()
def raw_judgements(
    backbone: Emu3Backbone,
    sequences: Sequences,
    rows: IntArray,
    *,
    aspects: int,
    batch_size: int,
    asked: Sequence[str] = (),
) -> RawJudgements:
    """Judge *rows*, batched by length; information is 0 where nothing else is *asked*."""
    means, deviations = np.empty((len(rows), aspects)), np.empty((len(rows), aspects))
    likely = np.empty(len(rows))
    order = np.argsort(sequences.lengths(rows), kind="stable")
    for start in range(0, len(rows), batch_size):
        part = order[start : start + batch_size]
        batch = {k: v.to(backbone.device) for k, v in answer_batch(sequences, rows[part]).items()}
        out = backbone.model(**batch)
        means[part] = out.mean.double().cpu().numpy()
        deviations[part] = out.log_sigma.exp().double().cpu().numpy()
        likely[part] = out.likelihood.double().cpu().numpy()
    nats = information(
        backbone, sequences, rows, likely * sequences.completion_lengths(rows),
        asked=asked, batch_size=batch_size,
    )  # fmt: skip
    return RawJudgements(means, deviations, nats)


def answer_batch(sequences: Sequences, rows: IntArray) -> dict[str, torch.Tensor]:
    """Return what the model reads of *rows*: ids, what is padding, where the answers are."""
    ids, completion = sequences.padded(rows)
    lengths = torch.from_numpy(sequences.lengths(rows))
    return {
        "input_ids": ids,
        "attention_mask": (torch.arange(ids.shape[1]) < lengths[:, None]).long(),
        "completion": completion,
    }
