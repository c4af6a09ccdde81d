"""What was measured of a candidate beside the champion, skill by skill."""

from collections.abc import Sequence

import numpy as np

from data_contracts.errors import ShapeError
from finetune.compare import mean_scores
from finetune.config import FEWEST
from finetune.evaluate import win_shares
from finetune.measured import Comparison, SkillFigures
from reward_models.interval import Interval, cluster_bootstrap
from reward_models.preferences import FloatArray


def figures_by_skill(
    comparison: Comparison,
    skills: Sequence[str | None],
    *,
    rng: np.random.Generator,
    resamples: int = 2000,
) -> list[SkillFigures]:
    """Measure each skill on its own prompts, no skill first; empty where there are no skills.

    Args:
        comparison: what was measured, rows in the order of *skills*.
        skills: under which each prompt was asked; None: without.
        rng: draws the resamples.
        resamples: how many.

    Raises:
        ShapeError: another number of skills than of prompts.
    """
    if len(skills) != len(comparison.candidate_scores):
        raise ShapeError(
            f"{len(skills)} skills but {len(comparison.candidate_scores)} prompts were measured"
        )
    names = sorted(set(skills), key=lambda name: (name is not None, name))
    if names in ([], [None]):
        return []
    wins = win_shares(comparison.candidate_scores, comparison.champion_scores)
    gains = mean_scores(comparison.candidate_scores) - mean_scores(comparison.champion_scores)
    apart = comparison.diversities
    if apart is None:
        apart = np.full((2, len(skills)), np.nan)
    apart = np.where(np.isnan(apart).any(0), np.nan, apart)  # the same prompts for both
    found = []
    for name in names:
        mine = np.array([each == name for each in skills])
        count = int(mine.sum())
        enough = count >= FEWEST
        gained = gains[mine][~np.isnan(gains[mine])]
        win = cluster_bootstrap(wins[mine], rng=rng, resamples=resamples) if enough else None
        found.append(
            SkillFigures(
                skill_id=name,
                prompts=count,
                win_rate=win,
                score_gain=cluster_bootstrap(gained, rng=rng, resamples=resamples)
                if enough and len(gained) >= FEWEST
                else None,
                candidate_validity=_valid(comparison.candidate_scores[mine]),
                champion_validity=_valid(comparison.champion_scores[mine]),
                candidate_diversity=_mean(apart[0][mine]),
                champion_diversity=_mean(apart[1][mine]),
                says=_says(count, win),
            )
        )
    return found


def _says(prompts: int, win: Interval | None) -> str:
    if win is None:
        return (
            f"too few: {prompts} held-out prompts were asked so, and an interval needs {FEWEST}; "
            "raise gate.prompts or deliver more"
        )
    better = "better" if win.low > 0.5 else "worse" if win.high < 0.5 else "not surely different"
    return f"the candidate is {better} than the champion"


def _mean(values: FloatArray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _valid(scores: FloatArray) -> float:
    return float((scores > -np.inf).mean())
