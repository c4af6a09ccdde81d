"""Who looks on while a run trains: what it measures, where it may be told to stop and go on."""

import contextlib
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import torch
from transformers import TrainerCallback

from data_contracts.errors import FlywheelError
from reward_models.config import TrainingConfig

Progress = Callable[[int, int], None]
Curves = Mapping[str, tuple[tuple[int, float], ...]]

# Clocks and counters: they differ from run to run, or say what the configuration says.
_NOT_CURVES: Final = ("train_", "total_flos", "epoch", "num_tokens", "step")
_WHOLE: Final = "whole"  # the mark that a process sets on a state once its part is written
_STATE: Final = "checkpoint-"  # the trainer's own name


class TrainingStopped(FlywheelError):
    """Somebody asked the run to stop, and it did, between two steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What a run tells while it trains, and what it is told.

    Called on the first process of a run alone; `stop` is asked on all of them.
    """

    progress: Progress = lambda done, total: None  # steps done, all steps
    metrics: Callable[[int, Mapping[str, float]], None] = lambda step, values: None
    stop: Callable[[], bool] = lambda: False  # asked after each step
    folder: Path | None = None  # of this very run, where states are kept; None keeps none


class Logbook(TrainerCallback):
    """Keeps a run's curves, tells its watch, and stops between two steps if asked to."""

    def __init__(self, config: TrainingConfig, watch: Watch) -> None:
        self._config = config
        self._watch = watch
        self._values: dict[str, list[tuple[int, float]]] = defaultdict(list)
        self.stopped_at: int | None = None  # the step after which the run was stopped

    @property
    def curves(self) -> Curves:
        """Return (step, value) points by name."""
        return MappingProxyType({name: tuple(points) for name, points in self._values.items()})

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Take up the curves of the part that an earlier process trained."""
        for logs in state.log_history:
            self._keep(logs["step"], logs)
        if state.global_step and state.is_world_process_zero:
            self._watch.progress(state.global_step, self._config.max_steps)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Keep what the trainer measured."""
        kept = self._keep(state.global_step, logs or {})
        if kept and state.is_world_process_zero:
            self._watch.metrics(state.global_step, kept)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Report a step; stop after it if any process of the run was asked to."""
        if state.is_world_process_zero:
            self._watch.progress(state.global_step, self._config.max_steps)
        if state.global_step < self._config.max_steps and _anywhere(self._watch.stop(), args):
            self.stopped_at = state.global_step
            control.should_training_stop = True
            control.should_save = self._watch.folder is not None

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Mark this process's part of a state as written."""
        folder = Path(args.output_dir) / f"{_STATE}{state.global_step}"
        with contextlib.suppress(FileNotFoundError):  # the first process may have rotated it away
            (folder / f"{_WHOLE}-{args.process_index}").touch()

    def _keep(self, step: int, logs: Mapping[str, Any]) -> dict[str, float]:
        kept = {n: float(v) for n, v in logs.items() if not n.startswith(_NOT_CURVES)}
        for name, value in kept.items():
            self._values[name].append((step, value))
        return kept


def last_state(folder: Path | None, *, processes: int) -> Path | None:
    """Return the newest state below *folder* that all processes wrote whole; None: there is none.

    A process that was killed while it wrote leaves a state without its mark.
    """
    found = [] if folder is None else list(folder.glob(f"{_STATE}*"))
    whole = [s for s in found if all((s / f"{_WHOLE}-{p}").is_file() for p in range(processes))]
    return max(whole, key=lambda state: int(state.name.removeprefix(_STATE)), default=None)


def _anywhere(asked: bool, args: Any) -> bool:
    """Say whether any process was asked, for a step takes all of them."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return asked
    told = torch.tensor(int(asked), device=args.device)
    torch.distributed.all_reduce(told, torch.distributed.ReduceOp.MAX)
    return bool(told.item())
