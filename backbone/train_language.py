"""Pre-trains the tiny backbone's language model on prompts and pictures as token sequences."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from backbone.emu3 import Emu3Backbone
from backbone.grammar import written_ids
from backbone.protocol import Codes
from backbone.tokens import Grid, visual_prompt
from data_contracts.errors import ShapeError

Progress = Callable[[int, float, float | None], None]

# Weight of the prompts' own loss, meant to make words out of bytes; its gain is unproven.
_SPELLING: Final = 0.3
# Of embeddings, head and norms, as a share of the matrices' learning rate.
_EMBEDDING_SHARE: Final = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageRun:
    """How pre-training went; losses in nats a token of picture or film."""

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
        codes: n pictures or films in visual tokens.
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
    batches = _batches(train_ids, backbone.ids.pad, steps=steps, size=batch_size, seed=seed)
    train: list[tuple[int, float]] = []
    test: list[tuple[int, float]] = []
    for step, rows in enumerate(batches):
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
    """Return (n, length) right-padded ids, and which of them are the picture's or film's."""
    grids = [_grid_of(each) for each in codes]
    prompts = [visual_prompt(t, grid) for t, grid in zip(texts, grids, strict=True)]
    heads = backbone.tokenizer(prompts, add_special_tokens=False)["input_ids"]
    length = max(len(head) + grid.tokens + 3 for head, grid in zip(heads, grids, strict=True))
    # Half the bytes of torch's own integers: films are long, and there are many.
    ids = torch.full((len(heads), length), backbone.ids.pad, dtype=torch.int32)
    scored = torch.zeros((len(heads), length), dtype=torch.bool)
    for i, (head, each, grid) in enumerate(zip(heads, codes, grids, strict=True)):
        row = torch.tensor([*head, *written_ids(each, grid, backbone.ids)], dtype=torch.int32)
        ids[i, : len(row)] = row
        scored[i, len(head) : len(row)] = True
    return ids, scored


def _batches(
    ids: Tensor, pad: int, *, steps: int, size: int, seed: int
) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the rows of each step: pictures alone or films alone, as often as there are of them.

    A film beside pictures would make them as long as itself, and a film holds as many tokens as
    several pictures: a step takes half as many. Each kind is seen whole before any of it again.
    """
    rng = np.random.default_rng(seed)
    lengths = (ids != pad).sum(1).numpy()
    is_film = lengths > 2 * lengths.min()
    kinds = [
        (rows, each)
        for rows, each in ((np.flatnonzero(~is_film), size), (np.flatnonzero(is_film), size // 2))
        if len(rows)
    ]
    orders = [
        np.concatenate(
            [rows[rng.permutation(len(rows))] for _ in range(steps * each // len(rows) + 1)]
        )
        for rows, each in kinds
    ]
    shares = np.array([len(rows) for rows, _ in kinds]) / len(ids)
    which = rng.choice(len(kinds), size=steps, p=shares)
    seen = [0] * len(kinds)
    for kind in which:
        each = kinds[kind][1]
        yield orders[kind][seen[kind] : seen[kind] + each]
        seen[kind] += each


def _grid_of(codes: Codes) -> Grid:
    frames = codes.shape[0] if codes.ndim == 3 else 1
    return Grid(frames=frames, height=codes.shape[-2], width=codes.shape[-1])


def _losses(backbone: Emu3Backbone, ids: Tensor, scored: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean loss of the picture's tokens, and of the prompt's."""
    length = int((ids != backbone.ids.pad).sum(1).max())
    ids = ids[:, :length].long().to(backbone.device)
    scored = scored[:, :length].to(backbone.device)
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
    # Films have more tokens than pictures, and the last batch may have fewer of either.
    return float(np.average(parts, weights=[int(scored[i : i + batch_size].sum()) for i in starts]))
