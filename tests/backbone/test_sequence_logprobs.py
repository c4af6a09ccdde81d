import numpy as np
import pytest
import torch

from backbone.emu3 import Emu3Backbone
from backbone.tokens import text_completion, text_prompt, visual_prompt
from data_contracts.errors import ShapeError

# Different lengths on both sides, so that every batch needs padding.
ASKED = ["a red disc", "two blue squares left of a green triangle", "", "späße 🙂", "a red disc"]


def sequences(backbone: Emu3Backbone) -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(3)
    drawn = [backbone.completion(rng.integers(0, 32, (2, 3))) for _ in ASKED[:3]]
    prompts = [visual_prompt(t, backbone.grid) for t in ASKED[:3]]
    prompts += [text_prompt(t) for t in ASKED[3:]]
    return prompts, [*drawn, text_completion("yes"), text_completion("a long answer, in words")]


def one_by_one(backbone: Emu3Backbone, prompt: str, completion: str) -> float:
    """The chain rule as it is written in books: no batch, no padding, no mask, a pass a token."""
    head = backbone.tokenizer(prompt, add_special_tokens=False)["input_ids"]
    tail = backbone.tokenizer(completion, add_special_tokens=False)["input_ids"]
    total = 0.0
    for k, token in enumerate(tail):
        with torch.inference_mode():
            logits = backbone.model(input_ids=torch.tensor([head + tail[:k]])).logits[0, -1]
        total += float(logits.double().log_softmax(-1)[token])
    return total


def test_is_the_sum_of_each_tokens_log_probability(backbone):
    prompts, completions = sequences(backbone)
    slow = [one_by_one(backbone, p, c) for p, c in zip(prompts, completions, strict=True)]
    np.testing.assert_allclose(backbone.sequence_logprobs(prompts, completions), slow, atol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_neighbours_in_the_batch_change_nothing(backbone, batch_size):
    prompts, completions = sequences(backbone)
    together = backbone.sequence_logprobs(prompts, completions)
    small = Emu3Backbone(
        backbone.model, backbone.tokenizer, grid=backbone.grid, batch_size=batch_size
    )
    np.testing.assert_allclose(small.sequence_logprobs(prompts, completions), together, atol=1e-4)
    backwards = backbone.sequence_logprobs(prompts[::-1], completions[::-1])
    np.testing.assert_allclose(backwards[::-1], together, atol=1e-4)


def test_saying_nothing_is_certain(backbone):
    np.testing.assert_array_equal(backbone.sequence_logprobs([text_prompt("x")], [""]), [0.0])
    assert backbone.sequence_logprobs([], []).shape == (0,)


def test_refuses_prompts_without_their_completions(backbone):
    with pytest.raises(ShapeError, match="2 prompts but 1 completions"):
        backbone.sequence_logprobs(["a", "b"], ["c"])
