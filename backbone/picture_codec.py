"""Emu3's picture tokenizer for single pictures: the same output at a quarter of the cost.

Emu3's VQ treats a picture as a film of equal frames. Equal frames need not be computed again: the
spatial layers run once a picture, and the frames are repeated after them (a test compares with
transformers' own encode and decode). It has gradients, which transformers' does not.
"""

import torch
from torch import Tensor, nn
from transformers import Emu3ForConditionalGeneration


class PictureCodec(nn.Module):
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

    def codes(self, pictures: Tensor) -> Tensor:
        """Map (n, 3, height, width) in [-1, 1] to (n, rows, columns) codebook entries."""
        latents = self.encode(pictures.to(self.vq.dtype))
        distance = squared_distances(latents, self.vq.quantize.embedding.weight)
        return distance.argmin(1).view(latents.shape[:3])

    def pictures(self, codes: Tensor) -> Tensor:
        """Map (n, rows, columns) codebook entries to (n, 3, height, width)."""
        return self.decode(self.vq.quantize.embedding(codes))


def squared_distances(latents: Tensor, codebook: Tensor) -> Tensor:
    """Return (points, codes) squared distances, points being latents in order."""
    flat = latents.reshape(-1, latents.shape[-1])
    return flat.pow(2).sum(1, keepdim=True) - 2 * flat @ codebook.T + codebook.pow(2).sum(1)


def _swish(x: Tensor) -> Tensor:
    return x * torch.sigmoid(x)
