"""Which tokens may follow inside a picture, so that sampled grids are valid by construction."""

import torch
from transformers import LogitsProcessor

from backbone.tokens import Grid, Ids


def allowed_tokens(step: int, grid: Grid, ids: Ids) -> tuple[int, ...]:
    """Return the tokens that may stand *step* tokens after the picture's beginning."""
    if step < grid.tokens:
        end_of_row = step % (grid.width + 1) == grid.width
        return (ids.end_of_line,) if end_of_row else ids.visual
    closing = (ids.end_of_frame, ids.image_end, ids.eos)
    return closing[step - grid.tokens : step - grid.tokens + 1] or (ids.pad,)


class PictureGrammar(LogitsProcessor):
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


def read_grid(tokens: list[int], grid: Grid, ids: Ids) -> list[list[int]] | None:
    """Return the codebook entries of a sampled picture row by row, or None if it is malformed.

    Well-formed is what the grammar would have allowed: the whole grid, its end, nothing after it
    but padding.
    """
    closing = [ids.end_of_frame, ids.image_end, ids.eos]
    after = tokens[grid.tokens :]
    if after[:3] != closing or any(token != ids.pad for token in after[3:]):
        return None
    code_of = {token: code for code, token in enumerate(ids.visual)}
    rows: list[list[int]] = []
    for r in range(grid.height):
        row = tokens[r * (grid.width + 1) : (r + 1) * (grid.width + 1)]
        if row[-1] != ids.end_of_line or any(t not in code_of for t in row[:-1]):
            return None
        rows.append([code_of[t] for t in row[:-1]])
    return rows
