"""The two annotator models inside the fit."""

import numpy as np
import pytest

from pipelines.preferences.comparison_model import (
    LOSE,
    WIN,
    Comparisons,
    comparison_messages,
    expected_side,
    learn_judges,
    rao_kupper,
    reversed_chance,
)
from pipelines.preferences.rating_model import Ratings, RatingSettings, learn_confusions


def test_rao_kupper_by_hand():
    """Log nu = log 2, equal strength: win = 1/(1+2), lose = 1/3, tie = 1/3."""
    np.testing.assert_allclose(rao_kupper(np.array(0.0), np.log(2.0)), [1 / 3, 1 / 3, 1 / 3])


def test_rao_kupper_is_symmetric():
    strength = np.linspace(-3, 3, 7)
    there, back = rao_kupper(strength, np.array(0.5)), rao_kupper(-strength, np.array(0.5))
    np.testing.assert_allclose(there, back[:, ::-1])
    np.testing.assert_allclose(there.sum(axis=1), 1.0)


def ratings(label, annotator=None, items=None):
    n = len(label)
    return Ratings(
        item=np.arange(n) if items is None else items,
        annotator=np.zeros(n, dtype=int) if annotator is None else annotator,
        label=np.asarray(label), levels=5, items=n,
        annotators=1 if annotator is None else int(max(annotator)) + 1,
    )  # fmt: skip


def test_every_confusion_is_a_distribution():
    found = learn_confusions(
        ratings([0, 4, 2]), np.eye(5)[[0, 4, 1]], classes=5, settings=RatingSettings()
    )
    np.testing.assert_allclose(found.psi.sum(axis=2), 1.0)
    np.testing.assert_allclose(found.types.sum(axis=1), 1.0)


def test_tells_honest_random_and_reversed_apart():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, 120)
    who = np.arange(120) % 3
    label = np.select([who == 0, who == 1], [truth, 4 - truth], rng.integers(0, 5, 120))
    found = learn_confusions(
        ratings(label, annotator=who), np.eye(5)[truth], classes=5, settings=RatingSettings()
    )
    assert found.types.argmax(axis=1).tolist() == [0, 2, 1]


def duel(outcomes, *, left=0):
    n = len(outcomes)
    zeros = np.zeros(n, dtype=int)
    return Comparisons(
        item=zeros, other=zeros + 1, annotator=zeros, outcome=np.asarray(outcomes),
        left=zeros + left, items=2, annotators=1,
    )  # fmt: skip


def test_swapping_the_two_swaps_the_message():
    posterior = np.array([[0.1, 0.2, 0.7], [0.3, 0.4, 0.3]])
    there = duel([WIN, WIN, LOSE])
    back = Comparisons(
        item=there.other, other=there.item, annotator=there.annotator,
        outcome=2 - there.outcome, left=-there.left, items=2, annotators=1,
    )  # fmt: skip
    first = comparison_messages(there, learn_judges(there, None, classes=3), posterior)
    second = comparison_messages(back, learn_judges(back, None, classes=3), posterior)
    np.testing.assert_allclose(first, second)


def test_who_always_takes_the_left_is_found_out():
    posterior = np.full((2, 3), 1 / 3)
    judges = learn_judges(duel([WIN] * 12, left=1), posterior, classes=3)
    assert expected_side(judges)[0] > 1.0


def test_who_always_prefers_the_worse_is_reversed():
    posterior = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    judges = learn_judges(duel([LOSE] * 12), posterior, classes=3)
    assert reversed_chance(judges)[0] > 0.95


def test_comparisons_tell_the_type_and_other_answers_can_too():
    posterior = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    honest, turned = (learn_judges(duel([said] * 6), posterior, classes=3) for said in (WIN, LOSE))
    assert honest.evidence[0].argmax() == 0
    assert turned.evidence[0].argmax() == 2
    told = learn_judges(duel([WIN]), None, classes=3, elsewhere=turned.evidence)
    assert reversed_chance(told)[0] == pytest.approx(
        0.92, abs=1e-3
    )  # .08 are random whatever others say
    np.testing.assert_allclose(told.evidence, 0.0, atol=1e-12)  # its own answers say nothing yet


def test_comparisons_of_what_is_not_known_count_for_nothing():
    half = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    told, prior = (learn_judges(duel([LOSE] * 9), known, classes=3) for known in (half, None))
    np.testing.assert_allclose(told.belief, prior.belief)
