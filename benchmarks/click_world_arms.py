"""Claim: none of its own; what the de-noiser is compared with on the frozen world of clicks.

    python -m benchmarks.denoiser_click_world

Likes plus downloads, ridge from signal rates to ratings, and our own fit with a part left out.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import ModuleType

import numpy as np
import pyarrow as pa

from pipelines.preferences import IntentSettings, fit_intent, naive_scores
from pipelines.signals import SIGNAL_NAMES, has_signal

Figures = dict[str, float]


def likes_and_downloads(shown: pa.Table) -> dict[str, float]:
    """Return likes plus downloads per impression, by generation."""
    scores = naive_scores(shown)
    return dict(zip(scores["generation_id"].to_pylist(), scores["score"].to_pylist(), strict=True))


def ridge(shown: pa.Table, annotations: pa.Table) -> dict[str, float]:
    """Return the mean rating that ridge regression foretells from an item's signal rates."""
    coded = shown["generation_id"].combine_chunks().dictionary_encode()
    index, names = coded.indices.to_numpy(), coded.dictionary.to_pylist()
    times = np.bincount(index, minlength=len(names))
    given = [
        np.bincount(index, weights=has_signal(shown, signal), minlength=len(names))
        for signal in SIGNAL_NAMES
    ]
    rates = np.stack([(g + g.sum() / times.sum()) / (times + 1) for g in given], axis=1)
    rates = (rates - rates.mean(axis=0)) / (rates.std(axis=0) + 1e-9)
    rated: dict[str, list[float]] = {}
    for row in annotations.select(["generation_id", "aspect", "value"]).to_pylist():
        if row["aspect"] == "overall":
            rated.setdefault(row["generation_id"], []).append(row["value"])
    known = [n for n, name in enumerate(names) if name in rated]
    aim = np.array([np.mean(rated[names[n]]) for n in known])
    inside = rates[known]
    weights = np.linalg.solve(
        inside.T @ inside + 10.0 * np.eye(inside.shape[1]), inside.T @ (aim - aim.mean())
    )
    return dict(zip(names, (rates @ weights).tolist(), strict=True))


def no_intent(
    world: ModuleType, shown: pa.Table, tables: Mapping[str, pa.Table], settings: IntentSettings
) -> Figures:
    """Return the score of the same fit when every user is taken to endorse, always."""
    clicks = replace(
        settings.clicks,
        intent_shares=(1 - 2e-6, 1e-6, 1e-6), share_strength=1e12, user_strength=1e9,
    )  # fmt: skip
    return fitted(world, shown, tables, replace(settings, clicks=clicks, adapt=False))


def without_anchoring(
    world: ModuleType, shown: pa.Table, tables: Mapping[str, pa.Table], settings: IntentSettings
) -> Figures:
    """Return the score of the same fit when signals mean what their design says, always."""
    return fitted(world, shown, tables, replace(settings, anchor=False))


def fitted(
    world: ModuleType, shown: pa.Table, tables: Mapping[str, pa.Table], settings: IntentSettings
) -> Figures:
    """Return the score of a fit with *settings*."""
    fit = fit_intent(
        shown, tables["annotations"], generations=tables["generations"], gold=tables["gold"],
        settings=settings,
    )  # fmt: skip
    place = {name: n for n, name in enumerate(fit.generation_ids)}
    order = np.array([place[name] for name in tables["truth"]["generation_id"].to_pylist()])
    truth = {"quality": tables["truth"]["quality"].to_numpy()}
    a, b = world.same_prompt_pairs(truth)
    figures: Figures = world.score(truth, np.round(fit.better_chance(order[a], order[b]), 12))
    return figures


def score_values(
    world: ModuleType, value: Mapping[str, float], tables: Mapping[str, pa.Table]
) -> Figures:
    """Return the score of choosing the higher value, always surely."""
    names = tables["truth"]["generation_id"].to_pylist()
    middle = float(np.mean(list(value.values()))) if value else 0.0
    score = np.array([value.get(name, middle) for name in names])
    truth = {"quality": tables["truth"]["quality"].to_numpy()}
    a, b = world.same_prompt_pairs(truth)
    figures = world.score(truth, 0.5 + 0.5 * np.sign(score[a] - score[b]))
    return {"accuracy": figures["accuracy"], "worst": figures["worst"]}
