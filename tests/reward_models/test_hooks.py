"""The private hooks of TRL and transformers that training overrides are still called as before."""

import inspect

import pytest
from transformers import Trainer
from trl import DPOTrainer, RewardTrainer, SFTTrainer
from trl.trainer.utils import add_fused_lm_head


def names(function):
    return list(inspect.signature(function).parameters)


@pytest.mark.parametrize("trainer", [DPOTrainer, RewardTrainer, SFTTrainer])
def test_hooks_shared_by_all_trainers(trainer):
    assert names(trainer._prepare_dataset)[:2] == ["self", "dataset"]
    assert names(trainer._send_telemetry) == ["self"]
    assert names(trainer.compute_loss) == [
        "self", "model", "inputs", "return_outputs", "num_items_in_batch",
    ]  # fmt: skip


def test_hooks_of_the_loop():
    assert names(Trainer._get_num_items_in_batch) == ["self", "batch_samples", "device"]
    assert names(Trainer._get_train_sampler)[0] == "self"
    assert names(Trainer._save) == ["self", "output_dir", "state_dict"]
    assert names(Trainer._load_from_checkpoint) == ["self", "resume_from_checkpoint", "model"]
    assert "loss_is_scaled_for_ga" in inspect.getsource(Trainer.training_step)


def test_hooks_of_dpo():
    assert names(DPOTrainer._precompute_ref_logps) == ["self", "dataset", "name", "batch_size"]
    assert "_precompute_ref_logps" in inspect.getsource(DPOTrainer.__init__)
    assert names(add_fused_lm_head)[0] == "model"
    assert "outputs" in names(add_fused_lm_head)
