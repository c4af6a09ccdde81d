"""What a training run hands back."""

from dataclasses import dataclass

from backbone.emu3 import Emu3Backbone
from reward_models.watch import Curves


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRun:
    """A trained policy, how it got there, and what each step saw."""

    backbone: Emu3Backbone
    curves: Curves  # (step, value) points by name
    samples_seen: tuple[tuple[int, tuple[str, ...]], ...]  # (step from 1, names)
    seconds: float  # wall clock; differs from run to run
