"""What a trained model of aspects is worth on validation pairs: calibration, report, biases."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from backbone.emu3 import Emu3Backbone
from data_contracts.training import TrainingBundle
from reward_models.aspect_calibration import AspectCalibration, fit_aspect_calibration
from reward_models.aspect_pairs import aspect_rows
from reward_models.aspect_report import AspectFigures, JudgedPairs, aspect_figures
from reward_models.aspect_scorer import raw_judgements
from reward_models.bias_report import Bias, bias_figures
from reward_models.config import AspectConfig
from reward_models.critiques import visual_places
from reward_models.preferences import FloatArray
from reward_models.sequences import IntArray, Sequences


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """By aspect: its calibration, and of those with validation pairs what was measured."""

    calibrations: dict[str, AspectCalibration]
    report: dict[str, AspectFigures]
    bias: dict[str, dict[str, Bias]]


def validated(
    bundle: TrainingBundle,
    trained: Emu3Backbone,
    sequences: Sequences,
    aspects: tuple[str, ...],
    config: AspectConfig,
    *,
    asked: Collection[str] = (),
) -> Validated:
    """Measure a trained model on validation pairs; aspects without any keep the model's width.

    Args:
        bundle: whose validation split it is.
        trained: a backbone whose model is a trained `Emu3AspectModel`.
        sequences: that split, as read.
        aspects: those of the model.
        config: how.
        asked: prompts beside which information is measured.

    Raises:
        FlywheelError: bad pairs.
    """
    widths = dict(zip(aspects, trained.model.widths.tolist(), strict=True))
    calibrations = {name: AspectCalibration(width=width) for name, width in widths.items()}
    judged = {p.aspect for p in bundle.pairs("validation") if p.weight > 0} & set(aspects)
    if not judged:
        return Validated(calibrations=calibrations, report={}, bias={})
    rows = aspect_rows(bundle, sequences, split="validation", aspects=aspects)
    used, place = np.unique(np.stack([rows.chosen, rows.rejected]), return_inverse=True)
    place = place.reshape(2, -1)
    mean, _, nats = raw_judgements(
        trained, sequences, used, aspects=len(aspects), asked=tuple(asked),
        batch_size=config.score_batch_size,
    )  # fmt: skip
    tokens = np.log(sequences.completion_lengths(used).astype(float))
    halves = _halves(rows.prompts)
    motion = _motion(trained, sequences, used)
    report, bias = {}, {}
    for k, name in enumerate(aspects):
        mine = rows.aspect == k
        if not mine.any():
            continue
        sides, where = place[:, mine], halves[mine]
        pairs = JudgedPairs(
            # A scorer's users see means alone, so these are what is calibrated.
            margin=mean[sides[0], k] - mean[sides[1], k],
            longer=tokens[sides[0]] - tokens[sides[1]],
            masses=rows.masses[mine],
            weight=rows.weight[mine],
            prompts=np.array(rows.prompts)[mine],
            skills=np.array(rows.skills)[mine],
            informed=nats[sides[0]] - nats[sides[1]],
        )
        centre = float(mean[:, k].mean())
        fitted = [_fit(pairs.only(where == half), centre, widths[name]) for half in (0, 1)]
        # Each half is judged by what the other one taught.
        report[name] = aspect_figures(
            pairs, calibrated=(fitted[1], fitted[0]), half=where,
            rng=np.random.default_rng(config.seed), resamples=config.resamples,
        )  # fmt: skip
        calibrations[name] = _fit(pairs, centre, widths[name])
        decided = pairs.masses[:, 0] > 0.5
        if decided.any():
            lead = pairs.lead(calibrations[name])
            more = {"length": pairs.longer, "motion": motion[sides[0]] - motion[sides[1]]}
            bias[name] = bias_figures(
                lead[decided], {of: each[decided] for of, each in more.items()},
                prompts=pairs.prompts[decided].tolist(), rng=np.random.default_rng(config.seed),
                resamples=config.resamples,
            )  # fmt: skip
    return Validated(calibrations=calibrations, report=report, bias=bias)


def _motion(trained: Emu3Backbone, sequences: Sequences, rows: IntArray) -> FloatArray:
    places = [visual_places(sequences, int(row), trained.ids.visual) for row in rows]
    return motions(sequences, rows, places, trained.grid.height * trained.grid.width)


def _fit(pairs: JudgedPairs, centre: float, width: float) -> AspectCalibration:
    return fit_aspect_calibration(
        pairs.margin, pairs.longer, pairs.masses, pairs.weight,
        informed=pairs.informed, centre=centre, width=width,
    )  # fmt: skip


def _halves(prompts: tuple[str, ...]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Put every other prompt into the other half."""
    _, number = np.unique(np.array(prompts), return_inverse=True)
    return (number % 2).astype(np.int64)


def motions(sequences: Sequences, rows: IntArray, places: list[IntArray], cells: int) -> FloatArray:
    """Return (k,) how much films move: the share of visual tokens that change from frame to frame.

    0 of a picture and of a text.

    Args:
        sequences: answers.
        rows: (k,) of them.
        places: by row, where the visual tokens stand.
        cells: visual tokens of one frame.
    """
    found = np.zeros(len(rows))
    for i, (row, where) in enumerate(zip(rows, places, strict=True)):
        frames = sequences.tokens[sequences.starts[row] + where]
        if len(frames) >= 2 * cells and len(frames) % cells == 0:
            shown = frames.reshape(-1, cells)
            found[i] = (shown[1:] != shown[:-1]).mean()
    return found
