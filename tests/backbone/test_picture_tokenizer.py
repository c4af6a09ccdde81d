import copy

import numpy as np
import pytest
import torch
from torch import nn
from transformers import Emu3ForConditionalGeneration

from backbone.emu3 import Emu3Backbone, seeded
from backbone.train_tokenizer import TrainableTokenizer, train_tokenizer


@pytest.fixture
def model(backbone: Emu3Backbone) -> Emu3ForConditionalGeneration:
    """A copy that a test may train, with statistics as after training, not those of birth."""
    fresh = copy.deepcopy(backbone.model)
    with seeded(4):
        for module in fresh.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2.0)
    return fresh


def squares(count: int, rng: np.random.Generator) -> np.ndarray:
    """One coloured square of 4 pixels somewhere on a plain ground of 8 x 12."""
    pictures = np.full((count, 8, 12, 3), 200, np.uint8)
    for picture in pictures:
        y, x = 4 * rng.integers(2), 4 * rng.integers(3)
        picture[y : y + 4, x : x + 4] = rng.choice([[220, 40, 40], [40, 40, 220]])
    return pictures


def random_inputs(n: int) -> torch.Tensor:
    return torch.rand(n, 3, 8, 12, generator=torch.Generator().manual_seed(8)) * 2 - 1


@torch.inference_mode()
def test_encodes_as_transformers_does(model):
    x = random_inputs(6)
    vq = model.model.vqmodel
    latents = TrainableTokenizer(model).encode(x)
    seen: list[torch.Tensor] = []
    hook = vq.quantize.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    tokens = vq.encode(x, torch.tensor([[8, 12]] * 6)).image_tokens
    hook.remove()
    torch.testing.assert_close(latents, seen[0][:, 0].permute(0, 2, 3, 1), atol=1e-4, rtol=1e-4)
    distance = (latents[..., None, :] - vq.quantize.embedding.weight).pow(2).sum(-1)
    assert torch.equal(distance.argmin(-1), torch.stack(tokens))


@torch.inference_mode()
def test_decodes_as_transformers_does(model):
    codes = torch.randint(0, 32, (6, 2, 3), generator=torch.Generator().manual_seed(8))
    vq = model.model.vqmodel
    ours = TrainableTokenizer(model).decode(vq.quantize.embedding.weight[codes])
    torch.testing.assert_close(ours, vq.decode(codes), atol=1e-4, rtol=1e-4)


def test_the_gradient_reaches_both_ends(model):
    net = TrainableTokenizer(model)
    net.decode(net.encode(random_inputs(2))).pow(2).sum().backward()
    vq = model.model.vqmodel
    assert vq.encoder.conv_in.weight.grad.abs().sum() > 0
    assert vq.decoder.conv_out.weight.grad.abs().sum() > 0


def test_training_learns_to_show_what_it_saw(model):
    rng = np.random.default_rng(0)
    losses: list[float] = []
    with seeded(0):
        train_tokenizer(
            model,
            lambda count: squares(count, rng),
            warmup_steps=12,
            steps=36,
            batch_size=8,
            progress=lambda _, loss: losses.append(loss),
        )
    assert np.mean(losses[-8:]) < 0.5 * np.mean(losses[:4])
    assert not model.model.vqmodel.training
    assert model.model.vqmodel.quantize.embedding.weight.requires_grad


def test_training_is_the_same_for_the_same_seed_and_leaves_randomness_alone(model):
    def trained() -> list[torch.Tensor]:
        again = copy.deepcopy(model)
        rng = np.random.default_rng(0)
        train_tokenizer(
            again, lambda count: squares(count, rng), warmup_steps=2, steps=4, batch_size=8, seed=3
        )
        return [p.detach() for p in again.model.vqmodel.parameters()]

    before = torch.get_rng_state()
    first = trained()
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(7)
    assert all(torch.equal(a, b) for a, b in zip(first, trained(), strict=True))
