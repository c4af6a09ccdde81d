"""Long texts that nearly agree share a cluster, whatever else of their template lies between."""

import numpy as np
import pyarrow as pa
import pytest

from pipelines.preferences.splits import _signature, normalise_text, split_prompts

WORDS = [f"w{n}" for n in range(5000)]


def near_copies(seed, relatives):
    """Two texts that differ in one word of sixty, and relatives that differ in five each."""
    rng = np.random.default_rng(seed)
    base = rng.choice(WORDS, 60, replace=False).tolist()
    texts = [base, [*base[:30], "other", *base[31:]]]
    for _ in range(relatives):
        relative = list(base)
        for place in rng.choice(60, 5, replace=False):
            relative[place] = str(rng.choice(WORDS))
        texts.append(relative)
    return texts, [f"p{n:04d}" for n in rng.permutation(len(texts))]


@pytest.mark.parametrize("relatives", [0, 20, 200])
def test_relatives_between_two_copies_do_not_hide_them(relatives):
    for seed in range(10):
        texts, ids = near_copies(seed, relatives)
        prompts = pa.table({"prompt_id": ids, "text": [" ".join(words) for words in texts]})
        cluster = {r["prompt_id"]: r["cluster"] for r in split_prompts(prompts).to_pylist()}
        assert cluster[ids[0]] == cluster[ids[1]], seed


def test_a_signature_tells_how_alike_two_texts_are():
    """Functions that rank shingles alike would agree or not all at once: a spread of .15."""
    errors = []
    for seed in range(60):
        (one, two), _ = near_copies(seed, 0)
        words = [normalise_text(" ".join(text)) for text in (one, two)]
        first, second = ({w[n : n + 3] for n in range(len(w) - 2)} for w in words)
        truth = len(first & second) / len(first | second)
        agree = (_signature(words[0]) == _signature(words[1])).mean()
        errors.append(agree - truth)
    spread = np.sqrt(truth * (1 - truth) / 64)  # of 64 independent functions: .037
    assert np.std(errors) < 1.4 * spread
    assert abs(np.mean(errors)) < 4 * spread / np.sqrt(60)


def test_thousands_of_one_template_that_differ_stay_apart():
    rng = np.random.default_rng(0)
    texts = []
    for _ in range(3000):
        words = [f"w{n}" for n in range(40)]
        for place in rng.choice(40, 12, replace=False):
            words[place] = f"x{rng.integers(3000)}"
        texts.append(" ".join(words))
    prompts = pa.table({"prompt_id": [f"p{n}" for n in range(3000)], "text": texts})
    clusters = split_prompts(prompts)["cluster"].to_pylist()
    assert len(set(clusters)) > 2900


def test_texts_without_a_word_are_alike_only_by_what_they_show():
    """Emoji are no words; were they nothing, every such prompt would share one split."""
    assert clusters("🐶🌊", "🐱🌊", "🌊 🐶", "?!") == [0, 1, 0, 2]


def test_one_text_in_two_spellings_of_its_accents_is_one_text():
    assert clusters("a caf\u00e9 in K\u00f6ln", "a cafe\u0301 in Ko\u0308ln", "a cafe") == [0, 0, 1]


def clusters(*texts):
    """The clusters of *texts*, numbered as they come."""
    rows = split_prompts(
        pa.table({"prompt_id": [f"p{n}" for n in range(len(texts))], "text": texts})
    )
    names = rows["cluster"].to_pylist()
    return [list(dict.fromkeys(names)).index(name) for name in names]
