"""Trains the picture tokenizer (VQ) of a tiny Emu3 from pictures.

transformers ships the VQ for inference only: its quantiser returns indices without a gradient.
Here the gradient goes straight through (van den Oord et al. 2017), and the codebook follows the
encoder by exponential averages after a k-means start.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Emu3ForConditionalGeneration

Pixels = npt.NDArray[np.uint8]
Progress = Callable[[int, float], None]

_DECAY: Final = 0.97
_COMMITMENT: Final = 0.5
_CONSISTENCY: Final = 2.0


class TrainableTokenizer(nn.Module):
    """Encode and decode single pictures with gradients.

    Emu3's VQ treats a picture as a film of equal frames. Equal frames need not be computed
    again: the spatial layers run once a picture and the frames are repeated after them, which
    gives the same output at a quarter of the cost (see the test).
    """

    def __init__(self, model: Emu3ForConditionalGeneration) -> None:
        super().__init__()
        self.vq = model.model.vqmodel
        self.frames = model.config.vq_config.temporal_downsample_factor

    def encode(self, pictures: Tensor) -> Tensor:
        """Map (n, 3, height, width) in [-1, 1] to latents (n, rows, columns, channels)."""
        e = self.vq.encoder
        h = e.middle_block(e.down_block(e.conv_in(pictures)))
        h = e.conv_out(_swish(e.norm_out(h)))
        h = h.unsqueeze(2).repeat(1, 1, self.frames, 1, 1)
        for conv in e.time_conv:
            h = _swish(conv(h))
        for layer in e.time_res_stack:
            h = layer(h)
        return self.vq.quant_conv(h)[:, :, 0].permute(0, 2, 3, 1)

    def decode(self, latents: Tensor) -> Tensor:
        """Map latents (n, rows, columns, channels) to (n, 3, height, width), first frame only."""
        d = self.vq.decoder
        quantised = latents.permute(0, 3, 1, 2).unsqueeze(2)
        h = torch.cat([self.vq.post_quant_conv(quantised), quantised])
        for layer in d.time_res_stack:
            h = layer(h)
        for conv in d.time_conv:
            h = _swish(conv(h))
        hidden, quant = h[:, :, 0].chunk(2)
        hidden = d.middle_block(d.conv_in(hidden), quant)
        hidden = d.norm_out(d.up_block(hidden, quant), quant)
        return d.conv_out(_swish(hidden))


def train_tokenizer(
    model: Emu3ForConditionalGeneration,
    draw: Callable[[int], Pixels],
    *,
    warmup_steps: int,
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
        warmup_steps: without quantisation, before the codebook is placed.
        steps: with quantisation.
        batch_size: pictures a step.
        learning_rate: the top of a one-cycle schedule.
        seed: of k-means; nothing else is left to chance.
        progress: called with the step and the loss.
    """
    net = TrainableTokenizer(model).train()
    codebook = model.model.vqmodel.quantize.embedding.weight.requires_grad_(False)
    weights = [p for p in net.parameters() if p.requires_grad]
    total = warmup_steps + steps
    optimiser = torch.optim.AdamW(weights, lr=learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, learning_rate, total_steps=total, pct_start=0.08
    )
    averages: tuple[Tensor, Tensor] | None = None
    for step in range(total):
        if step == total * 7 // 10:
            _freeze_batch_norm(net)  # what inference will use; train the rest against it
        pictures = draw(batch_size)
        x = _to_tensor(pictures)
        latents = net.encode(x)
        commitment = _CONSISTENCY * _inconsistency(latents, x)
        if step >= warmup_steps:
            flat = latents.reshape(-1, latents.shape[-1])
            if averages is None:
                averages = _place_codebook(net, codebook, draw, seed)
            codes = _nearest(flat.detach(), codebook)
            if step < total - steps // 4:
                _follow(codebook, averages, codes, flat.detach(), revive=step % 20 == 0)
            quantised = codebook[codes].view_as(latents)
            commitment = commitment + _COMMITMENT * (latents - quantised).pow(2).mean()
            latents = latents + (quantised - latents).detach()
        error = net.decode(latents) - x
        # Most pixels are plain background, and shapes differ at their edges only: without
        # weight the few pixels that matter would be blurred.
        weight = 1.0 + 3.0 * _detail(x) + 6.0 * _edges(x)
        loss = (weight * (error.abs() + error.pow(2))).mean() + commitment
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        schedule.step()
        if progress is not None:
            progress(step, float(loss.detach()))
    codebook.requires_grad_(True)
    net.eval()


