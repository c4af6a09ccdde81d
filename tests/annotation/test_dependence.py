"""Copied answers count as one; tastes are reported, not voted away."""

import numpy as np
import pytest
from crowds import indexed, skilled_crowd

from annotation.cohorts import find_cohorts
from annotation.dawid_skene import fit_dawid_skene
from annotation.dependence import agreement_of_pairs, find_dependence, merge_voices


def drawn(rng, truth, skill, meant, *, per_task=6, classes=3):
    """Everybody answers what they mean with a chance of their own; returns Answers."""
    people, tasks = len(skill), len(truth)
    task = np.repeat(np.arange(tasks), per_task)
    who = np.concatenate([rng.choice(people, per_task, replace=False) for _ in range(tasks)])
    right = rng.random(len(task)) < skill[who]
    aim = meant[who, task]
    label = np.where(right, aim, (aim + rng.integers(1, classes, len(task))) % classes)
    return indexed((task, who, label), tasks=tasks, annotators=people, classes=classes)


def copied_crowd(seed):
    """Annotators 0 .. 5 share one list of answers that is right half of the time."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, 400)
    meant = np.tile(truth, (20, 1))
    wrong = rng.random(400) < 0.5
    meant[:6] = np.where(wrong, (truth + rng.integers(1, 3, 400)) % 3, truth)
    skill = np.r_[np.full(6, 0.97), rng.uniform(0.6, 0.8, 14)]
    return truth, drawn(rng, truth, skill, meant, per_task=7)


def test_agreement_by_hand():
    """Two share four tasks and agree in three; who knows nothing expects a half of it."""
    rows = ([0, 1, 2, 3] * 2, [0] * 4 + [1] * 4, [0, 1, 0, 1, 0, 1, 0, 0])
    pairs = agreement_of_pairs(indexed(rows, tasks=4, annotators=2, classes=2), None)
    assert (pairs.first.tolist(), pairs.second.tolist()) == ([0], [1])
    assert (pairs.shared[0], pairs.observed[0], pairs.expected[0]) == (4, 0.75, 0)
    assert pairs.excess[0] == pytest.approx(0.75)


def test_expected_agreement_is_that_of_independent_annotators():
    truth, rows = skilled_crowd(tasks=3000, annotators=6, per_task=6, seed=2)
    answers = indexed(rows, tasks=3000, annotators=6, classes=3)
    pairs = agreement_of_pairs(answers, np.eye(3)[truth])
    np.testing.assert_allclose(pairs.observed, pairs.expected, atol=0.03)
    assert np.abs(pairs.deviation).max() < 4


def test_copies_are_found_and_honest_ones_are_not():
    found, wrongly = [], []
    for seed in range(10):
        _, answers = copied_crowd(seed)
        together = find_dependence(answers).group
        first = together[0]
        found.append((together[:6] == first).mean())
        wrongly.append((np.bincount(together)[together[6:]] > 1).mean())
    assert np.mean(found) >= 0.9
    assert np.mean(wrongly) <= 0.05


def test_half_the_crowd_is_never_one_voice():
    """Whether they copied or are the only good ones, the others cannot say; pairs are reported."""
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 400)
    meant = np.tile(truth, (20, 1))
    meant[:12] = rng.integers(0, 3, 400)
    answers = drawn(rng, truth, np.r_[np.full(12, 0.99), np.full(8, 0.6)], meant)
    found = find_dependence(answers)
    assert found.copies == 0
    assert len(found.dependent) > 30


@pytest.mark.parametrize("good", [0.5, 1.0])
def test_good_annotators_are_not_taken_for_copies(good):
    """They agree in nine of ten tasks because they are right."""
    merged = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        truth = rng.integers(0, 3, 400)
        skill = np.where(np.arange(30) < good * 30, rng.uniform(0.9, 0.98, 30), 0.4)
        answers = drawn(rng, truth, skill, np.tile(truth, (30, 1)), per_task=5)
        merged += find_dependence(answers).copies
    assert merged == 0


def test_counting_copies_once_finds_more_truth():
    gains = []
    for seed in range(5):
        truth, answers = copied_crowd(seed + 20)
        voices = merge_voices(answers, find_dependence(answers).group)
        blind = (fit_dawid_skene(answers).posterior.argmax(axis=1) == truth).mean()
        gains.append((fit_dawid_skene(voices).posterior.argmax(axis=1) == truth).mean() - blind)
    assert np.mean(gains) > 0.03


def test_a_voice_says_what_most_of_its_members_say():
    """Task 0: 1, 1, 0 becomes 1; task 1: 0 and 1 becomes silence; a lone voice is unchanged."""
    rows = ([0, 0, 0, 1, 1, 0, 1], [0, 1, 2, 0, 1, 3, 3], [1, 1, 0, 0, 1, 0, 1])
    answers = indexed(rows, tasks=2, annotators=4, classes=2)
    voices = merge_voices(answers, np.array([0, 0, 0, 1]))
    heard = list(zip(voices.task, voices.annotator, voices.label, strict=True))
    assert heard == [(0, 0, 1), (0, 1, 0), (1, 1, 1)]


def test_many_copies_move_nothing_once_merged():
    _, answers = copied_crowd(3)
    task, who, label = answers.task, answers.annotator, answers.label
    mine = who == 10
    again = [(task[mine], np.full(mine.sum(), 20 + n), label[mine]) for n in range(5)]
    rows = [np.concatenate(c) for c in zip((task, who, label), *again, strict=True)]
    crowded = indexed(rows, tasks=400, annotators=25, classes=3)
    group = find_dependence(crowded).group
    assert (group[20:] == group[10]).all()
    once = fit_dawid_skene(merge_voices(answers, find_dependence(answers).group)).posterior
    often = fit_dawid_skene(merge_voices(crowded, group)).posterior
    np.testing.assert_allclose(often, once, atol=1e-6)


@pytest.mark.parametrize(
    "rows", [([], [], []), ([0, 1], [0, 1], [0, 1]), ([0] * 5, [0] * 5, [1] * 5)]
)
def test_small_crowds_have_neither_copies_nor_cohorts(rows):
    answers = indexed(rows, tasks=2, annotators=3, classes=2)
    found = find_dependence(answers)
    assert found.group.tolist() == [0, 1, 2]
    assert merge_voices(answers, found.group) is answers
    assert find_cohorts(answers, rng=np.random.default_rng(0)) == ()


def crowd_of_two_minds(seed, *, share=0.6):
    """Annotators 0 .. 13 of 40 like something else on *share* of the tasks."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, 500)
    other = np.where(rng.random(500) < share, (truth + rng.integers(1, 3, 500)) % 3, truth)
    meant = np.where((np.arange(40) < 14)[:, None], other, truth)
    return truth, other, drawn(rng, truth, rng.uniform(0.7, 0.85, 40), meant)


