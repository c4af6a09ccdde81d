"""Bradley-Terry: one strength per item from who beat whom, with intervals."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.special import expit, ndtri

from annotation.answer_table import FloatArray
from data_contracts.errors import ContractError, ShapeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Strengths:
    """Log strengths with mean 0: item i beats j with chance 1 / (1 + exp(score_j - score_i))."""

    score: FloatArray  # (i,)
    covariance: FloatArray  # (i, i) of the scores
    iterations: int
    converged: bool

    def interval(self, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
        """Return the (i,) lower and upper ends of each score's interval."""
        half = ndtri(0.5 + level / 2) * np.sqrt(np.diag(self.covariance))
        return self.score - half, self.score + half


def win_matrix(
    first: NDArray[np.integer], second: NDArray[np.integer], outcome: NDArray[np.integer],
    *, items: int,
) -> tuple[FloatArray, FloatArray]:  # fmt: skip
    """Count votes: (i, i) how often the row beat the column, and (i, i) how often they tied.

    Args:
        first: (v,) item.
        second: (v,) its rival.
        outcome: (v,) 1 the first won, -1 the second, 0 a tie.
        items: how many there are; the matrices take 16 bytes for each pair of them.

    Raises:
        ShapeError: the columns differ in length.
        ContractError: an item or outcome is out of range.
    """
    if not len(first) == len(second) == len(outcome):
        raise ShapeError(
            f"votes: {len(first)}, {len(second)} and {len(outcome)} rows; give equally many"
        )
    size = len(first)
    if size and (min(first.min(), second.min()) < 0 or max(first.max(), second.max()) >= items):
        raise ContractError(f"votes: items must be 0 .. {items - 1}; number them from 0")
    if size and (outcome.min() < -1 or outcome.max() > 1):
        raise ContractError("votes: an outcome is not 1, 0 or -1; map other scales to their sign")
    # One count over (first, second, outcome): the votes are read once.
    key = (first.astype(np.int64) * items + second) * 3 + (outcome + 1)
    counts = np.bincount(key, minlength=3 * items * items).reshape(items, items, 3)
    wins = counts[:, :, 2] + counts[:, :, 0].T
    ties = counts[:, :, 1] + counts[:, :, 1].T
    return wins.astype(np.float64), ties.astype(np.float64)


def fit_bradley_terry(
    wins: FloatArray,
    ties: FloatArray,
    *,
    prior: float = 0.1,
    tolerance: float = 1e-10,
    max_iterations: int = 100,
) -> Strengths:
    """Return the likeliest strengths; a tie is half a win for each.

    The intervals hold even where votes do not follow the model exactly (they are from the
    sandwich of both information matrices), as long as votes are independent.

    Args:
        wins: (i, i) how often the row beat the column.
        ties: (i, i) how often the two tied, symmetric.
        prior: how many ties each item is taken to have had with one of average strength; with
            0 there is no prior, and every item must be linked to every other by wins.
        tolerance: largest change of a score in the last step.
        max_iterations: Newton steps at most.

    Raises:
        ShapeError: the matrices are not square or differ.
        ContractError: without a prior some item never won against, or lost to, the rest.

    Source:
        Bradley & Terry (1952), by Newton's method; White (1982) for the covariance.
    """
    items = len(wins)
    if wins.shape != (items, items) or ties.shape != wins.shape:
        raise ShapeError(f"wins are {wins.shape} and ties {ties.shape}; both must be square")
    gained = wins + ties / 2
    if prior <= 0 and items:
        parts, _ = connected_components(csr_array(gained > 0), connection="strong")
        if parts > 1:
            raise ContractError(
                f"votes: {items} items fall into {parts} groups not linked by wins both ways; "
                "give a prior above 0"
            )
    together = gained + gained.T
    np.fill_diagonal(together, 0.0)
    score = np.zeros(items)
    steps, change = 0, np.inf
    while items and steps < max_iterations and change >= tolerance:
        chance = expit(score[:, None] - score[None, :])
        gradient = (gained - together * chance).sum(axis=1) - prior * (expit(score) - 0.5)
        step = cho_solve(cho_factor(_curvature(chance, together, score, prior)), gradient)
        step -= step.mean()  # only differences matter; without this the prior's pull never ends
        # A long step from a flat start can overshoot; scores move by at most 2 at a time.
        step *= min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-300))
        score = score + step
        change = float(np.abs(step).max())
        steps += 1
    return Strengths(
        score=score,
        covariance=_sandwich(wins, ties, score, prior) if items else np.zeros((0, 0)),
        iterations=steps,
        converged=change < tolerance or not items,
    )


def _curvature(
    chance: FloatArray, together: FloatArray, score: FloatArray, prior: float
) -> FloatArray:
    """Return minus the second derivatives, made regular along the direction that has none."""
    weight = together * chance * chance.T
    average = expit(score)
    matrix = np.diag(weight.sum(axis=1) + prior * average * (1 - average)) - weight
    regular: FloatArray = matrix + max(float(np.trace(matrix)), 1e-9) / len(score) ** 2
    return regular


def _sandwich(wins: FloatArray, ties: FloatArray, score: FloatArray, prior: float) -> FloatArray:
    chance = expit(score[:, None] - score[None, :])
    together = wins + wins.T + ties
    np.fill_diagonal(together, 0.0)
    bread = np.linalg.inv(_curvature(chance, together, score, prior))
    surprise = wins * (1 - chance) ** 2 + wins.T * chance**2 + ties * (0.5 - chance) ** 2
    np.fill_diagonal(surprise, 0.0)
    average = expit(score)
    meat = np.diag(surprise.sum(axis=1) + prior * average * (1 - average)) - surprise
    centre = np.eye(len(score)) - 1 / len(score)
    covariance: FloatArray = centre @ bread @ meat @ bread @ centre
    return covariance
