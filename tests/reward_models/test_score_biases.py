"""Biases are told from what people themselves prefer, and motion is counted in changed tokens."""

import numpy as np
import pytest

from reward_models.aspect_validation import motions
from reward_models.bias_report import bias_figures
from reward_models.sequences import pack_sequences


def figures(lead, more, prompts=None, seed=0):
    prompts = [str(i) for i in range(len(lead))] if prompts is None else prompts
    return bias_figures(
        lead, {"motion": more}, prompts=prompts, rng=np.random.default_rng(seed), resamples=400
    )


def study(*, model, people, count=4000, seed=0):
    """Return leads and differences where chances to be preferred rise with motion as told."""
    rng = np.random.default_rng(seed)
    more = rng.normal(size=count)
    first = rng.random(count) < 1 / (1 + np.exp(-people * more))
    lead = model * more + rng.normal(size=count)
    turn = np.where(first, 1.0, -1.0)  # the one that people preferred comes first
    return lead * turn, more * turn


def test_a_model_that_loves_motion_more_than_people_do_is_told():
    found = figures(*study(model=1.0, people=0.0))["motion"]
    assert found.pairs == 4000
    assert found.model.mean == pytest.approx(1 / np.sqrt(2), abs=0.03)
    assert found.people.low < 0 < found.people.high
    assert found.excess.low > 0.6


def test_what_people_prefer_too_is_no_excess():
    found = figures(*study(model=0.0, people=2.0))["motion"]
    assert found.people.low > 0.4
    assert found.model.high < 0.1
    assert found.excess.high < -0.3


def test_it_does_not_matter_which_of_a_pair_comes_first():
    lead, more = study(model=1.0, people=0.5)
    turned = figures(-lead, -more)["motion"].model
    assert turned == figures(lead, more)["motion"].model


def test_one_prompt_drawn_often_widens_the_interval():
    lead, more = study(model=0.3, people=0.0, count=400)
    alone = figures(lead, more)["motion"].model
    together = figures(np.repeat(lead[:40], 10), np.repeat(more[:40], 10),
                       prompts=np.repeat(np.arange(40), 10).astype(str).tolist())  # fmt: skip
    wide = together["motion"].model
    assert wide.high - wide.low > 2 * (alone.high - alone.low)


def test_of_what_hardly_differs_nothing_is_said():
    lead, more = study(model=1.0, people=0.0, count=30)
    more[:15] = 0
    assert figures(lead, more) == {}


def test_motion_by_hand():
    """Frames of two tokens: of 7 8 | 7 9 | 7 9 one of four changes; pictures do not move."""
    packed = pack_sequences(
        {("p", "film"): ([1], [7, 8, 7, 9, 7, 9]), ("p", "still"): ([1], [7, 8])}, pad=0
    )
    places = [np.arange(1, 7), np.arange(1, 3)]
    assert motions(packed, np.array([0, 1]), places, cells=2).tolist() == [0.25, 0.0]
