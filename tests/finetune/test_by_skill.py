"""Figures by skill: each on its own prompts, with an interval or a sentence why not."""

import numpy as np
import pytest

from data_contracts.errors import ShapeError
from finetune import compare
from finetune.by_skill import FEWEST, figures_by_skill
from finetune.compare import UNKNOWN, measure_policy
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
    apart = np.array(candidate, float) / 10
    scores = (np.array(candidate, float)[:, None], np.array(champion, float)[:, None])
    return Comparison(
        measured=measured, candidate=drawn, champion=drawn,
        candidate_scores=scores[0], champion_scores=scores[1],
        diversities=np.stack([apart, apart - 1]),
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
    assert (night.candidate_diversity, night.champion_diversity) == pytest.approx((0.2, -0.8))
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


class Flat:
    """A scorer that holds everything for equal."""

    name = "flat"

    def score(self, prompts, contents):
        return [0.0] * len(contents)


def test_diversity_is_held_on_prompts_without_guidance(backbone, monkeypatch):
    """Under guidance both samples are alike (0), without it every token differs (1)."""
    one, other = np.zeros((2, 2), np.int64), np.ones((2, 2), np.int64)
    monkeypatch.setattr(compare, "sample_policy", lambda *_, **__: [[one, one], [one, other]])

    def diversity(unguided):
        return measure_policy(
            backbone, backbone, scorer=Flat(), prompt_texts=["a", "b"], samples=2, seed=0,
            resamples=20, unguided=unguided,
        )  # fmt: skip

    assert diversity([1]).measured.candidate_diversity == 1.0
    assert diversity(None).measured.candidate_diversity == 0.5
    np.testing.assert_array_equal(diversity([1]).diversities, [[0.0, 1.0]] * 2)


def test_diversity_is_held_on_the_prompts_where_both_can_be_measured(backbone, monkeypatch):
    """Candidate (1, -, .5) and champion (-, 0, 1): only the third prompt has both, and falls."""
    one, other, mixed = np.zeros((2, 2), np.int64), np.ones((2, 2), np.int64), np.eye(2, dtype=int)
    drawn = iter(
        [
            [[one, other], [one, None], [one, mixed]],
            [[one, None], [one, one], [one, other]],
        ]
    )
    monkeypatch.setattr(compare, "sample_policy", lambda *_, **__: next(drawn))
    found = measure_policy(
        backbone, backbone, scorer=Flat(), prompt_texts=["a", "b", "c"], samples=2, seed=0,
        resamples=20,
    )  # fmt: skip
    told = found.measured
    assert (told.candidate_diversity, told.champion_diversity) == (0.5, 1.0)
    assert told.diversity_gain.mean == -0.5
    skills = ["night"] * 3
    (night,) = figures_by_skill(found, skills, rng=np.random.default_rng(0), resamples=20)
    assert (night.candidate_diversity, night.champion_diversity) == (0.5, 1.0)
