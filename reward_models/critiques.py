"""Where people pointed, as numbers over the visual tokens of each answer."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np

from backbone.emu3 import Emu3Backbone
from backbone.tokens import Grid
from data_contracts.errors import FlywheelError
from data_contracts.training import CritiqueBundle, TokenMark, TrainingBundle, TrainingCritique
from reward_models.preferences import FloatArray
from reward_models.sequences import IntArray, Sequences

OVERALL: Final = "overall"  # wherever somebody pointed, whatever for


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointed:
    """One answer in which people pointed."""

    row: int  # of the sequences
    generation_id: str
    places: IntArray  # (tokens,) where its visual tokens stand in the sequence
    # By aspect (tokens,): of the people who pointed because of it, which share pointed there.
    # An aspect that nobody pointed for is not there: nobody said that nothing is wrong.
    shares: dict[str, FloatArray]
    critiques: tuple[str, ...]  # ids


def pointed_answers(
    bundle: TrainingBundle, sequences: Sequences, *, split: str, backbone: Emu3Backbone
) -> list[Pointed]:
    """Return the answers of *split* with visual tokens in which people pointed, by generation id.

    Args:
        bundle: one that knows no critiques gives none.
        sequences: the split, as read.
        split: which prompts.
        backbone: whose tokens and grid they are.

    Raises:
        FlywheelError: a mark lies outside its generation, or is of another grid.
    """
    if not isinstance(bundle, CritiqueBundle):
        return []
    by_answer: dict[tuple[str, str], list[TrainingCritique]] = defaultdict(list)
    for critique in bundle.critiques(split):
        by_answer[critique.generation_id, critique.prompt_id].append(critique)
    found = []
    for _, said in sorted(by_answer.items()):
        first = said[0]
        [row] = sequences.rows([(first.prompt_id, first.generation_id)])
        places = visual_places(sequences, int(row), backbone.ids.visual)
        if not len(places):
            continue  # a text: marked in characters
        found.append(
            Pointed(
                row=int(row),
                generation_id=first.generation_id,
                places=places,
                shares=_shares(said, len(places), backbone.grid),
                critiques=tuple(sorted(each.critique_id for each in said)),
            )
        )
    return found


def visual_places(sequences: Sequences, row: int, visual: Collection[int]) -> IntArray:
    """Return where the visual tokens of a row's answer stand in its sequence; none of a text."""
    tokens = sequences.tokens[sequences.starts[row] : sequences.starts[row + 1]]
    answer = np.arange(len(tokens)) >= sequences.prompt_lengths[row]
    places: IntArray = np.flatnonzero(np.isin(tokens, list(visual)) & answer)
    return places


def map_shape(tokens: int, grid: Grid) -> tuple[int, ...]:
    """Return the shape of a map over so many visual tokens; a film's begins with its frames."""
    frames = tokens // (grid.height * grid.width)
    if frames > 1:
        return (frames, grid.height, grid.width)
    return (tokens // grid.width, grid.width)


def _shares(said: list[TrainingCritique], tokens: int, grid: Grid) -> dict[str, FloatArray]:
    masks: dict[str, list[FloatArray]] = defaultdict(list)
    for critique in said:
        mask: FloatArray = np.zeros(tokens)
        for mark in critique.marks:
            mask = np.maximum(mask, _mask(mark, tokens, grid, critique.critique_id))
        masks[critique.aspect].append(mask)
        if critique.aspect != OVERALL:
            masks[OVERALL].append(mask)
    return {aspect: np.mean(each, axis=0) for aspect, each in sorted(masks.items())}


def _mask(mark: TokenMark, tokens: int, grid: Grid, critique: str) -> FloatArray:
    """Return (tokens,) 1 where the mark lies; visual tokens come frame by frame, row by row."""
    area = grid.height * grid.width
    steps = tokens // area
    cells = np.arange(area) if mark.cells is None else np.array(mark.cells, np.int64)
    first, last = mark.frames or (0, steps)
    same = mark.grid in (None, (grid.height, grid.width)) and tokens == steps * area
    if not (same and 0 <= first < last <= steps and ((cells >= 0) & (cells < area)).all()):
        raise FlywheelError(
            f"critique {critique}: its mark does not lie in the {tokens} visual tokens of its "
            "generation; read the critiques with the grid that the generation was tokenised with"
        )
    mask = np.zeros((steps, area))
    mask[first:last, cells] = 1.0
    return mask.ravel()
