"""What training is given and what a reward model offers: the seams between the packages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

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
