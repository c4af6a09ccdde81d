"""How good a policy truly is: for reports only, nothing of it ever reaches training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from backbone.protocol import Backbone
from data_contracts.conditioning import conditioned_texts
from pipelines.world.medium import Media
from pipelines.world.skills import followed
from pipelines.world.studio import Studio

Floats = npt.NDArray[np.float64]
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """True quality of one policy on the studio's held-out prompts.

    Axes: p prompts, s samples.
    """

    overall: Floats  # (p, s), 0 .. 100
    aspects: dict[str, Floats]  # (p, s) each, 0 .. 1
    pictures: Media  # (p, s, height, width, 3), or (p, s, frames, height, width, 3)
    valid: npt.NDArray[np.bool_]  # unconstrained samples that are scenes at all
    distances: Floats  # between pairs of valid unconstrained samples of one prompt


def score_policy(
    policy: Backbone,
    studio: Studio,
    *,
    samples: int,
    validity_samples: int,
    seed: int,
    progress: Progress | None = None,
) -> Score:
    """Sample *policy* on prompts that no user ever asked, and judge the pixels.

    Quality is measured on samples as the product makes them (under the grammar); validity and
    diversity on unconstrained ones, where a grammar cannot hide what broke.
    """
    texts = studio.heldout_texts
    asked = [text for text in texts for _ in range(samples)]
    codes = policy.generate(asked, seed=seed, grammar=True, progress=progress)
    pictures = policy.decode([c for c in codes if c is not None])
    truth = studio.truth(pictures, asked)
    shape = (len(texts), samples)
    valid, distances = _unconstrained(policy, studio, texts, validity_samples, seed, progress)
    return Score(
        overall=truth.overall.reshape(shape),
        aspects={name: values.reshape(shape) for name, values in truth.aspects.items()},
        pictures=pictures.reshape(*shape, *pictures.shape[1:]),
        valid=valid,
        distances=distances,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidedScore:
    """True quality of one policy on the held-out prompts under one skill, or under none.

    Axes: p prompts, s samples.
    """

    overall: Floats  # (p, s), 0 .. 100; guidance counts as much as the prompt
    followed: dict[str, Floats]  # (p, s) 1 or 0: whether each of the studio's skills is followed


def score_under(
    policy: Backbone,
    studio: Studio,
    skill: str | None,
    *,
    samples: int,
    seed: int,
    progress: Progress | None = None,
) -> GuidedScore:
    """Sample *policy* on held-out prompts under *skill*, under the grammar, and read the pixels.

    What follows every other skill is measured too: following one under another is none.
    """
    asked = [text for text in studio.heldout_texts for _ in range(samples)]
    skills = [skill] * len(asked)
    guidance = None if skill is None else studio.guidance[skill]
    read = conditioned_texts(asked, [guidance] * len(asked))
    codes = policy.generate(read, seed=seed, grammar=True, progress=progress)
    pictures = policy.decode([c for c in codes if c is not None])
    shape = (len(studio.heldout_texts), samples)
    return GuidedScore(
        overall=studio.truth(pictures, asked, skills).overall.reshape(shape),
        followed={
            name: followed(studio.medium, pictures, [name] * len(asked)).reshape(shape)
            for name in studio.settings.skills
        },
    )


def _unconstrained(
    policy: Backbone,
    studio: Studio,
    texts: Sequence[str],
    count: int,
    seed: int,
    progress: Progress | None,
) -> tuple[npt.NDArray[np.bool_], Floats]:
    # Two in a row for one prompt, so that neighbours can be compared.
    order = np.arange(count) // 2 % len(texts)
    asked = [texts[int(i)] for i in order]
    codes = policy.generate(asked, seed=seed + 1_000_003, grammar=False, progress=progress)
    formed = np.array([c is not None for c in codes])
    pictures = policy.decode([c for c in codes if c is not None])
    valid = formed.copy()
    if formed.any():
        truth = studio.truth(
            pictures, [t for t, c in zip(asked, codes, strict=True) if c is not None]
        )
        valid[formed] = truth.parses
    place = np.full(count, -1)
    place[formed] = np.arange(formed.sum())
    even = np.arange(0, count - 1, 2)
    both = even[valid[even] & valid[even + 1]]
    if not len(both):
        return valid, np.empty(0)
    return valid, studio.medium.distance(pictures[place[both]], pictures[place[both + 1]])


def interval(
    values: Floats, *, rng: np.random.Generator, resamples: int = 2000
) -> tuple[float, float, float]:
    """Return mean, low and high (95 % bootstrap) of (n,) values or of (n, s) over rows."""
    rows = values if values.ndim == 1 else values.mean(1)
    if not len(rows):
        return float("nan"), float("nan"), float("nan")
    picks = rng.integers(len(rows), size=(resamples, len(rows)))
    means = rows[picks].mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(rows.mean()), float(low), float(high)
