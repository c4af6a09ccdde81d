"""What generations of one prompt say of each other."""

import numpy as np
import pytest
from scipy.special import ndtri

from pipelines.preferences.siblings import (
    better_chance,
    classes_at,
    find_siblings,
    finer_evidence,
)

CLASSES = 7
EVEN = np.full(CLASSES, 1 / CLASSES)


def studio(likeness, *, prompts=1500, each=4, noise=1.0, seed=0):
    """Draw qualities of which siblings share a part, and noisy evidence of each."""
    rng = np.random.default_rng(seed)
    prompt = np.repeat(np.arange(prompts), each)
    quality = np.sqrt(likeness) * rng.normal(size=prompts)[prompt]
    quality = quality + np.sqrt(1 - likeness) * rng.normal(size=len(prompt))
    seen = quality + noise * rng.normal(size=len(prompt))
    middle = ndtri((np.arange(CLASSES) + 0.5) / CLASSES)
    return prompt, quality, -0.5 * ((seen[:, None] - middle) / noise) ** 2


@pytest.mark.parametrize("likeness", [0.0, 0.2, 0.5])
def test_recovers_how_alike_siblings_are(likeness):
    prompt, _, evidence = studio(likeness)
    assert find_siblings(evidence, prompt, EVEN).likeness == pytest.approx(likeness, abs=0.051)


def test_pairs_of_alike_siblings_are_not_too_sure():
    """Taken as strangers, the same pairs claim more than they keep."""
    prompt, quality, evidence = studio(0.5, prompts=8000, noise=1.5)
    made = find_siblings(evidence, prompt, EVEN)
    first = np.arange(0, len(prompt), 4)
    second = first + 1
    truth = quality[first] > quality[second]

    def overclaim(chance):
        return np.maximum(chance, 1 - chance).mean() - ((chance > 0.5) == truth).mean()

    alone = np.exp(evidence) / np.exp(evidence).sum(axis=1, keepdims=True)
    assert overclaim(better_chance(alone[first], alone[second])) > 0.02
    assert abs(overclaim(made.better_chance(first, second))) < 0.01


def test_siblings_that_are_not_alike_say_nothing():
    prompt, _, evidence = studio(0.0)
    made = find_siblings(evidence, prompt, EVEN)
    assert made.likeness == 0.0
    strangers = find_siblings(evidence, np.arange(len(prompt)), EVEN)
    np.testing.assert_allclose(made.posterior, strangers.posterior, atol=1e-12)


def test_a_good_sibling_speaks_for_one_that_nobody_saw():
    prompt, _, evidence = studio(0.5)
    evidence = np.concatenate([evidence, np.zeros((2, CLASSES))])
    evidence[-2, -1] = 8.0  # surely of the best class; its sibling is unknown
    prompt = np.concatenate([prompt, [prompt.max() + 1] * 2])
    made = find_siblings(evidence, prompt, EVEN)
    mean = made.posterior @ np.arange(CLASSES)
    assert mean[-1] > 0.5 * (CLASSES - 1) + 0.5
    best, unseen = np.array([len(prompt) - 2]), np.array([len(prompt) - 1])
    alone = np.exp(evidence[-2:]) / np.exp(evidence[-2:]).sum(axis=1, keepdims=True)
    assert 0.5 < made.better_chance(best, unseen)[0] < better_chance(alone[:1], alone[1:])[0]


def test_either_side_of_a_pair_and_nothing_known():
    prompt, _, evidence = studio(0.3, prompts=50)
    evidence[:2] = 0.0
    made = find_siblings(evidence, prompt, EVEN)
    a, b = np.arange(0, 200, 4), np.arange(1, 200, 4)
    np.testing.assert_allclose(made.better_chance(a, b) + made.better_chance(b, a), 1.0)
    assert made.better_chance(a[:1], b[:1])[0] == pytest.approx(0.5, abs=1e-12)


def test_classes_a_gold_level_forbids_stay_forbidden():
    prompt, _, evidence = studio(0.3, prompts=20)
    evidence[0, 1:] = -np.inf
    made = find_siblings(evidence, prompt, EVEN)
    np.testing.assert_allclose(made.posterior[0], np.eye(CLASSES)[0])
    assert np.isfinite(made.posterior).all()


def test_finer_evidence_by_hand():
    """Three even classes, middles at -.967, 0, .967; the inner parts lie at -.589 and 0.

    A straight line over the scores stays straight, a forbidden class forbids all its parts.
    """
    shares = np.full(3, 1 / 3)
    middle = ndtri(np.array([1, 3, 5]) / 6)
    parts = ndtri((np.arange(9) + 0.5) / 9)
    straight = finer_evidence(2.0 * middle[None], shares)
    np.testing.assert_allclose(straight[0], 2.0 * parts)
    forbidden = finer_evidence(np.array([[-np.inf, 0.0, 1.0]]), shares)[0]
    assert np.isneginf(forbidden[:3]).all()
    np.testing.assert_allclose(forbidden[3:5], 0.0)
    np.testing.assert_allclose(
        forbidden[6:], 1.0 + (parts[6:] - middle[2]) / (middle[2] - middle[1])
    )


def test_levels_keep_the_frequency_of_classes():
    nodes, weights = np.polynomial.hermite_e.hermegauss(9)
    shares = np.array([0.1, 0.2, 0.3, 0.4])
    mean = (weights / weights.sum()) @ classes_at(nodes, shares, 0.4)
    np.testing.assert_allclose(mean, shares, atol=5e-3)
