"""Trains the picture tokenizer (VQ) of a tiny Emu3 from pictures.

transformers ships the VQ for inference only: its quantiser returns indices without a gradient.
Ours needs none, because a teacher names the code of every patch: the nearest of the most frequent
patches. The encoder learns to hit that code, the decoder to draw it (see docs/decisions).
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Emu3ForConditionalGeneration

from backbone.picture_codec import PictureCodec, squared_distances
from backbone.protocol import Codes

Pixels = npt.NDArray[np.uint8]
Progress = Callable[[int, float], None]

_TEACHING_PICTURES: Final = 4096
_CHUNK: Final = 256


def train_tokenizer(
    model: Emu3ForConditionalGeneration,
    draw: Callable[[int], Pixels],
    *,
    teacher: Tensor,
    steps: int,
    batch_size: int = 32,
    learning_rate: float = 3e-3,
    seed: int = 0,
    progress: Progress | None = None,
) -> None:
    """Train *model*'s VQ in place on pictures from *draw*(count).

    Args:
        model: a tiny Emu3.
        draw: returns (count, height, width, 3) pictures.
        teacher: (codes, 3 * side * side) patches, from `frequent_patches`.
        steps: optimiser steps.
        batch_size: pictures a step.
        learning_rate: the top of a one-cycle schedule.
        seed: of the codebook's places.
        progress: called with the step and the loss.
    """
    net = PictureCodec(model).train()
    side = model.model.vqmodel.spatial_scale_factor
    codebook = model.model.vqmodel.quantize.embedding.weight.requires_grad_(False)
    # Far apart and never moved: what a code means is the teacher's business.
    codebook.copy_(torch.randn(codebook.shape, generator=torch.Generator().manual_seed(seed)))
    weights = [p for p in net.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, learning_rate, total_steps=steps, pct_start=0.08
    )
    for step in range(steps):
        if step == steps * 7 // 10:
            _freeze_batch_norm(net)  # what inference will use; train the rest against it
        x = _to_tensor(draw(batch_size))
        codes = nearest_patch(x, teacher, side=side)
        latents = net.encode(x)
        named = functional.cross_entropy(-squared_distances(latents, codebook), codes.flatten())
        error = net.decode(codebook[codes]) - x
        # Most pixels are plain background, and shapes differ at their edges only: without
        # weight the few pixels that matter would be blurred.
        weight = 1.0 + 3.0 * _detail(x) + 6.0 * _edges(x)
        loss = (weight * (error.abs() + error.pow(2))).mean() + named
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        schedule.step()
        if progress is not None:
            progress(step, float(loss.detach()))
    codebook.requires_grad_(True)
    net.eval()


def name_patches(pictures: Pixels, teacher: Tensor, *, side: int) -> list[Codes]:
    """Name every patch of (n, height, width, 3) pictures as *teacher* does: n code arrays."""
    n, height, width = pictures.shape[:3]
    # Room for all names before any distance: names kept between freed distances pin the heap.
    named = np.empty((n, height // side, width // side), np.int64)
    for start in range(0, n, _CHUNK):
        part = slice(start, start + _CHUNK)
        named[part] = nearest_patch(_to_tensor(pictures[part]), teacher, side=side).numpy()
    return list(named)


def frequent_patches(draw: Callable[[int], Pixels], *, side: int, count: int) -> Tensor:
    """Return the (at most *count*, 3 * side * side) most frequent patches of some pictures."""
    found: Tensor | None = None
    times = torch.empty(0)
    for _ in range(_TEACHING_PICTURES // _CHUNK):
        patches = _patches(_to_tensor(draw(_CHUNK)), side).flatten(0, 1)
        some, seen = patches.unique(dim=0, return_counts=True)
        if found is not None:
            every = torch.cat([found, some])
            found, place = every.unique(dim=0, return_inverse=True)
            both = torch.cat([times, seen.float()])
            times = torch.zeros(len(found)).index_add_(0, place, both)
        else:
            found, times = some, seen.float()
    assert found is not None
    # Ties are broken by the patches' own order, which `unique` made canonical.
    order = times.sort(descending=True, stable=True).indices[:count]
    return found[order]


def nearest_patch(x: Tensor, teacher: Tensor, *, side: int) -> Tensor:
    """Return (n, rows, columns): which of the *teacher*'s patches each patch is closest to."""
    n, _, height, width = x.shape
    patches = _patches(x, side).flatten(0, 1)
    distance = teacher.pow(2).sum(1) - 2 * patches @ teacher.T
    return distance.argmin(1).view(n, height // side, width // side)


def _patches(x: Tensor, side: int) -> Tensor:
    return functional.unfold(x, side, stride=side).transpose(1, 2)


def _to_tensor(pictures: Pixels) -> Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1.0


def _detail(x: Tensor) -> Tensor:
    """Mark pixels that differ from their picture's most common colour (by its median)."""
    median = x.flatten(2).median(-1).values[..., None, None]
    return ((x - median).abs().amax(1, keepdim=True) > 0.1).float()


def _edges(x: Tensor) -> Tensor:
    """Mark pixels that differ from a neighbour."""
    spread = functional.max_pool2d(x, 3, 1, 1) + functional.max_pool2d(-x, 3, 1, 1)
    return (spread.amax(1, keepdim=True) > 0.2).float()


def _freeze_batch_norm(net: nn.Module) -> None:
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
