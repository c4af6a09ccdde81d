"""Which tokens may follow inside a picture or film, so that samples are valid by construction."""

import numpy as np
import torch
from transformers import LogitsProcessor

from backbone.protocol import Codes
from backbone.tokens import Grid, Ids


def allowed_tokens(step: int, grid: Grid, ids: Ids) -> tuple[int, ...]:
    """Return the tokens that may stand *step* tokens after the beginning of picture or film."""
    if step < grid.tokens:
        place = step % (grid.frame_tokens + 1)
        if place == grid.frame_tokens:
            return (ids.end_of_frame,)
        end_of_row = place % (grid.width + 1) == grid.width
        return (ids.end_of_line,) if end_of_row else ids.visual
    closing = (ids.end_of_frame, ids.image_end, ids.eos)
    return closing[step - grid.tokens : step - grid.tokens + 1] or (ids.pad,)


class VisualGrammar(LogitsProcessor):
    """Masks every token that the grid does not allow at this place."""

    def __init__(self, *, prompt_length: int, grid: Grid, ids: Ids, vocabulary: int) -> None:
        self._prompt_length = prompt_length
        self._grid = grid
        self._ids = ids
        self._masks: dict[tuple[int, ...], torch.Tensor] = {}
        self._vocabulary = vocabulary

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        step = input_ids.shape[1] - self._prompt_length
        allowed = allowed_tokens(step, self._grid, self._ids)
        if allowed not in self._masks:
            mask = torch.full((self._vocabulary,), float("-inf"), device=scores.device)
            mask[list(allowed)] = 0.0
            self._masks[allowed] = mask
        return scores + self._masks[allowed]


def written_ids(codes: Codes, grid: Grid, ids: Ids) -> list[int]:
    """Return the tokens of a picture or film from its first code to the end of the text."""
    frames = np.full((grid.frames, grid.frame_tokens + 1), ids.end_of_frame)
    rows = frames[:, :-1].reshape(grid.frames, grid.height, grid.width + 1)
    rows[..., :-1] = np.array(ids.visual)[codes]
    rows[..., -1] = ids.end_of_line
    frames[:, :-1] = rows.reshape(grid.frames, -1)
    return [*frames.ravel().tolist(), ids.image_end, ids.eos]


def read_grid(tokens: list[int], grid: Grid, ids: Ids) -> Codes | None:
    """Return the codebook entries of a sample in the grid's shape, or None if it is malformed.

    Well-formed is what the grammar would have allowed: every frame whole, the end, nothing after
    it but padding.
    """
    length = grid.tokens + 3
    if len(tokens) < length or any(token != ids.pad for token in tokens[length:]):
        return None
    code_of = {token: code for code, token in enumerate(ids.visual)}
    codes = np.array([code_of.get(token, -1) for token in tokens[: length - 2]], np.int64)
    frames = codes.reshape(grid.frames, -1)
    rows = frames[:, :-1].reshape(grid.frames, grid.height, grid.width + 1)
    found: Codes = rows[..., :-1].reshape(grid.shape)
    if (found < 0).any() or written_ids(found, grid, ids) != tokens[:length]:
        return None
    return found
