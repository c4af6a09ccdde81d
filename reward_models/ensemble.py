"""Several models of one kind: where they disagree, an answer is worth less than it looks."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from data_contracts.errors import FlywheelError
from data_contracts.training import AspectScorer, Scorer

OVERALL: Final = "overall"


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


def _said(
    member: Scorer, prompts: Sequence[str], contents: Sequence[bytes]
) -> dict[str, Sequence[float]]:
    if isinstance(member, AspectScorer):
        return dict(member.score_aspects(prompts, contents))
    return {OVERALL: member.score(prompts, contents)}
