"""Whom to ask what next: telling first, within budgets."""

from dataclasses import replace

import numpy as np
import pytest

from annotation.beliefs import PairBelief
from annotation.next_questions import QueueRules, next_questions
from data_contracts.errors import ContractError, ShapeError

PLAIN = QueueRules(exploration=0.0)


def belief(mean, sd=1.0):
    mean = np.asarray(mean, float)
    return PairBelief(mean=mean, prompt=np.arange(len(mean)), place=np.zeros(len(mean), np.int64),
                      covariance=np.full((len(mean), 1, 1), sd**2))  # fmt: skip


def ask(mean, *, people=2, budget=3, rules=PLAIN, asked=None, seed=0, prompt=None,
        slope=None):  # fmt: skip
    pairs = len(mean)
    return next_questions(
        belief(mean),
        np.zeros((pairs, people), bool) if asked is None else asked,
        np.arange(pairs) if prompt is None else prompt,
        slope=np.ones(people) if slope is None else slope, tie=np.full(people, 0.2),
        budget=np.full(people, budget), rules=rules, rng=np.random.default_rng(seed),
    )  # fmt: skip


def test_the_least_settled_pairs_are_asked_and_budgets_kept():
    mean = np.linspace(0, 2, 20)
    more = ask(mean, budget=3)
    assert sorted(more.pair) == list(range(6))
    assert np.bincount(more.annotator).tolist() == [3, 3]


def test_nobody_is_asked_the_same_twice():
    asked = np.zeros((4, 2), bool)
    asked[:, 0] = True
    more = ask([0.0] * 4, asked=asked, budget=9)
    assert set(more.annotator) == {1}
    assert sorted(more.pair) == [0, 1, 2, 3]
    assert len(ask([0.0] * 4, asked=np.ones((4, 2), bool)).pair) == 0


def test_a_settled_pair_is_closed_and_a_split_one_stays_open_until_most():
    """Pair 0 is settled; pair 1 is even after two answers; pair 2 has had all it may."""
    asked = np.zeros((3, 6), bool)
    asked[0, :1] = asked[1, :2] = asked[2, :4] = True
    rules = replace(PLAIN, most=4)
    more = ask([4.0, 0.0, 0.0], people=6, budget=9, asked=asked, rules=rules)
    assert set(more.pair) == {1}


def test_a_settled_pair_that_nobody_answered_is_asked_until_least():
    assert set(ask([9.0], people=1).pair) == {0}
    assert len(ask([9.0], people=1, rules=replace(PLAIN, least=0)).pair) == 0


def test_one_prompt_does_not_take_the_round():
    prompt = np.array([0, 0, 0, 0, 1, 1])
    more = ask([0, 0, 0, 0, 1, 1], people=4, budget=9, prompt=prompt)
    assert sorted(prompt[more.pair]) == [0, 1]


def test_who_guesses_gets_what_is_left_or_nothing():
    guesses = {"people": 2, "budget": 1, "slope": np.array([0.0, 1.0])}
    more = ask([0.0, 3.0], **guesses)
    told = dict(zip(more.annotator.tolist(), more.pair.tolist(), strict=True))
    assert told == {1: 0, 0: 1}
    picky = replace(PLAIN, worth=0.3)
    assert ask([0.0, 3.0], rules=picky, **guesses).annotator.tolist() == [1]


def test_who_is_known_to_tell_more_is_asked_more_up_to_the_lead():
    """Both have been asked 40; the round stays as large, and one's share goes to the other."""
    asked = np.zeros((200, 3), bool)
    asked[:40, :2] = True
    told = {"people": 3, "budget": 4, "slope": np.array([3.0, 0.5, 0.5]), "asked": asked}
    more = ask(np.zeros(200), **told)
    assert np.bincount(more.annotator, minlength=3)[0] == 8
    assert len(more.annotator) == 12
    equal = ask(np.zeros(200), rules=replace(PLAIN, lead=1.0), **told)
    assert np.bincount(equal.annotator).tolist() == [4, 4, 4]


def test_nobody_leads_before_they_are_known():
    asked = np.zeros((200, 2), bool)
    asked[:39] = True
    more = ask(np.zeros(200), budget=4, slope=np.array([3.0, 0.5]), asked=asked)
    assert np.bincount(more.annotator).tolist() == [4, 4]


def test_who_guesses_is_met_again_at_random():
    """Else nobody would notice that she has learned."""
    more = ask(np.zeros(400), budget=100, slope=np.array([0.01, 1.0]),
               rules=replace(PLAIN, exploration=0.2, worth=0.3))  # fmt: skip
    assert 5 < np.bincount(more.annotator)[0] < 60


def test_a_budget_is_a_limit_and_not_a_target():
    mean = np.repeat([0.0, 2.5], 5)
    assert len(ask(mean, people=1, budget=10).pair) == 10
    picky = replace(PLAIN, worth=0.3)
    assert sorted(ask(mean, people=1, budget=10, rules=picky).pair) == list(range(5))


def test_exploration_meets_pairs_that_tell_little():
    mean = np.linspace(0, 1.9, 200)
    greedy = ask(mean, budget=20)
    curious = ask(mean, budget=20, rules=replace(PLAIN, exploration=0.5))
    assert greedy.pair.max() == 39
    assert (curious.pair >= 40).sum() > 10


def test_the_same_seed_gives_the_same_round():
    mean = np.random.default_rng(0).normal(size=50)
    one, same, other = (ask(mean, seed=seed, rules=QueueRules()) for seed in (1, 1, 2))
    assert one.pair.tolist() == same.pair.tolist()
    assert one.pair.tolist() != other.pair.tolist()


@pytest.mark.parametrize("wrong", [{"exploration": 1.5}, {"settled": 0.4}, {"least": 3, "most": 2},
                                   {"per_prompt": 0}, {"worth": -0.1}, {"lead": 0.5},
                                   {"known": -1}])  # fmt: skip
def test_wrong_rules_are_refused(wrong):
    with pytest.raises(ContractError, match="queue"):
        QueueRules(**wrong)


def test_sizes_that_disagree_are_refused():
    with pytest.raises(ShapeError, match="disagree"):
        ask([0.0, 0.0], asked=np.zeros((3, 2), bool))
    with pytest.raises(ShapeError, match="disagree"):
        ask([0.0, 0.0], slope=np.ones(5))
