"""Learns the heat head of a trained reward model of aspects; the model itself stays as it is."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from backbone.emu3 import Emu3Backbone
from backbone.tokens import Grid
from data_contracts.training import TrainingBundle
from reward_models.config import AspectConfig
from reward_models.critiques import OVERALL, Pointed, map_shape, pointed_answers
from reward_models.heat import Floats32, HeatHead, fit_heat, parts_tokens, read_places
from reward_models.heat_report import EXAMPLES, HeatExample, HeatFigures, heat_figures
from reward_models.preferences import FloatArray
from reward_models.sequences import Sequences

LEAST: Final = 8  # answers that people pointed in; of fewer no map is learned
_VALUES: Final = 2**26  # of what is known of tokens, held at a time: 256 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatRun:
    """A heat head, what it learned from, and how well it does on validation prompts."""

    head: HeatHead
    answers: int  # that it learned from
    critiques: tuple[str, ...]  # ids of those
    report: dict[str, HeatFigures]  # aspects that people pointed for on validation prompts
    examples: tuple[HeatExample, ...]


def learn_heat(
    bundle: TrainingBundle, trained: Emu3Backbone, sequences: Sequences, config: AspectConfig
) -> tuple[HeatRun | None, tuple[str, ...]]:
    """Fit where people pointed in answers to training prompts; report on validation prompts.

    Args:
        bundle: one with critiques, or any other.
        trained: a backbone whose model is a trained `Emu3AspectModel`.
        sequences: the bundle's training and validation splits.
        config: how.

    Returns:
        None where people pointed in too few answers (`LEAST`), or everywhere whatever for. Beside
        it the aspects because of which they pointed everywhere: these say nothing of where it is
        bad, and have no map.

    Raises:
        FlywheelError: a critique does not fit its generation.
    """
    rng = np.random.default_rng([config.seed, 1])
    told = pointed_answers(bundle, sequences, split="train", backbone=trained)
    if len(told) > config.heat_answers:
        kept = rng.choice(len(told), config.heat_answers, replace=False)
        told = [told[i] for i in np.sort(kept)]
    aspects = [a for a in _aspects(told) if sum(a in each.shares for each in told) >= LEAST]
    if OVERALL not in aspects:
        return None, ()
    known, shares = _tokens(told, aspects, trained, sequences, config, rng)
    fitted = {aspect: share for aspect, share in shares.items() if parts_tokens(share)}
    everywhere = tuple(aspect for aspect in aspects if aspect not in fitted)
    if OVERALL not in fitted:
        return None, everywhere
    head = fit_heat(known, fitted)
    report, examples = _validated(bundle, head, told, trained, sequences, config)
    run = HeatRun(
        head=head,
        answers=len(told),
        critiques=tuple(sorted(name for each in told for name in each.critiques)),
        report=report,
        examples=examples,
    )
    return run, everywhere


def _aspects(told: Sequence[Pointed]) -> list[str]:
    """Return the aspects that people pointed for; "overall" comes last."""
    found = {aspect for each in told for aspect in each.shares}
    return sorted(found, key=lambda aspect: (aspect == OVERALL, aspect))


def _tokens(
    told: Sequence[Pointed],
    aspects: Sequence[str],
    trained: Emu3Backbone,
    sequences: Sequences,
    config: AspectConfig,
    rng: np.random.Generator,
) -> tuple[Floats32, dict[str, FloatArray]]:
    """Return what is known of tokens, and by aspect the share of people who pointed at them."""
    known: list[Floats32] = []
    shares: dict[str, list[FloatArray]] = defaultdict(list)
    total = sum(len(each.places) for each in told)
    for i, found in _read(told, trained, sequences, config):
        # Of large pictures some tokens, drawn by lot, so that memory stays bounded.
        share = min(1.0, _VALUES / (total * found.shape[1]))
        kept = np.flatnonzero(rng.random(len(found)) < share)
        known.append(found[kept])
        for aspect in aspects:
            pointed = told[i].shares.get(aspect, np.full(len(found), np.nan))
            shares[aspect].append(pointed[kept])
    return np.concatenate(known), {n: np.concatenate(each) for n, each in shares.items()}


def _read(
    told: Sequence[Pointed], trained: Emu3Backbone, sequences: Sequences, config: AspectConfig
) -> Iterator[tuple[int, Floats32]]:
    return read_places(
        trained,
        sequences,
        np.array([each.row for each in told], np.int64),
        [each.places for each in told],
        batch_size=config.score_batch_size,
    )


def _validated(
    bundle: TrainingBundle,
    head: HeatHead,
    told: Sequence[Pointed],
    trained: Emu3Backbone,
    sequences: Sequences,
    config: AspectConfig,
) -> tuple[dict[str, HeatFigures], tuple[HeatExample, ...]]:
    unseen = pointed_answers(bundle, sequences, split="validation", backbone=trained)
    if not unseen:
        return {}, ()
    rng = np.random.default_rng([config.seed, 2])
    heat: dict[int, Mapping[str, FloatArray]] = {}
    surprise: dict[int, FloatArray] = {}
    for i, known in _read(unseen, trained, sequences, config):
        heat[i], surprise[i] = head.chances(known), -known[:, -1].astype(np.float64)
    report: dict[str, HeatFigures] = {}
    for aspect in head.aspects:
        here = [i for i, each in enumerate(unseen) if aspect in each.shares]
        usual = _mean_maps(told, aspect)
        found = heat_figures(
            [heat[i][aspect] for i in here],
            [usual.get(len(unseen[i].places), np.zeros(len(unseen[i].places))) for i in here],
            [surprise[i] for i in here],
            [unseen[i].shares[aspect] for i in here],
            rng=rng, resamples=config.resamples,
        )  # fmt: skip
        if found is not None:
            report[aspect] = found
    return report, _examples(unseen, heat, head.aspects, trained.grid)


def _mean_maps(told: Sequence[Pointed], aspect: str) -> dict[int, FloatArray]:
    """Return by number of visual tokens where people pointed on average."""
    by_size: dict[int, list[FloatArray]] = defaultdict(list)
    for each in told:
        if aspect in each.shares:
            by_size[len(each.places)].append(each.shares[aspect])
    return {size: np.mean(maps, axis=0) for size, maps in by_size.items()}


def _examples(
    unseen: Sequence[Pointed],
    heat: Mapping[int, Mapping[str, FloatArray]],
    aspects: Sequence[str],
    grid: Grid,
) -> tuple[HeatExample, ...]:
    """Return the first answers by id: ids are drawn at random, so nobody chose them."""
    return tuple(
        HeatExample(
            generation_id=each.generation_id,
            aspect=aspect,
            shape=map_shape(len(each.places), grid),
            heat=tuple(heat[i][aspect].round(4).tolist()),
            pointed=tuple(each.shares[aspect].round(4).tolist()),
        )
        for i, each in enumerate(unseen[:EXAMPLES])
        for aspect in aspects
        if aspect in each.shares
    )
