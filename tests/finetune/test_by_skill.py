"""Figures by skill: each on its own prompts, with an interval or a sentence why not."""

import numpy as np
import pytest

from data_contracts.errors import ShapeError
from finetune.by_skill import FEWEST, figures_by_skill
from finetune.compare import UNKNOWN
from finetune.measured import Comparison, Measured

INF = np.inf


def comparison(candidate, champion):
    measured = Measured(
        prompts=len(candidate), samples=1, modality="image", win_rate=UNKNOWN, aspects={},
        score_gain=UNKNOWN, candidate_validity=1, champion_validity=1, validity_gain=UNKNOWN,
        candidate_diversity=1, champion_diversity=1, diversity_gain=UNKNOWN, kl=0,
        kl_interval=UNKNOWN,
    )  # fmt: skip
    drawn = [[b""]] * len(candidate)
    scores = (np.array(candidate, float)[:, None], np.array(champion, float)[:, None])
    return Comparison(
        measured=measured, candidate=drawn, champion=drawn,
        candidate_scores=scores[0], champion_scores=scores[1],
    )  # fmt: skip


def figures(candidate, champion, skills):
    rng = np.random.default_rng(0)
    return figures_by_skill(comparison(candidate, champion), skills, rng=rng, resamples=200)


def test_each_skill_is_measured_on_its_own_prompts():
    """Under night the candidate wins everywhere by 2, without a skill it loses by 1."""
    skills = ["night"] * FEWEST + [None] * FEWEST
    plain, night = figures([2] * FEWEST + [0] * FEWEST, [0] * FEWEST + [1] * FEWEST, skills)
    assert (plain.skill_id, night.skill_id) == (None, "night")
    assert (night.prompts, night.win_rate.mean, night.score_gain.mean) == (FEWEST, 1.0, 2.0)
    assert (plain.win_rate.mean, plain.score_gain.mean) == (0.0, -1.0)
    assert night.says == "the candidate is better than the champion"
    assert plain.says == "the candidate is worse than the champion"


def test_too_few_prompts_have_a_sentence_and_no_interval():
    skills = ["night"] * (FEWEST - 1) + [None] * FEWEST
    plain, night = figures([1.0] * len(skills), [1.0] * len(skills), skills)
    assert night.win_rate is night.score_gain is None
    assert night.says.startswith(f"too few: {FEWEST - 1} held-out prompts")
    assert plain.win_rate.mean == 0.5
    assert "not surely different" in plain.says


def test_malformed_samples_lose_and_have_no_score():
    (night,) = figures([-INF] + [1.0] * FEWEST, [0.0] * (FEWEST + 1), ["night"] * (FEWEST + 1))
    assert night.win_rate.mean == pytest.approx(FEWEST / (FEWEST + 1))
    assert night.score_gain.mean == 1.0
    assert night.candidate_validity == pytest.approx(FEWEST / (FEWEST + 1))
    assert night.champion_validity == 1.0


def test_without_skills_there_is_nothing_to_part():
    assert figures([1.0], [0.0], [None]) == []


def test_every_prompt_needs_its_skill():
    with pytest.raises(ShapeError, match="1 skills but 2 prompts"):
        figures([1.0, 2.0], [0.0, 0.0], [None])
