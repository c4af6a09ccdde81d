"""Pre-trains the tiny backbone's language model on prompts and pictures as token sequences."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from backbone.emu3 import Emu3Backbone
from backbone.protocol import Codes
from backbone.tokens import image_prompt
from data_contracts.errors import ShapeError

Progress = Callable[[int, float, float | None], None]

# Weight of the prompts' own loss, meant to make words out of bytes; its gain is unproven.
_SPELLING: Final = 0.3
# Of embeddings, head and norms, as a share of the matrices' learning rate.
_EMBEDDING_SHARE: Final = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageRun:
    """How pre-training went; losses in nats a token of the picture."""

    train: tuple[tuple[int, float], ...]
    held_out: tuple[tuple[int, float], ...]


def train_language(
    backbone: Emu3Backbone,
    texts: Sequence[str],
    codes: Sequence[Codes],
    *,
    held_out: int,
    steps: int,
    batch_size: int = 64,
    learning_rate: float = 5e-3,
    seed: int = 0,
    progress: Progress | None = None,
) -> LanguageRun:
    """Train *backbone* in place on texts[i] -> codes[i].

    Args:
        backbone: a tiny Emu3 whose tokenizer is trained already.
        texts: n prompts.
        codes: n pictures in visual tokens.
        held_out: how many of the last examples are kept to measure the likelihood.
        steps: optimiser steps.
        batch_size: examples a step.
        learning_rate: of the matrices; top of a cosine schedule with warm-up.
        seed: of the order of examples.
        progress: called with step, loss, and held-out loss where it was measured.

    Raises:
        ShapeError: *texts* and *codes* disagree on n, or *held_out* leaves nothing on one side.
    """
    if len(texts) != len(codes):
        raise ShapeError(f"{len(texts)} texts but {len(codes)} pictures; give one each")
    if not 0 < held_out < len(texts):
        raise ShapeError(
            f"{held_out} of {len(texts)} examples are held out; leave some on both sides"
        )
    ids, scored = _sequences(backbone, texts, codes)
    train_ids, test_ids = ids[:-held_out], ids[-held_out:]
    train_scored, test_scored = scored[:-held_out], scored[-held_out:]
    model = backbone.model.train()
    weights = [*model.model.text_model.parameters(), *model.lm_head.parameters()]
    optimisers = _optimisers(backbone, learning_rate)
    schedules = [
        torch.optim.lr_scheduler.OneCycleLR(
            optimiser,
            optimiser.param_groups[0]["lr"],
            total_steps=steps,
            pct_start=0.05,
            anneal_strategy="cos",
            cycle_momentum=False,
        )
        for optimiser in optimisers
    ]
    rng = np.random.default_rng(seed)
    order = np.concatenate(
        [rng.permutation(len(train_ids)) for _ in range(steps * batch_size // len(train_ids) + 1)]
    )
    train: list[tuple[int, float]] = []
    test: list[tuple[int, float]] = []
    for step in range(steps):
        rows = torch.from_numpy(order[step * batch_size : (step + 1) * batch_size])
        loss, spelling = _losses(backbone, train_ids[rows], train_scored[rows])
        model.zero_grad()
        (loss + _SPELLING * spelling).backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        for optimiser, schedule in zip(optimisers, schedules, strict=True):
            optimiser.step()
            schedule.step()
        train.append((step, float(loss.detach())))
        measured = None
        if step % max(steps // 20, 1) == 0 or step == steps - 1:
            measured = _held_out(backbone, test_ids, test_scored, batch_size)
            test.append((step, measured))
        if progress is not None:
            progress(step, train[-1][1], measured)
    model.eval()
    return LanguageRun(train=tuple(train), held_out=tuple(test))


def _optimisers(backbone: Emu3Backbone, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices (arXiv 2502.16982), AdamW for embeddings, head and norms."""
    layers = [p for p in backbone.model.model.text_model.layers.parameters() if p.ndim == 2]
    known = {id(p) for p in layers}
    every = [*backbone.model.model.text_model.parameters(), *backbone.model.lm_head.parameters()]
    rest = [p for p in every if id(p) not in known]
    return [
        torch.optim.Muon(
            layers, lr=learning_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"
        ),
        torch.optim.AdamW(
            rest, lr=_EMBEDDING_SHARE * learning_rate, weight_decay=0.01, betas=(0.9, 0.98)
        ),
    ]


def _sequences(
    backbone: Emu3Backbone, texts: Sequence[str], codes: Sequence[Codes]
) -> tuple[Tensor, Tensor]:
    """Return (n, length) right-padded ids, and which of them are the picture's."""
    prompts = [image_prompt(t, backbone.grid) for t in texts]
    heads = backbone.tokenizer(prompts, add_special_tokens=False)["input_ids"]
    body = backbone.grid.tokens + 3
    length = max(map(len, heads)) + body
    ids = torch.full((len(heads), length), backbone.ids.pad, dtype=torch.long)
    scored = torch.zeros((len(heads), length), dtype=torch.bool)
    visual = np.array(backbone.ids.visual)
    closing = [backbone.ids.end_of_frame, backbone.ids.image_end, backbone.ids.eos]
    for i, (head, picture) in enumerate(zip(heads, codes, strict=True)):
        rows = np.full((backbone.grid.height, backbone.grid.width + 1), backbone.ids.end_of_line)
        rows[:, :-1] = visual[picture]
        row = torch.from_numpy(np.concatenate([head, rows.ravel(), closing]))
        ids[i, : len(row)] = row
        scored[i, len(head) : len(row)] = True
    return ids, scored


def _losses(backbone: Emu3Backbone, ids: Tensor, scored: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean loss of the picture's tokens, and of the prompt's."""
    length = int((ids != backbone.ids.pad).sum(1).max())
    ids, scored = ids[:, :length].to(backbone.device), scored[:, :length].to(backbone.device)
    mask = (ids != backbone.ids.pad).long()
    logits = backbone.model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
    picture = scored[:, 1:]
    prompt = mask[:, 1:].bool() & ~picture
    after = ids[:, 1:]
    return (
        functional.cross_entropy(logits[picture], after[picture]),
        functional.cross_entropy(logits[prompt], after[prompt]),
    )


@torch.inference_mode()
def _held_out(backbone: Emu3Backbone, ids: Tensor, scored: Tensor, batch_size: int) -> float:
    backbone.model.eval()
    starts = range(0, len(ids), batch_size)
    parts = [
        float(_losses(backbone, ids[i : i + batch_size], scored[i : i + batch_size])[0])
        for i in starts
    ]
    backbone.model.train()
    # Every picture has the same number of tokens, but the last batch may have fewer pictures.
    return float(np.average(parts, weights=[len(ids[i : i + batch_size]) for i in starts]))
