"""The table of signals: which actions speak, and what we believe they say before any data.

Adding a row adds a signal everywhere: a bit of the pattern, a column of the intent model.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]

# From the events of an exposure (an Ibis table that is grouped) to a truth about them, or null.
Condition = Callable[[Any], Any]

INTENTS: Final = ("endorse", "mock", "indiscriminate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One thing that a user can say by acting on a generation that was looked at.

    The designed priors are chances at the worst and at the best class; those between follow
    in equal logit steps.
    """

    name: str
    condition: Condition  # true sets the bit
    endorse: tuple[float, float]
    mock: tuple[float, float]
    indiscriminate: float


def _any(kind: str) -> Condition:
    return lambda events: (events.kind == kind).any()


def _liked(events: Any) -> Any:
    """Net of unlike: the last of the two counts, unlike at a draw."""
    like, unlike = (
        events.occurred_at.max(where=events.kind == kind) for kind in ("like", "unlike")
    )
    return like.notnull() & (unlike.isnull() | (like > unlike))


def _kept(events: Any) -> Any:
    return events.value.min(where=events.kind == "edit")


def _dwelt(events: Any) -> Any:
    """Longer than 10 s in all."""
    return events.value.sum(where=events.kind == "dwell") > 10


SIGNALS: Final[tuple[Signal, ...]] = (
    Signal(
        name="like", condition=_liked,
        endorse=(0.02, 0.35), mock=(0.05, 0.05), indiscriminate=0.6,
    ),
    Signal(
        name="download", condition=_any("download"),
        endorse=(0.02, 0.20), mock=(0.60, 0.15), indiscriminate=0.3,
    ),
    Signal(
        name="share", condition=_any("share"),
        endorse=(0.01, 0.08), mock=(0.25, 0.08), indiscriminate=0.3,
    ),
    Signal(
        name="regenerate", condition=_any("regenerate"),
        endorse=(0.40, 0.08), mock=(0.12, 0.12), indiscriminate=0.1,
    ),
    Signal(
        name="edit_kept", condition=lambda events: _kept(events) >= 0.5,
        endorse=(0.02, 0.06), mock=(0.02, 0.02), indiscriminate=0.05,
    ),
    Signal(
        name="edit_lost", condition=lambda events: (_kept(events) >= 0) & (_kept(events) < 0.5),
        endorse=(0.06, 0.02), mock=(0.02, 0.02), indiscriminate=0.05,
    ),
    Signal(
        name="upscale", condition=_any("upscale"),
        endorse=(0.01, 0.15), mock=(0.05, 0.03), indiscriminate=0.1,
    ),
    Signal(
        name="remix", condition=_any("remix"),
        endorse=(0.02, 0.08), mock=(0.08, 0.05), indiscriminate=0.1,
    ),
    Signal(
        name="dwell", condition=_dwelt,
        endorse=(0.20, 0.55), mock=(0.65, 0.45), indiscriminate=0.2,
    ),
    Signal(
        name="hide", condition=_any("hide"),
        endorse=(0.05, 0.01), mock=(0.01, 0.01), indiscriminate=0.01,
    ),
    Signal(
        name="report", condition=_any("report"),
        endorse=(0.02, 0.003), mock=(0.004, 0.004), indiscriminate=0.01,
    ),
)  # fmt: skip

SIGNAL_NAMES: Final = tuple(signal.name for signal in SIGNALS)


def has_signal(exposures: pa.Table, name: str) -> BoolArray:
    """Say for each exposure whether signal *name* was given."""
    bit = 1 << SIGNAL_NAMES.index(name)
    pattern = exposures.column("pattern").to_numpy()
    given: BoolArray = (pattern & bit) != 0
    return given


def pattern_bits(patterns: NDArray[np.int64]) -> FloatArray:
    """Return (k, s) zeros and ones for k patterns and s signals."""
    bits: FloatArray = ((patterns[:, None] >> np.arange(len(SIGNALS))) & 1).astype(np.float64)
    return bits


def designed_chances(classes: int) -> FloatArray:
    """Return (m, c, s): the designed chance of each signal by intent and quality class."""
    step = np.linspace(0.0, 1.0, classes)
    chances = np.empty((len(INTENTS), classes, len(SIGNALS)))
    for s, signal in enumerate(SIGNALS):
        for m, (worst, best) in enumerate((signal.endorse, signal.mock)):
            low, high = np.log(worst / (1 - worst)), np.log(best / (1 - best))
            chances[m, :, s] = 1 / (1 + np.exp(-(low + (high - low) * step)))
        chances[2, :, s] = signal.indiscriminate
    return chances
