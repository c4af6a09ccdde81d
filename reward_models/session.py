"""What surrounds one training run: its randomness, threads, scratch files, record and order."""

import copy
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch.utils.data import SequentialSampler
from transformers import PrinterCallback

from backbone.emu3 import best_device
from data_contracts.errors import FlywheelError
from reward_models.config import TrainingConfig
from reward_models.watch import Logbook, TrainingStopped, Watch, last_state

_TRAINED: Final = "trained.safetensors"  # what a state holds of the model
_SCHEDULES: Final = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}


@contextmanager
def training_session(config: TrainingConfig) -> Iterator[Path]:
    """Seed everything, limit threads and give a scratch folder; leave the caller's state as it was.

    The trainers seed Python's, NumPy's and torch's global generators.
    """
    threads, python, numpy = torch.get_num_threads(), random.getstate(), np.random.get_state()  # noqa: NPY002
    torch.set_num_threads(config.threads)
    try:
        with torch.random.fork_rng(), tempfile.TemporaryDirectory() as scratch:
            yield Path(scratch)
    finally:
        torch.set_num_threads(threads)
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


def run_device(config: TrainingConfig) -> str:
    """Return the device that a run of *config* uses."""
    return best_device() if config.device == "auto" else config.device


def trainer_arguments(config: TrainingConfig, scratch: Path, watch: Watch) -> dict[str, Any]:
    """Return what every TRL configuration is given: nothing sent, no overhead.

    Nothing is written but the states that *watch* has a folder for, if the run keeps any.
    """
    device = run_device(config)
    keeps = watch.folder is not None and config.save_every > 0
    return {
        "output_dir": str(watch.folder or scratch),
        "learning_rate": config.learning_rate,
        "per_device_train_batch_size": config.batch_size
        // (config.expected_world_size * config.accumulation),
        "gradient_accumulation_steps": config.accumulation,
        "max_steps": config.max_steps,
        "lr_scheduler_type": _SCHEDULES[config.schedule],
        "warmup_steps": round(config.warmup * config.max_steps),
        "max_grad_norm": config.max_grad_norm,
        "weight_decay": config.weight_decay,
        "seed": config.seed,
        "logging_steps": config.log_every,
        # A filtered curve would hide the first NaN.
        "logging_nan_inf_filter": False,
        "use_cpu": device == "cpu",
        "bf16": device == "cuda" and torch.cuda.is_bf16_supported(),
        "gradient_checkpointing": False,
        # Every weight that trains is used in every step; looking for others costs a pass.
        "ddp_find_unused_parameters": False,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": False,
        "remove_unused_columns": False,
        "report_to": "none",
        "save_strategy": "steps" if keeps else "no",
        "save_steps": max(config.save_every, 1),
        # The one before stays until the next is whole.
        "save_total_limit": 2,
        "eval_strategy": "no",
        "disable_tqdm": True,
    }


def check_world(found: int, config: TrainingConfig) -> None:
    """Refuse to train with another number of processes than was asked for.

    Raises:
        FlywheelError: a launcher that started too few processes fails silently otherwise.
    """
    if found != config.expected_world_size:
        raise FlywheelError(
            f"{found} processes train but {config.expected_world_size} were expected; "
            "launch with torchrun --nproc-per-node or set expected_world_size"
        )


def working_copy(model: Any, config: TrainingConfig) -> Any:
    """Copy a model for training: on the run's device, without dropout, picture tokens frozen.

    Pictures reach the trunk as tokens, so that their encoder never gets a gradient.
    """
    twin = copy.deepcopy(model).to(run_device(config))
    for module in twin.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    twin.model.vqmodel.requires_grad_(False)
    return twin


def on_device(model: Any, config: TrainingConfig) -> Any:
    """Return *model* where the run is, as it is if it is already there."""
    device = run_device(config)
    here = next(model.parameters()).device.type == device
    return model if here else copy.deepcopy(model).to(device)


