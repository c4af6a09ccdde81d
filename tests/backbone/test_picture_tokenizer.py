import copy

import numpy as np
import pytest
import torch
from torch import nn
from transformers import Emu3ForConditionalGeneration

from backbone.emu3 import Emu3Backbone, seeded
from backbone.picture_codec import PictureCodec
from backbone.train_tokenizer import frequent_patches, nearest_patch, train_tokenizer

SIDE = 4  # pixels of a patch in these pictures


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
    """One square of 4 pixels, red or less often blue, on a plain ground of 8 x 12."""
    pictures = np.full((count, 8, 12, 3), 200, np.uint8)
    for picture in pictures:
        y, x = 4 * rng.integers(2), 4 * rng.integers(3)
        picture[y : y + 4, x : x + 4] = rng.choice([[220, 40, 40], [40, 40, 220]], p=[0.7, 0.3])
    return pictures


def random_inputs(n: int) -> torch.Tensor:
    return torch.rand(n, 3, 8, 12, generator=torch.Generator().manual_seed(8)) * 2 - 1


@torch.inference_mode()
def test_encodes_as_transformers_does(model):
    x = random_inputs(6)
    vq = model.model.vqmodel
    latents = PictureCodec(model).encode(x)
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
    ours = PictureCodec(model).decode(vq.quantize.embedding.weight[codes])
    torch.testing.assert_close(ours, vq.decode(codes), atol=1e-4, rtol=1e-4)


def test_the_gradient_reaches_both_ends(model):
    net = PictureCodec(model)
    net.decode(net.encode(random_inputs(2))).pow(2).sum().backward()
    vq = model.model.vqmodel
    assert vq.encoder.conv_in.weight.grad.abs().sum() > 0
    assert vq.decoder.conv_out.weight.grad.abs().sum() > 0


def test_a_trained_tokenizer_names_and_shows_every_patch(model, backbone):
    """Three kinds of patches: nearly all get the teacher's code, and come out as they went in."""
    rng = np.random.default_rng(0)
    losses: list[float] = []
    teacher = frequent_patches(lambda count: squares(count, rng), side=SIDE, count=32)
    train_tokenizer(
        model,
        lambda count: squares(count, rng),
        teacher=teacher,
        steps=70,
        batch_size=8,
        progress=lambda _, loss: losses.append(loss),
    )
    assert np.mean(losses[-8:]) < 0.2 * np.mean(losses[:4])
    assert not model.model.vqmodel.training
    assert model.model.vqmodel.quantize.embedding.weight.requires_grad
    trained = Emu3Backbone(model, backbone.tokenizer, grid=backbone.grid)
    fresh = squares(50, rng)
    codes = np.stack(trained.tokenise(fresh))
    taught = nearest_patch(as_inputs(fresh), teacher, side=4).numpy()
    assert (codes == taught).mean() > 0.95
    assert np.abs(trained.decode(list(taught)).astype(int) - fresh).mean() < 20


def test_training_is_the_same_for_the_same_seed_and_leaves_randomness_alone(model):
    def trained(seed: int) -> list[torch.Tensor]:
        again = copy.deepcopy(model)
        rng = np.random.default_rng(0)
        teacher = frequent_patches(lambda count: squares(count, rng), side=SIDE, count=32)
        train_tokenizer(
            again,
            lambda count: squares(count, rng),
            teacher=teacher,
            steps=4,
            batch_size=8,
            seed=seed,
        )
        return [p.detach() for p in again.model.vqmodel.parameters()]

    before = torch.get_rng_state()
    first = trained(3)
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(7)
    assert all(torch.equal(a, b) for a, b in zip(first, trained(3), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, trained(4), strict=True))


def as_inputs(pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def test_the_teacher_knows_the_most_frequent_patches_best_first():
    """On each picture 5 of 6 patches are plain ground and 1 is a square."""
    rng = np.random.default_rng(0)
    patches = frequent_patches(lambda count: squares(count, rng), side=4, count=8)
    assert patches.shape == (3, 3 * 4 * 4)
    np.testing.assert_allclose(patches[0], 200 / 127.5 - 1, rtol=1e-5)
    only = frequent_patches(lambda count: squares(count, rng), side=4, count=1)
    torch.testing.assert_close(only, patches[:1])


def test_the_order_of_pictures_does_not_change_the_teacher():
    rng = np.random.default_rng(0)
    drawn = [rng.integers(0, 2, (256, 4, 4, 3)).astype(np.uint8) * 255 for _ in range(16)]
    drawn = [d[:, :2, :2].repeat(2, 1).repeat(2, 2) for d in drawn]
    there, back = iter(drawn), iter([d[::-1].copy() for d in drawn[::-1]])
    first = frequent_patches(lambda _: next(there), side=2, count=8)
    second = frequent_patches(lambda _: next(back), side=2, count=8)
    torch.testing.assert_close(first, second)
    assert len(first.unique(dim=0)) == 8


def test_each_patch_is_taught_the_nearest_of_the_teachers():
    """Row by row: dark, light, light over light, dark, dark; noise of 9 grey levels is forgiven."""
    shades = np.array([[0, 255, 255], [255, 0, 0]], np.uint8)
    picture = shades.repeat(4, 0).repeat(4, 1)[None, ..., None].repeat(3, 3)
    noise = np.random.default_rng(0).integers(0, 10, picture.shape)
    noisy = np.where(picture == 0, noise, 255 - noise).astype(np.uint8)
    teacher = torch.stack([torch.full((48,), 1.0), torch.full((48,), -1.0)])
    codes = nearest_patch(as_inputs(noisy), teacher, side=4)
    assert codes.tolist() == [[[1, 0, 0], [0, 1, 1]]]
