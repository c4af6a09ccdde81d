"""Several models of one kind: where they disagree, an answer is worth less than it looks."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data_contracts.errors import FlywheelError
from data_contracts.training import AspectScorer, HeatScorer, Scorer

OVERALL: Final = "overall"
_CARD: Final = "ensemble.json"


class EnsembleCard(BaseModel):
    """What makes a folder with one scorer in it, and others in folders below, an ensemble."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    members: int = Field(ge=2, le=16)
    lower_bound: float = Field(ge=0)

    @property
    def others(self) -> list[str]:
        """Return the folders of all members but the first."""
        return [f"member-{number}" for number in range(2, self.members + 1)]

    def write(self, folder: Path) -> None:
        """Write the card beside the first member."""
        text = json.dumps(self.model_dump(), indent=2, sort_keys=True)
        (folder / _CARD).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "EnsembleCard | None":
        """Read the card; None: a scorer is alone there.

        Raises:
            FlywheelError: the card is damaged.
        """
        if not (folder / _CARD).is_file():
            return None
        try:
            return cls.model_validate_json((folder / _CARD).read_bytes())
        except (OSError, ValidationError) as error:
            raise FlywheelError(
                f"{folder.name}: no readable {_CARD} ({type(error).__name__}); "
                "train the reward model of aspects anew"
            ) from error


class EnsembleScorer:
    """Scores by the lower bound of what several scorers say: mean less *doubt* deviations.

    A policy that is trained against one model finds what that one overrates; others rarely
    overrate the same. Implements `data_contracts.training.Scorer` and `AspectScorer`.

    Source:
        Coste et al. (2023), arXiv 2310.02743 (uncertainty-weighted ensembles).
    """

    def __init__(self, members: Sequence[Scorer], *, doubt: float = 1.0) -> None:
        """Gather members.

        Args:
            members: at least two.
            doubt: deviations taken off, at least 0.

        Raises:
            FlywheelError: too few members, or a doubt below 0.
        """
        if len(members) < 2 or not doubt >= 0:
            raise FlywheelError(
                f"an ensemble of {len(members)} with doubt {doubt:g}: "
                "give at least two members and a doubt of at least 0"
            )
        self.members = tuple(members)
        self.doubt = doubt
        self.name = f"lowest-{doubt:g}:" + "+".join(member.name for member in members)

    def score_aspects(
        self, prompts: Sequence[str], contents: Sequence[bytes]
    ) -> dict[str, list[float]]:
        """Return lower bounds by aspect, of those that every member knows."""
        said = [_said(member, prompts, contents) for member in self.members]
        shared = [name for name in said[0] if all(name in each for each in said)]
        bounds = {}
        for name in shared:
            scores = np.array([each[name] for each in said], float).reshape(len(said), -1)
            bounds[name] = (scores.mean(0) - self.doubt * scores.std(0, ddof=1)).tolist()
        return bounds

    def score(self, prompts: Sequence[str], contents: Sequence[bytes]) -> list[float]:
        """Return lower bounds of "overall"."""
        return self.score_aspects(prompts, contents)[OVERALL]

    @property
    def max_length(self) -> int:
        """Return how many tokens every member reads whole; a member without a limit reads all."""
        return min(int(getattr(member, "max_length", sys.maxsize)) for member in self.members)

    @property
    def heat_aspects(self) -> tuple[str, ...]:
        """Return the aspects that every member has heat maps of."""
        known = [m.heat_aspects if isinstance(m, HeatScorer) else () for m in self.members]
        return tuple(name for name in known[0] if all(name in each for each in known))

    def heat_maps(self, prompts: Sequence[str], contents: Sequence[bytes]) -> dict[str, list[Any]]:
        """Return the mean of the members' maps; each raises as its own `heat_maps` does."""
        said = [m.heat_maps(prompts, contents) for m in self.members if isinstance(m, HeatScorer)]
        return {
            name: [np.mean(maps, axis=0) for maps in zip(*(s[name] for s in said), strict=True)]
            for name in self.heat_aspects
        }


def _said(
    member: Scorer, prompts: Sequence[str], contents: Sequence[bytes]
) -> dict[str, Sequence[float]]:
    if isinstance(member, AspectScorer):
        return dict(member.score_aspects(prompts, contents))
    return {OVERALL: member.score(prompts, contents)}