def _swish(x: Tensor) -> Tensor:
    return x * torch.sigmoid(x)


def _to_tensor(pictures: Pixels) -> Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1.0


def _detail(x: Tensor) -> Tensor:
    """Mark pixels that differ from their picture's most common colour (by its median)."""
    median = x.flatten(2).median(-1).values[..., None, None]
    return ((x - median).abs().amax(1, keepdim=True) > 0.1).float()


def _inconsistency(latents: Tensor, x: Tensor) -> Tensor:
    """Return how far latents of equal patches are from their mean, squared.

    Emu3's encoder normalises over the whole picture, so that one patch of plain sky would get
    many codes, and the language model would have to learn them all.
    """
    n, rows, columns, channels = latents.shape
    height, width = x.shape[2] // rows, x.shape[3] // columns
    patches = functional.unfold(x, (height, width), stride=(height, width)).transpose(1, 2)
    # A random projection tells patches apart far faster than comparing all their pixels.
    generator = torch.Generator().manual_seed(0)
    lens = torch.randn(patches.shape[-1], generator=generator, dtype=torch.float64)
    _, kind = torch.unique((patches.double() @ lens).round(decimals=6), return_inverse=True)
    kind, flat = kind.reshape(-1), latents.reshape(-1, channels)
    count = torch.bincount(kind).float()
    with torch.no_grad():
        total = torch.zeros(len(count), channels).index_add_(0, kind, flat)
    return (flat - (total / count[:, None])[kind]).pow(2).mean()


def _edges(x: Tensor) -> Tensor:
    """Mark pixels that differ from a neighbour."""
    spread = functional.max_pool2d(x, 3, 1, 1) + functional.max_pool2d(-x, 3, 1, 1)
    return (spread.amax(1, keepdim=True) > 0.2).float()


def _nearest(points: Tensor, codebook: Tensor) -> Tensor:
    distance = points.pow(2).sum(1, keepdim=True) - 2 * points @ codebook.T
    return (distance + codebook.pow(2).sum(1)).argmin(1)


@torch.no_grad()
def _place_codebook(
    net: TrainableTokenizer, codebook: Tensor, draw: Callable[[int], Pixels], seed: int
) -> tuple[Tensor, Tensor]:
    from scipy.cluster.vq import kmeans2

    parts = [net.encode(_to_tensor(draw(32))) for _ in range(24)]
    points = torch.cat([p.reshape(-1, p.shape[-1]) for p in parts]).numpy()
    # Plain background would take most centres: keep distinct points only.
    distinct = np.unique(points.round(2), axis=0)
    centres, _ = kmeans2(distinct, len(codebook), minit="++", seed=seed, iter=20)
    codebook.copy_(torch.from_numpy(centres.astype(np.float32)))
    return torch.full((len(codebook),), 5.0), codebook.clone() * 5.0


@torch.no_grad()
def _follow(
    codebook: Tensor,
    averages: tuple[Tensor, Tensor],
    codes: Tensor,
    points: Tensor,
    *,
    revive: bool,
) -> None:
    count, total = averages
    hits: Any = functional.one_hot(codes, len(codebook)).float()
    count.mul_(_DECAY).add_((1 - _DECAY) * hits.sum(0))
    total.mul_(_DECAY).add_((1 - _DECAY) * hits.T @ points)
    if revive:
        dead = count < 0.05
        if dead.any():
            # The points that are worst served get the codes that serve nobody.
            gap = (points - codebook[codes]).pow(2).sum(1)
            worst = gap.topk(int(dead.sum()) * 3).indices[::3]
            total[dead], count[dead] = points[worst], 1.0
    codebook.copy_(total / count.clamp(min=1e-3)[:, None])


def _freeze_batch_norm(net: nn.Module) -> None:
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
