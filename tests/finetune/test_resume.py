"""A run that was stopped or killed goes on where it was and ends with the same weights."""

from dataclasses import replace

import pytest
import torch
from toy_pictures import red_beats_blue

from finetune.config import DpoConfig, SftConfig
from finetune.dpo_trainer import train_dpo
from finetune.sft_trainer import train_sft
from reward_models.config import RewardConfig
from reward_models.trainer import train_reward
from reward_models.watch import TrainingStopped, Watch, last_state

SHARED = {"max_steps": 7, "batch_size": 4, "learning_rate": 1e-3, "device": "cpu", "save_every": 2}


def dpo(backbone, watch):
    return train_dpo(
        red_beats_blue(), policy=backbone, reference=backbone, config=DpoConfig(**SHARED),
        watch=watch,
    )  # fmt: skip


def sft(backbone, watch):
    return train_sft(red_beats_blue(), policy=backbone, config=SftConfig(**SHARED), watch=watch)


def reward(backbone, watch):
    bundle = red_beats_blue()
    return train_reward(bundle, backbone=backbone, config=RewardConfig(**SHARED), watch=watch)


def weights(run):
    model = run.scorer.backbone if hasattr(run, "scorer") else run.backbone
    return {k: v.clone() for k, v in model.model.state_dict().items()}


def asked_after(step):
    """Return a watch's `stop` that is asked once a step, and says yes from *step* on."""
    asked = iter(range(1, 100))
    return lambda: next(asked) >= step


class Killed(BaseException):
    """Stands for a process that ends without a word."""


def killed_after(step):
    def tell(done, total):
        if done == step:
            raise Killed

    return tell


@pytest.mark.parametrize("train", [dpo, sft, reward])
def test_a_stopped_run_goes_on_and_ends_with_the_same_weights(backbone, tmp_path, train):
    whole = train(backbone, Watch(folder=tmp_path / "whole"))
    seen = []
    watch = Watch(folder=tmp_path / "cut", progress=lambda done, total: seen.append(done))
    with pytest.raises(TrainingStopped, match="after step 3 of 7; started again, it goes on"):
        train(backbone, replace(watch, stop=asked_after(3)))
    assert last_state(tmp_path / "cut", processes=1).name == "checkpoint-3"
    again = train(backbone, watch)
    assert seen == [1, 2, 3, 3, 4, 5, 6, 7]
    one, other = weights(whole), weights(again)
    assert all(torch.equal(one[k], other[k]) for k in one)
    assert again.curves == whole.curves
    assert again.samples_seen == whole.samples_seen


def test_a_killed_run_goes_on_from_its_last_whole_state(backbone, tmp_path):
    """Killed in step 5 of 7; the state of step 4 was being written and is not trusted."""
    whole = dpo(backbone, Watch())
    with pytest.raises(Killed):
        dpo(backbone, Watch(folder=tmp_path, progress=killed_after(5)))
    (tmp_path / "checkpoint-4" / "whole-0").unlink()
    (tmp_path / "checkpoint-4" / "optimizer.pt").write_bytes(b"half")
    seen = []
    again = dpo(backbone, Watch(folder=tmp_path, progress=lambda done, total: seen.append(done)))
    assert seen == [2, 3, 4, 5, 6, 7]
    one, other = weights(whole), weights(again)
    assert all(torch.equal(one[k], other[k]) for k in one)
    assert again.curves == whole.curves


def test_a_state_counts_once_every_process_has_written_its_part(tmp_path):
    for step, parts in {2: (0, 1), 4: (0,), 10: ()}.items():
        (tmp_path / f"checkpoint-{step}").mkdir()
        for part in parts:
            (tmp_path / f"checkpoint-{step}" / f"whole-{part}").touch()
    assert last_state(tmp_path, processes=1).name == "checkpoint-4"
    assert last_state(tmp_path, processes=2).name == "checkpoint-2"
    assert last_state(tmp_path, processes=3) is None
    assert last_state(None, processes=1) is None


def test_metrics_are_told_while_it_trains(backbone):
    told = []
    dpo(backbone, Watch(metrics=lambda step, values: told.append((step, values))))
    assert [step for step, _ in told] == list(range(1, 8))
    assert {"loss", "rewards/margins", "learning_rate"} <= set(told[0][1])


def test_without_a_folder_nothing_is_kept_and_a_stop_says_so(backbone):
    with pytest.raises(TrainingStopped, match="nothing was kept"):
        dpo(backbone, Watch(stop=lambda: True))
