"""Measurements of a policy: by hand, by symmetry, on known truth, and what they refuse."""

import numpy as np
import pytest
from toy_pictures import red_beats_blue

from backbone.pictures import read_png
from data_contracts.errors import FlywheelError, ShapeError
from finetune.compare import measure_policy
from finetune.config import SftConfig
from finetune.evaluate import (
    diversities,
    draw,
    kl_per_token,
    paired_bootstrap,
    sample_policy,
    score_drawn,
    score_samples,
    validity_share,
    win_shares,
)
from finetune.sft_trainer import train_sft

PROMPTS = ["a disc p1", "a disc p2", "a disc p3"]


class Redness:
    """A `Scorer` that measures how red a picture is."""

    name = "redness"

    def score(self, prompts, contents):
        return [float(read_png(c)[..., 0].mean()) for c in contents]


def test_validity_counts_the_malformed():
    codes = np.zeros((2, 2), np.int64)
    assert validity_share([[codes, None], [codes, codes]]) == 0.75
    assert np.isnan(validity_share([]))


def test_diversity_worked_by_hand():
    """Three samples of four tokens: pairs differ in 0, 2 and 2 tokens of 4 -> (0 + .5 + .5) / 3."""
    one, two = np.array([[1, 1], [1, 1]]), np.array([[1, 1], [2, 2]])
    assert diversities([[one, one, two]]).tolist() == [pytest.approx(1 / 3)]
    assert np.isnan(diversities([[one], [None, two]])).all()


def test_win_shares_worked_by_hand():
    """Candidate (2, 0) against (1, 0): wins, wins, loses, ties -> 2.5 of 4."""
    assert win_shares(np.array([[2.0, 0.0]]), np.array([[1.0, 0.0]])).tolist() == [0.625]


def test_a_malformed_sample_loses_to_any_and_ties_with_another():
    scores = np.array([[-np.inf], [-np.inf]])
    assert win_shares(scores, np.array([[-99.0], [-np.inf]])).tolist() == [0.0, 0.5]


def test_winning_and_losing_sum_to_one():
    rng = np.random.default_rng(0)
    mine, theirs = rng.integers(0, 3, (2, 20, 4)).astype(float)
    np.testing.assert_allclose(win_shares(mine, theirs) + win_shares(theirs, mine), 1.0)


def test_a_score_that_is_not_a_number_stays_one():
    assert np.isnan(win_shares(np.array([[np.nan]]), np.array([[1.0]])))[0]
    interval = paired_bootstrap(np.array([np.nan, 1.0]), rng=np.random.default_rng(0))
    assert np.isnan(interval.mean)
    assert np.isnan(interval.low)


def test_same_seed_same_pictures(backbone):
    one, other = (
        sample_policy(backbone, PROMPTS, samples=2, seed=5, grammar=True) for _ in range(2)
    )
    np.testing.assert_array_equal(one, other)
    assert np.shape(one) == (3, 2, 2, 2)


def test_a_policy_is_no_better_than_itself(backbone):
    steps = []
    found = measure_policy(
        backbone,
        backbone,
        scorer=Redness(),
        prompt_texts=PROMPTS,
        samples=2,
        seed=0,
        progress=lambda done, total: steps.append((done, total)),
    )
    measured = found.measured
    assert found.candidate == found.champion
    assert measured.win_rate.mean == 0.5
    assert measured.aspects == {"overall": measured.win_rate}
    assert measured.validity_gain.mean == 0.0
    assert measured.candidate_validity == measured.champion_validity
    assert steps[-1] == (12, 12)


class Colours(Redness):
    """An `AspectScorer`."""

    def score_aspects(self, prompts, contents):
        red = self.score(prompts, contents)
        return {"overall": red, "aesthetics": [-each for each in red]}


def test_a_scorer_of_aspects_is_asked_for_each(backbone):
    samples = sample_policy(backbone, PROMPTS, samples=2, seed=5, grammar=True)
    samples[0][1] = None
    found = score_drawn(Colours(), PROMPTS, draw(backbone, samples))
    assert sorted(found) == ["aesthetics", "overall"]
    fine = found["overall"] > -np.inf
    assert (~fine).sum() == 1
    np.testing.assert_allclose(found["aesthetics"][fine], -found["overall"][fine])
    plain = score_drawn(Redness(), PROMPTS, draw(backbone, samples))
    np.testing.assert_array_equal(plain["overall"], found["overall"])


def test_scores_what_was_drawn_and_floors_the_malformed(backbone):
    codes = sample_policy(backbone, PROMPTS[:1], samples=1, seed=0, grammar=True)[0][0]
    scores = score_samples(backbone, Redness(), PROMPTS[:1], [[codes, None]])
    assert scores[0, 0] == pytest.approx(backbone.decode([codes])[0, ..., 0].mean())
    assert scores[0, 1] == -np.inf


def test_distance_is_zero_from_itself_and_grows_with_training(backbone):
    samples = sample_policy(backbone, PROMPTS, samples=4, seed=1, grammar=True)
    assert kl_per_token(backbone, backbone, PROMPTS, samples) == 0.0
    config = SftConfig(max_steps=15, batch_size=4, learning_rate=3e-3, device="cpu")
    trained = train_sft(red_beats_blue(), policy=backbone, config=config).backbone
    own = sample_policy(trained, PROMPTS, samples=4, seed=1, grammar=True)
    assert kl_per_token(trained, backbone, PROMPTS, own) > 0.05
    assert np.isnan(kl_per_token(trained, backbone, PROMPTS, [[None]] * 3))


def test_refuses_nothing_to_measure(backbone):
    with pytest.raises(FlywheelError, match="at least one prompt"):
        measure_policy(backbone, backbone, scorer=Redness(), prompt_texts=[], samples=1, seed=0)
    with pytest.raises(ShapeError):
        score_samples(backbone, Redness(), PROMPTS, [[None]])
    with pytest.raises(ShapeError):
        win_shares(np.zeros((2, 1)), np.zeros((3, 1)))
