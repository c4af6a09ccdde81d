"""Measures a candidate beside the champion, the policy released last, on the same prompts."""

from collections.abc import Sequence

import numpy as np

from backbone.emu3 import Emu3Backbone
from data_contracts.errors import FlywheelError
from data_contracts.training import Scorer
from finetune.evaluate import (
    Samples,
    diversities,
    draw,
    log_ratios,
    paired_bootstrap,
    sample_policy,
    score_drawn,
    validity_share,
    win_shares,
)
from finetune.measured import Comparison, Measured
from reward_models.interval import Interval, cluster_bootstrap
from reward_models.preferences import FloatArray
from reward_models.watch import Progress

UNKNOWN = Interval(mean=float("nan"), low=float("nan"), high=float("nan"))


def measure_policy(
    candidate: Emu3Backbone,
    champion: Emu3Backbone,
    *,
    scorer: Scorer,
    prompt_texts: Sequence[str],
    samples: int,
    seed: int,
    resamples: int = 2000,
    progress: Progress | None = None,
    unguided: Sequence[int] | None = None,
) -> Comparison:
    """Sample both policies on the same prompts and compare what they made.

    Args:
        candidate: the policy that wants to be released.
        champion: the policy released last.
        scorer: judges what both draw.
        prompt_texts: what both read.
        samples: of each policy for each prompt.
        seed: of both.
        resamples: of the intervals.
        progress: called with samples done and to do.
        unguided: places of the prompts that diversity is measured on; None: all. A skill's
            guidance narrows what is drawn on purpose, so prompts under one do not count.

    Raises:
        FlywheelError: no prompts or no samples.
    """
    if not prompt_texts or samples < 1:
        raise FlywheelError("a policy is measured on at least one prompt and one sample")
    total = 2 * len(prompt_texts) * samples

    def told(before: int) -> Progress | None:
        return None if progress is None else lambda done, _: progress(before + done, total)

    drawing = {"samples": samples, "seed": seed, "grammar": False}
    new = sample_policy(candidate, prompt_texts, progress=told(0), **drawing)  # type: ignore[arg-type]  # one dict of three kinds
    old = sample_policy(champion, prompt_texts, progress=told(total // 2), **drawing)  # type: ignore[arg-type]
    rng = np.random.default_rng(seed)

    def bootstrap(differences: FloatArray) -> Interval:
        known = differences[~np.isnan(differences)]
        return paired_bootstrap(known, rng=rng, resamples=resamples) if len(known) else UNKNOWN

    new_drawn, old_drawn = draw(candidate, new), draw(champion, old)
    new_scores = score_drawn(scorer, prompt_texts, new_drawn)
    old_scores = score_drawn(scorer, prompt_texts, old_drawn)
    wins = {
        aspect: paired_bootstrap(
            win_shares(new_scores[aspect], old_scores[aspect]), rng=rng, resamples=resamples
        )
        for aspect in sorted(new_scores)
    }
    of, ratios = log_ratios(candidate, champion, prompt_texts, new)
    kl = cluster_bootstrap(ratios, of, rng=rng, resamples=resamples) if of else UNKNOWN
    free = range(len(prompt_texts)) if unguided is None else unguided
    # Two means over different prompts differ by the prompts too, so only prompts count where both
    # policies can be measured.
    apart = np.stack([diversities(new), diversities(old)])
    paired = apart[:, list(free)]
    paired = paired[:, ~np.isnan(paired).any(0)]
    measured = Measured(
        prompts=len(prompt_texts),
        samples=samples,
        modality="image" if candidate.grid.frames == 1 else "video",
        win_rate=wins["overall"],
        aspects=wins,
        score_gain=bootstrap(
            mean_scores(new_scores["overall"]) - mean_scores(old_scores["overall"])
        ),
        candidate_validity=validity_share(new),
        champion_validity=validity_share(old),
        validity_gain=bootstrap(_valid(new) - _valid(old)),
        candidate_diversity=_mean(paired[0]),
        champion_diversity=_mean(paired[1]),
        diversity_gain=bootstrap(paired[0] - paired[1]),
        kl=kl.mean,
        kl_interval=kl,
    )
    return Comparison(
        measured=measured,
        candidate=new_drawn,
        champion=old_drawn,
        candidate_scores=new_scores["overall"],
        champion_scores=old_scores["overall"],
        diversities=apart,
    )


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _valid(samples: Samples) -> FloatArray:
    """Return (prompts,) shares of well-formed samples."""
    return np.array([[codes is not None for codes in row] for row in samples]).mean(1)


def mean_scores(scores: FloatArray) -> FloatArray:
    """Return (prompts,) mean scores of well-formed samples; NaN where there is none."""
    fine = scores > -np.inf
    count = fine.sum(1)
    total = np.where(fine, scores, 0.0).sum(1)
    means: FloatArray = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    return means