def restore_forward(*models: Any) -> None:
    """Take off what TRL and accelerate put over `forward`, so that models run as they came."""
    for model in models:
        for name in ("forward", "_original_forward"):
            model.__dict__.pop(name, None)


def refuse_broken_weights(model: Any) -> None:
    """Raise FlywheelError if any weight is not a finite number."""
    broken = [n for n, p in model.named_parameters() if not torch.isfinite(p).all()]
    if broken:
        raise FlywheelError(
            f"training ended with {len(broken)} broken weights, first {broken[0]}; "
            "lower the learning rate"
        )


class OrderedRows:
    """Mixin over a TRL trainer: rows come tokenised and in training order, and carry weights.

    Overrides private hooks of TRL and transformers; `tests/reward_models/test_hooks.py` pins them.
    """

    loss_is_scaled_for_ga = True
    model: Any
    train_dataset: Any
    accelerator: Any
    state: Any
    _metrics: Any

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        return dataset

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        return SequentialSampler(self.train_dataset if dataset is None else dataset)

    def _send_telemetry(self) -> None:
        """Send nothing."""

    # The library saves under a checkpoint's names and loads into the model's own, without a word
    # about those it cannot place: a state would come back with none of its weights.
    def _save(self, output_dir: Any = None, state_dict: Any = None) -> None:
        folder = Path(output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        save_file({n: p.detach().contiguous() for n, p in self._trained()}, folder / _TRAINED)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        kept, trained = load_file(Path(resume_from_checkpoint) / _TRAINED), dict(self._trained())
        if kept.keys() != trained.keys():
            raise FlywheelError("the kept state is of another model; delete it and train anew")
        for name, weight in trained.items():
            weight.data.copy_(kept[name])

    def _trained(self) -> list[tuple[str, torch.nn.Parameter]]:
        return [(n, p) for n, p in self.model.named_parameters() if p.requires_grad]

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """Write none: a state is no model for others."""

    def floating_point_ops(self, inputs: Any) -> int:
        """Count nothing: walking over all parameters costs 2 % of a small model's step."""
        return 0

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: Any) -> torch.Tensor:
        """Return a step's totals, over its parts and over all processes."""
        own = torch.stack([batch["totals"] for batch in batch_samples]).sum(0).to(device)
        everywhere: torch.Tensor = self.accelerator.gather(own[None]).sum(0)
        return everywhere

    def _checked(self, loss: torch.Tensor) -> torch.Tensor:
        """Return *loss*, a part's share of the step, scaled for the mean that DDP will take."""
        if not torch.isfinite(loss):
            raise FlywheelError(
                f"step {self.state.global_step + 1}: the loss is not a finite number; "
                "lower the learning rate, or look at the weights and targets of the pairs"
            )
        scaled: torch.Tensor = loss * self.accelerator.num_processes
        return scaled

    def _note(self, **values: torch.Tensor) -> None:
        for name, value in values.items():
            mean = self.accelerator.gather(value.detach().float()).mean().item()
            self._metrics["train"][name.replace("__", "/")].append(mean)


def run_trainer(trainer: Any, book: Logbook, watch: Watch) -> None:
    """Train to the last step, from the last state that an earlier process of this run left.

    Raises:
        TrainingStopped: *watch* asked for it; the state is kept if there is a folder for it.
        FlywheelError: training broke the weights.
    """
    trainer.remove_callback(PrinterCallback)
    state = last_state(watch.folder, processes=trainer.args.world_size)
    trainer.train(resume_from_checkpoint=None if state is None else str(state))
    if book.stopped_at is not None:
        raise TrainingStopped(
            f"stopped after step {book.stopped_at} of {trainer.args.max_steps}; "
            + ("started again, it goes on from there" if watch.folder else "nothing was kept")
        )
    refuse_broken_weights(trainer.model)


def samples_by_step(
    order: list[list[int]], names: tuple[str, ...]
) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """Name what each step saw, counting steps from 1."""
    return tuple((s, tuple(names[r] for r in rows)) for s, rows in enumerate(order, start=1))
