import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backbone.emu3 import Emu3Backbone, seeded
from backbone.grammar import read_grid
from backbone.tokens import Grid, visual_prompt
from data_contracts.errors import ShapeError

TEXTS = ["a red disc", "two blue squares left of a green triangle", "späße 🙂"]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**31),
    temperature=st.floats(0.3, 5.0),
    texts=st.lists(st.text(max_size=12), min_size=1, max_size=4),
)
def test_even_an_untrained_model_draws_whole_pictures_under_the_grammar(
    backbone, seed, temperature, texts
):
    drawn = backbone.generate(texts, seed=seed, grammar=True, temperature=temperature)
    assert [c.shape for c in drawn] == [(2, 3)] * len(texts)
    assert all(c.dtype == np.int64 and set(c.flat) <= set(range(32)) for c in drawn)


def test_without_the_grammar_an_untrained_model_draws_nothing(backbone):
    """About 1 token in 9 fits at each of six places, 1 in 297 at four more: 1e-15 altogether."""
    assert backbone.generate(TEXTS, seed=0, grammar=False) == [None] * 3


def test_one_seed_one_set_of_pictures(backbone):
    def draw(seed: int) -> list[list[list[int]]]:
        return [c.tolist() for c in backbone.generate(TEXTS, seed=seed, grammar=True)]

    assert draw(5) == draw(5)
    assert draw(5) != draw(6)


def test_places_of_one_call_are_drawn_apart(backbone):
    """A seed used afresh for each batch would draw the first batch again and again."""
    small = Emu3Backbone(backbone.model, backbone.tokenizer, grid=backbone.grid, batch_size=2)
    drawn = small.generate(["a red disc"] * 6, seed=0, grammar=True)
    assert len({c.tobytes() for c in drawn}) == 6


def test_sampling_leaves_the_callers_randomness_alone(backbone):
    before = torch.get_rng_state()
    numpy_before = np.random.get_state()[1].copy()  # noqa: NPY002  # the global state is the point
    backbone.generate(TEXTS, seed=5, grammar=True)
    backbone.write(TEXTS, seed=5, max_tokens=3)
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(numpy_before, np.random.get_state()[1])  # noqa: NPY002


def test_randomness_comes_back_even_after_a_failure():
    before = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), seeded(3):
        _ = 1 / float(torch.zeros(1))
    assert torch.equal(before, torch.get_rng_state())


def test_text_is_short_and_repeats_by_seed(backbone):
    first = backbone.write(TEXTS, seed=2, max_tokens=4)
    assert first == backbone.write(TEXTS, seed=2, max_tokens=4)
    assert first != backbone.write(TEXTS, seed=3, max_tokens=4)
    assert max(map(len, first)) <= 4
    assert not any("<|" in answer for answer in first)


def test_progress_counts_every_picture(backbone):
    small = Emu3Backbone(backbone.model, backbone.tokenizer, grid=backbone.grid, batch_size=2)
    seen: list[int] = []
    small.generate(TEXTS, seed=0, grammar=True, progress=seen.append)
    assert seen == [2, 1]


def test_samples_follow_the_models_own_probabilities(backbone):
    """The first token of 3,000 samples against the model's probabilities under the grammar."""
    few = Emu3Backbone(
        backbone.model, backbone.tokenizer, grid=Grid(height=1, width=1), batch_size=1000
    )
    drawn = few.generate(["x"] * 3000, seed=9, grammar=True)
    counts = np.bincount([int(c[0, 0]) for c in drawn], minlength=32)
    prompt = few.tokenizer(visual_prompt("x", few.grid), return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        logits = few.model(input_ids=prompt).logits[0, -1]
    expected = 3000 * logits[list(few.ids.visual)].softmax(-1).numpy()
    # Chi-squared with 31 degrees of freedom: above 61 once in a thousand.
    assert float(((counts - expected) ** 2 / expected).sum()) < 61


def test_a_picture_is_spelled_as_the_model_would_write_it(backbone):
    codes = np.arange(6).reshape(2, 3)
    ids = backbone.tokenizer(backbone.completion(codes), add_special_tokens=False)["input_ids"]
    np.testing.assert_array_equal(read_grid(ids, backbone.grid, backbone.ids), codes)
    assert ids[-1] == backbone.ids.eos
    assert len(ids) == backbone.grid.tokens + 3


def test_pictures_become_codes_one_a_token_wherever_they_stand(backbone):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (5, 8, 12, 3), dtype=np.uint8)
    codes = backbone.tokenise(pictures)
    assert [c.shape for c in codes] == [(2, 3)] * 5
    backwards = backbone.tokenise(pictures[::-1])
    np.testing.assert_array_equal(np.stack(codes), np.stack(backwards[::-1]))
    shown = backbone.decode(codes)
    assert shown.shape == pictures.shape
    assert shown.dtype == np.uint8
    # One grey level: rounding may fall either way in another batch.
    alone = np.concatenate([backbone.decode([c]) for c in codes]).astype(int)
    assert np.abs(alone - shown).max() <= 1


def test_no_pictures_are_no_codes(backbone):
    assert backbone.tokenise(np.empty((0, 8, 12, 3), np.uint8)) == []
    assert backbone.decode([]).shape == (0, 8, 12, 3)


@pytest.mark.parametrize("shape", [(2, 12, 8, 3), (2, 8, 12, 1), (8, 12, 3)])
def test_refuses_pictures_that_do_not_fit_the_grid(backbone, shape):
    with pytest.raises(ShapeError, match=r"it takes \(8, 12, 3\)"):
        backbone.tokenise(np.zeros(shape, np.uint8))
