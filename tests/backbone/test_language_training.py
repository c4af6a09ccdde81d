import copy

import numpy as np
import pytest
import torch

from backbone.emu3 import Emu3Backbone
from backbone.tokens import visual_prompt
from backbone.train_language import train_language
from data_contracts.errors import ShapeError

WORDS = ("red", "two blue", "green on top of yellow")


@pytest.fixture
def pupil(backbone: Emu3Backbone) -> Emu3Backbone:
    return Emu3Backbone(copy.deepcopy(backbone.model), backbone.tokenizer, grid=backbone.grid)


def lessons(count: int) -> tuple[list[str], list[np.ndarray]]:
    """Each word always has the same picture, and half of its codes are chance."""
    rng = np.random.default_rng(0)
    kinds = np.arange(count) % 3
    codes = [np.array([[k, k + 3, k + 6], rng.integers(0, 2, 3)]) for k in kinds]
    return [WORDS[k] for k in kinds], codes


def test_learns_until_only_chance_is_left(pupil):
    """Of 11 tokens 3 are fair coins: no model can do better than 3 ln 2 / 11 = 0.19 nats."""
    texts, codes = lessons(96)
    run = train_language(
        pupil, texts, codes, held_out=24, steps=100, batch_size=24, learning_rate=2e-2
    )
    losses = [loss for _, loss in run.held_out]
    assert losses[0] > 4.0  # ln 297 = 5.7 is to know nothing
    assert 0.15 < losses[-1] < 0.3
    assert [step for step, _ in run.train] == list(range(100))
    assert run.held_out[-1][0] == 99
    assert not pupil.model.training


def test_held_out_loss_is_the_mean_log_probability_of_the_pictures_tokens(pupil):
    texts, codes = lessons(12)
    run = train_language(pupil, texts, codes, held_out=6, steps=1, batch_size=3, learning_rate=1e-9)
    prompts = [visual_prompt(t, pupil.grid) for t in texts[-6:]]
    logs = pupil.sequence_logprobs(prompts, [pupil.completion(c) for c in codes[-6:]])
    assert run.held_out[-1][1] == pytest.approx(-logs.mean() / 11, abs=1e-4)


def test_held_out_loss_does_not_depend_on_the_batch_size(pupil):
    texts, codes = lessons(16)

    def loss(batch_size: int) -> float:
        run = train_language(
            pupil, texts, codes, held_out=5, steps=1, batch_size=batch_size, learning_rate=1e-9
        )
        return run.held_out[0][1]

    assert loss(2) == pytest.approx(loss(5), abs=1e-4)


def test_the_same_seed_gives_the_same_model(backbone):
    texts, codes = lessons(24)

    def trained(seed: int) -> torch.Tensor:
        again = Emu3Backbone(copy.deepcopy(backbone.model), backbone.tokenizer, grid=backbone.grid)
        train_language(again, texts, codes, held_out=6, steps=3, batch_size=6, seed=seed)
        return again.model.lm_head.weight.detach()

    first = trained(1)
    torch.rand(5)
    assert torch.equal(first, trained(1))
    assert not torch.equal(first, trained(2))


def test_the_picture_tokenizer_stays_as_it_was(pupil):
    before = [p.detach().clone() for p in pupil.model.model.vqmodel.parameters()]
    texts, codes = lessons(24)
    train_language(pupil, texts, codes, held_out=6, steps=2, batch_size=6)
    after = pupil.model.model.vqmodel.parameters()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("held_out", [0, 12, 13])
def test_refuses_to_hold_out_none_or_all(pupil, held_out):
    texts, codes = lessons(12)
    with pytest.raises(ShapeError, match="12 examples"):
        train_language(pupil, texts, codes, held_out=held_out, steps=1)


def test_refuses_texts_without_their_pictures(pupil):
    texts, codes = lessons(12)
    with pytest.raises(ShapeError, match="11 pictures"):
        train_language(pupil, texts, codes[1:], held_out=3, steps=1)
