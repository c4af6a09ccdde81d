"""Heat over visual tokens: a linear reading of the trunk, fitted where people pointed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy.optimize import minimize
from scipy.special import expit, logit

from backbone.emu3 import Emu3Backbone
from data_contracts.errors import FlywheelError
from reward_models.preferences import FloatArray
from reward_models.sequences import IntArray, Sequences

_CARD: Final = "heat.json"
_WEIGHTS: Final = "heat.safetensors"
_RIDGE: Final = 1e-2  # pull of standardised weights towards 0; the balanced loss weighs 1 in all
_STEPS: Final = 300
_VARIES: Final = 1e-6  # what deviates by less is the same everywhere and says nothing
Floats32 = npt.NDArray[np.float32]


class HeatCard(BaseModel):
    """What a heat head is besides its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    aspects: tuple[str, ...]
    steps: dict[str, int]  # that the fit took, by aspect
    converged: dict[str, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatHead:
    """Turns what the trunk knows of a token into the chance that people point at it, by aspect."""

    card: HeatCard
    weight: FloatArray  # (a, known)
    bias: FloatArray  # (a,)

    @property
    def aspects(self) -> tuple[str, ...]:
        """Return the aspects that people pointed for, "overall" (for whatever) among them."""
        return self.card.aspects

    def chances(self, known: Floats32) -> dict[str, FloatArray]:
        """Return by aspect (tokens,) chances, from (tokens, known)."""
        heat: FloatArray = expit(known @ self.weight.T + self.bias)
        return dict(zip(self.aspects, heat.T, strict=True))

    def save(self, folder: Path) -> None:
        """Write two files of its own into *folder*."""
        save_file({"weight": self.weight, "bias": self.bias}, folder / _WEIGHTS)
        text = json.dumps(self.card.model_dump(), indent=2, sort_keys=True)
        (folder / _CARD).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "HeatHead | None":
        """Read what `save` wrote; None: nobody had pointed when the model was trained.

        Raises:
            FlywheelError: the files are damaged or do not belong together.
        """
        if not (folder / _CARD).is_file():
            return None
        try:
            card = HeatCard.model_validate_json((folder / _CARD).read_bytes())
            weights = load_file(folder / _WEIGHTS)
            weight, bias = weights["weight"], weights["bias"]
        except (OSError, ValidationError, SafetensorError, KeyError) as error:
            raise FlywheelError(
                f"{folder.name}: no readable heat head ({type(error).__name__}); "
                "train the reward model of aspects anew"
            ) from error
        if weight.ndim != 2 or len(weight) != len(card.aspects) or bias.shape != weight.shape[:1]:
            raise FlywheelError(
                f"{folder.name}: {_WEIGHTS} has weights of another shape than {_CARD} says; "
                "train the reward model of aspects anew"
            )
        return cls(card=card, weight=weight, bias=bias)


@torch.inference_mode()
def read_places(
    backbone: Emu3Backbone,
    sequences: Sequences,
    rows: IntArray,
    places: Sequence[IntArray],
    *,
    batch_size: int,
) -> Iterator[tuple[int, Floats32]]:
    """Yield for each of *rows* its index and (tokens, known) what the trunk knows at its *places*.

    Batched by length; the last column is the token's own log-likelihood.
    """
    order = np.argsort(sequences.lengths(rows), kind="stable")
    for start in range(0, len(rows), batch_size):
        part = order[start : start + batch_size]
        ids, _ = sequences.padded(rows[part])
        known = backbone.model.read_tokens(ids.to(backbone.device)).cpu().numpy()
        for k, i in enumerate(part):
            yield int(i), known[k, places[i]]


def parts_tokens(share: FloatArray) -> bool:
    """Say whether people pointed at some tokens and not at others; NaN says nothing."""
    said = share[~np.isnan(share)]
    return bool(said.sum() > 0 and (1 - said).sum() > 0)


def fit_heat(known: Floats32, shares: Mapping[str, FloatArray]) -> HeatHead:
    """Fit one logistic reading an aspect, in which pointed and other tokens weigh the same.

    Most tokens are not pointed at: in balance, an aspect whose flaws are small is learned as well
    as one whose flaws are large. The chance is moved back to how often people point afterwards.

    Args:
        known: (m, known) of the tokens.
        shares: by aspect (m,) the share of those who pointed that pointed there; NaN where nobody
            pointed because of the aspect: these tokens say nothing.

    Raises:
        FlywheelError: an aspect has no token that is pointed at, or none that is not.
    """
    centre, spread = known.mean(0, dtype=np.float64), known.std(0, dtype=np.float64)
    scale = np.where(spread > _VARIES, spread, np.inf)  # 1 / inf: it is left out
    standard = ((known - centre) / scale).astype(np.float32)
    weights, biases, steps, converged = [], [], {}, {}
    for aspect, share in shares.items():
        said = ~np.isnan(share)
        found = _fit(standard[said], share[said], aspect)
        weights.append(found.x[:-1] / scale)
        biases.append(found.x[-1] - weights[-1] @ centre + logit(share[said].mean()))
        steps[aspect], converged[aspect] = int(found.nit), bool(found.success)
    card = HeatCard(aspects=tuple(shares), steps=steps, converged=converged)
    return HeatHead(card=card, weight=np.stack(weights), bias=np.array(biases))


def _fit(known: Floats32, share: FloatArray, aspect: str) -> Any:
    """Minimise the balanced cross-entropy with a ridge; weights first, then the bias."""
    pointed, other = float(share.sum()), float((1 - share).sum())
    if not parts_tokens(share):
        raise FlywheelError(
            f"heat: in {aspect} people pointed at {'everything' if pointed else 'nothing'}; "
            "look at the critiques"
        )
    up, down = 0.5 * share / pointed, 0.5 * (1 - share) / other

    def loss(theta: FloatArray) -> tuple[float, FloatArray]:
        odds = known @ theta[:-1].astype(np.float32) + theta[-1]
        said = (up * np.logaddexp(0, -odds) + down * np.logaddexp(0, odds)).sum()
        pull = (up + down) * expit(odds) - up
        slope = np.append(pull.astype(np.float32) @ known + _RIDGE * theta[:-1], pull.sum())
        return float(said + 0.5 * _RIDGE * theta[:-1] @ theta[:-1]), slope

    return minimize(
        loss, np.zeros(known.shape[1] + 1), jac=True, method="L-BFGS-B",
        options={"maxiter": _STEPS, "ftol": 1e-8, "gtol": 1e-6},
    )  # fmt: skip