def test_a_minority_of_one_taste_is_reported_with_what_it_likes():
    truth, other, answers = crowd_of_two_minds(0)
    (cohort,) = find_cohorts(answers, rng=np.random.default_rng(0))
    assert set(cohort.members) <= set(range(14))
    assert len(cohort.members) >= 12
    likes = cohort.posterior.argmax(axis=1)[cohort.differs]
    assert (likes == other[cohort.differs]).mean() > 0.85
    assert (other != truth)[cohort.differs].mean() > 0.85


def test_people_of_one_mind_are_seldom_split():
    """40 draws put the chance of a false cohort near .05; more than 3 in 12 has one of .002."""
    split = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        truth = rng.integers(0, 3, 300)
        skill = rng.uniform(0.5, 0.9, 30)
        answers = drawn(rng, truth, skill, np.tile(truth, (30, 1)), per_task=5)
        split += bool(find_cohorts(answers, rng=rng))
    assert split <= 3


def test_who_reverses_the_scale_is_an_annotator_to_be_read_not_a_taste():
    """Their answers follow from the main consensus, so they have none of their own."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        truth = rng.integers(0, 2, 400)
        meant = np.where((np.arange(40) < 8)[:, None], 1 - truth, truth)
        answers = drawn(rng, truth, rng.uniform(0.7, 0.85, 40), meant, classes=2)
        assert find_cohorts(answers, rng=rng) == ()
        accuracy = np.einsum("rcc->rc", fit_dawid_skene(answers).confusions).mean(axis=1)
        assert accuracy[:8].max() < 0.45
        assert accuracy[8:].min() > 0.55
