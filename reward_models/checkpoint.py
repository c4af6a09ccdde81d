"""Reads a reward model of any architecture back from its folder."""

from pathlib import Path

from transformers import AutoTokenizer, PreTrainedModel

from backbone.emu3 import Emu3Backbone, best_device
from data_contracts.errors import FlywheelError


def load_checkpoint(
    architecture: type[PreTrainedModel], folder: Path, *, called: str, device: str | None = None
) -> Emu3Backbone:
    """Load a reward model with its tokenizer from a folder; safetensors only, no network.

    Args:
        architecture: the class that was saved.
        folder: what `save` of its scorer wrote.
        called: what an error calls it, such as "a reward model".
        device: where to; None is the best there is.

    Returns:
        A backbone that reads media as tokens and whose `model` is an *architecture*.

    Raises:
        FlywheelError: *folder* is not such a checkpoint.
    """
    if not (folder / "config.json").is_file():
        raise FlywheelError(
            f"{folder.name}: not {called} (no config.json); give a folder saved by one"
        )
    try:
        model, report = architecture.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError, KeyError, AttributeError) as error:
        raise FlywheelError(
            f"{folder.name}: cannot be loaded as {called} ({type(error).__name__}); "
            "check that it is complete"
        ) from error
    if report["missing_keys"] or report["unexpected_keys"]:
        raise FlywheelError(
            f"{folder.name}: weights are missing or of another architecture; "
            f"a policy's checkpoint is not {called}"
        )
    return Emu3Backbone(model.to(device or best_device()), tokenizer)
