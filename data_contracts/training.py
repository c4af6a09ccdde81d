"""What training is given and what a reward model offers: the seams between the packages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from data_contracts.conditioning import Skill
from data_contracts.ids import Digest, GenerationId, PairId, PromptId, SnapshotId


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPair:
    """One judgement as training sees it: ids, what to aim at, and how much to care."""

    pair_id: PairId
    prompt_id: PromptId
    chosen_id: GenerationId
    rejected_id: GenerationId
    aspect: str
    target: float  # what training aims at, in [.5, 1]
    weight: float  # how much training should care, in [0, 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenMark:
    """One place in a picture or film: some cells of a grid, some frames, or cells in some frames.

    None stands for all of them; a mark has *cells* with their *grid*, or *frames*, or both.
    """

    cells: tuple[int, ...] | None = None  # row by row from 0
    grid: tuple[int, int] | None = None  # (rows, columns) that *cells* count in
    frames: tuple[int, int] | None = None  # [first, past the last], from 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingCritique:
    """Where one person pointed in one generation because of one aspect: ids and masks alone."""

    critique_id: str
    prompt_id: PromptId
    generation_id: GenerationId
    aspect: str
    marks: tuple[TokenMark, ...]  # at least one


class TrainingBundle(Protocol):
    """Everything one training run may read; nothing else is within its reach."""

    @property
    def snapshot_id(self) -> SnapshotId: ...

    @property
    def digest(self) -> Digest:
        """SHA-256 over pairs and content, naming what was learned from."""
        ...

    def pairs(self, split: str) -> Sequence[TrainingPair]:
        """Return the pairs of *split* in a fixed order."""
        ...

    def prompt_text(self, prompt_id: PromptId) -> str: ...

    def skill(self, generation_id: GenerationId) -> Skill | None:
        """Return the skill that it was made under; None: it was made without one."""
        ...

    def modality(self, generation_id: GenerationId) -> str: ...

    def content(self, generation_id: GenerationId) -> bytes:
        """Return the media as stored (PNG; UTF-8 for text)."""
        ...


@runtime_checkable
class CritiqueBundle(Protocol):
    """A training bundle that also knows where people pointed."""

    def critiques(self, split: str) -> Sequence[TrainingCritique]:
        """Return the critiques of generations that pairs of *split* name, in a fixed order."""
        ...


class Scorer(Protocol):
    """How good a generation is for its prompt, on one fixed scale; higher is better.

    Under a skill the prompt is what `data_contracts.conditioning` makes of both.
    """

    @property
    def name(self) -> str: ...

    def score(self, prompts: Sequence[str], contents: Sequence[bytes]) -> Sequence[float]:
        """Score *contents[i]* as an answer to *prompts[i]*; equal lengths."""
        ...


@runtime_checkable
class AspectScorer(Protocol):
    """A scorer that tells the aspects apart; "overall" is one of them."""

    def score_aspects(
        self, prompts: Sequence[str], contents: Sequence[bytes]
    ) -> Mapping[str, Sequence[float]]:
        """Score *contents[i]* as an answer to *prompts[i]*, by aspect, each on its own scale."""
        ...


@runtime_checkable
class HeatScorer(Protocol):
    """A scorer that also says where a generation is bad."""

    @property
    def heat_aspects(self) -> tuple[str, ...]:
        """Return the aspects that it has maps of; none where nobody ever pointed."""
        ...

    def heat_maps(
        self, prompts: Sequence[str], contents: Sequence[bytes]
    ) -> Mapping[str, Sequence[Any]]:
        """Return by aspect a map of each of *contents*: an array over its visual tokens.

        (rows, columns) of a picture, (frames, rows, columns) of a film, no rows of a text; each
        value is the chance that a person who points at anything would point there.
        """
        ...
