"""Trains several reward models of aspects that differ in their seed alone, one after another."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from backbone.emu3 import Emu3Backbone
from data_contracts.training import TrainingBundle
from reward_models.aspect_pairs import aspect_rows
from reward_models.aspect_scorer import raw_judgements
from reward_models.aspect_trainer import AspectRun, train_aspects
from reward_models.config import AspectConfig
from reward_models.disagreement import Disagreement, disagreement_figures
from reward_models.sequences import Sequences, read_sequences
from reward_models.watch import Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleRun:
    """One or more trained reward models; asked together they give their lower bound."""

    members: tuple[AspectRun, ...]
    lower_bound: float
    # By aspect with validation pairs; None: a single model disagrees with nobody.
    disagreement: dict[str, Disagreement] | None


def train_ensemble(
    bundle: TrainingBundle,
    *,
    backbone: Emu3Backbone,
    config: AspectConfig,
    watch: Watch | None = None,
    sequences: Sequences | None = None,
) -> EnsembleRun:
    """Train `config.members` models; the first is the one that `train_aspects` would train.

    They see the same pairs, prompts drawn in another order; what few steps leave out differs.

    Args:
        bundle: as in `train_aspects`.
        backbone: as in `train_aspects`.
        config: how; member k has the seed k higher.
        watch: who looks on: steps of all models count as one run.
        sequences: as in `train_aspects`.

    Raises:
        FlywheelError: as `train_aspects`.
        TrainingStopped: *watch* asked for it; started again, finished models are not trained anew.
    """
    watch = watch or Watch()
    if sequences is None:
        sequences = read_sequences(
            bundle, backbone, splits=["train", "validation"], max_length=config.max_length
        )
    members = tuple(
        train_aspects(
            bundle,
            backbone=backbone,
            config=config.model_copy(update={"seed": (config.seed + number) % 2**32}),
            watch=_watch_of(watch, number, config),
            sequences=sequences,
        )
        for number in range(config.members)
    )
    return EnsembleRun(
        members=members,
        lower_bound=config.lower_bound,
        disagreement=_disagreement(bundle, members, sequences, config)
        if len(members) > 1
        else None,
    )


def _watch_of(watch: Watch, number: int, config: AspectConfig) -> Watch:
    if config.members == 1:
        return watch
    before, total = number * config.max_steps, config.members * config.max_steps
    return replace(
        watch,
        progress=lambda done, _: watch.progress(before + done, total),
        metrics=lambda step, values: watch.metrics(before + step, values),
        folder=None if watch.folder is None else watch.folder / f"member-{number + 1}",
    )


def _disagreement(
    bundle: TrainingBundle,
    members: Sequence[AspectRun],
    sequences: Sequences,
    config: AspectConfig,
) -> dict[str, Disagreement]:
    """Return how far the members differ on validation pairs, by aspect that has any."""
    aspects = members[0].scorer.aspects
    judged = {p.aspect for p in bundle.pairs("validation") if p.weight > 0} & set(aspects)
    if not judged:
        return {}
    rows = aspect_rows(bundle, sequences, split="validation", aspects=aspects)
    used, place = np.unique(np.stack([rows.chosen, rows.rejected]), return_inverse=True)
    place = place.reshape(2, -1)
    tokens = sequences.completion_lengths(used).astype(float)
    raw = [
        raw_judgements(
            member.scorer.backbone, sequences, used,
            aspects=len(aspects), batch_size=config.score_batch_size, asked=member.scorer.asked,
        )
        for member in members
    ]  # fmt: skip
    found: dict[str, Disagreement] = {}
    for k, name in enumerate(aspects):
        mine = rows.aspect == k
        scores = np.stack([
            member.scorer.calibrations[name].scores(said.mean[:, k], tokens, said.information)
            for member, said in zip(members, raw, strict=True)
        ])  # fmt: skip
        measured = disagreement_figures(
            scores,
            place[:, mine],
            decided=rows.masses[mine, 0] > 0.5,
            prompts=np.array(rows.prompts)[mine].tolist(),
            kappa=config.lower_bound,
            rng=np.random.default_rng([config.seed, 3]),
            resamples=config.resamples,
        )
        if measured is not None:
            found[name] = measured
    return found
