"""Information: how much more an answer fits its own prompt than prompts the model writes itself.

The likelihood of a picture under its prompt mixes two things: how usual the picture is, and how
well it fits. Beside what it has under other prompts only the fit is left: the pointwise mutual
information of prompt and answer. Those other prompts are drawn from the model's own idea of what
is asked, so that no person's words are kept with a reward model.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from scipy.special import logsumexp

from backbone.emu3 import Emu3Backbone
from backbone.tokens import IMAGE_START, IMAGE_TOKEN, visual_prompt
from reward_models.preferences import FloatArray
from reward_models.sequences import IntArray, Sequences

_DRAWN: Final = 64  # prompts at a time
_DRAWS: Final = 4
_LONGEST: Final = 64  # tokens of a prompt that the model writes


@torch.inference_mode()
def written_prompts(policy: Emu3Backbone, *, count: int, seed: int) -> tuple[str, ...]:
    """Return up to *count* different prompts for its grid that *policy* writes when nobody asks.

    Fewer, or none, where it seldom begins with a prompt at all. One seed gives the same prompts.
    """
    if count == 0:
        return ()
    start = policy.tokenizer.convert_tokens_to_ids(IMAGE_START)
    size = policy.tokenizer.encode(f"{policy.grid.meta}{IMAGE_TOKEN}", add_special_tokens=False)
    begin = torch.full((_DRAWN, 1), policy.ids.bos, device=policy.device)
    found: dict[str, None] = {}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for _ in range(_DRAWS):
            drawn = policy.model.generate(
                input_ids=begin, attention_mask=torch.ones_like(begin), do_sample=True, top_k=0,
                temperature=1.0, max_new_tokens=_LONGEST,
            ).tolist()  # fmt: skip
            for row in drawn:
                at = row.index(start) if start in row else 0
                if at > 1 and row[at + 1 : at + 1 + len(size)] == size:
                    found[policy.tokenizer.decode(row[1:at])] = None
            if len(found) >= count:
                break
    return tuple(found)[:count]


@torch.inference_mode()
def information(
    backbone: Emu3Backbone,
    sequences: Sequences,
    rows: IntArray,
    own: FloatArray,
    *,
    asked: Sequence[str],
    batch_size: int,
) -> FloatArray:
    """Return (k,) log p(answer | its prompt) - log mean p(answer | a prompt of *asked*), in nats.

    0 of answers that are no pictures or films, and of all where nothing else is asked.

    Args:
        backbone: whose model is an `Emu3AspectModel`.
        sequences: prompts and answers.
        rows: (k,) of them.
        own: (k,) log-probability of each answer under its own prompt.
        asked: other prompts, from `written_prompts`.
        batch_size: answers at a time.

    Source:
        The marginal p(answer) by Monte Carlo over the model's own prompts; classifier-free
        guidance (Ho & Salimans 2022) steers by the same ratio.
    """
    told = np.zeros(len(rows))
    drawn = _is_visual(backbone, sequences, rows)
    if not asked or not drawn.any():
        return told
    heads = backbone.tokenizer(
        [visual_prompt(text, backbone.grid) for text in asked], add_special_tokens=False
    )["input_ids"]
    places = np.flatnonzero(drawn)
    places = places[np.argsort(sequences.completion_lengths(rows[places]), kind="stable")]
    for begin in range(0, len(places), batch_size):
        some = places[begin : begin + batch_size]
        other = [_chances(backbone, sequences, rows[some], head) for head in heads]
        told[some] = own[some] - (logsumexp(other, axis=0) - np.log(len(heads)))
    return told


def _is_visual(
    backbone: Emu3Backbone, sequences: Sequences, rows: IntArray
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return (k,) whether a prompt ends where visual tokens begin."""
    opens = backbone.tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
    last = sequences.starts[rows] + sequences.prompt_lengths[rows] - 1
    return np.asarray(sequences.tokens[last] == opens)


def _chances(
    backbone: Emu3Backbone, sequences: Sequences, rows: IntArray, head: list[int]
) -> FloatArray:
    """Return (k,) the log-probability of each answer behind the prompt *head*."""
    lengths = sequences.completion_lengths(rows)
    ids = np.full((len(rows), len(head) + int(lengths.max())), sequences.pad, np.int64)
    ids[:, : len(head)] = head
    for i, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        end = sequences.starts[row + 1]
        ids[i, len(head) : len(head) + length] = sequences.tokens[end - length : end]
    chances = backbone.model.token_chances(torch.from_numpy(ids).to(backbone.device)).cpu()
    inside = torch.arange(ids.shape[1]) < torch.from_numpy(len(head) + lengths)[:, None]
    inside[:, : len(head)] = False
    summed: FloatArray = (chances * inside).sum(1).double().numpy()
    return summed
