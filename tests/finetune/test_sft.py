"""SFT imitates each generation that won more than it lost, by how much it won."""

import copy

import numpy as np
import pytest
import torch
from datasets import Dataset
from toy_pictures import ToyBundle, pair, red_beats_blue
from trl import SFTConfig as TrlSftConfig
from trl import SFTTrainer

from backbone.pictures import stack_pngs
from backbone.tokens import visual_prompt
from data_contracts.errors import FlywheelError
from finetune.config import SftConfig
from finetune.sft_trainer import imitation_rows, train_sft
from reward_models.sequences import read_sequences
from reward_models.session import trainer_arguments, training_session
from reward_models.watch import Watch

CONFIG = SftConfig(max_steps=6, batch_size=4, learning_rate=1e-3, device="cpu")


def rows_of(bundle, backbone):
    sequences = read_sequences(bundle, backbone, splits=["train"], max_length=64)
    rows = imitation_rows(bundle, sequences, split="train")
    return dict(zip(rows.names, rows.weight.round(6).tolist(), strict=True))


def test_net_wins_worked_by_hand(backbone):
    """red0 wins 1 * (2 - 1) and .5 * (1.8 - 1) = 1.4, counted as 1; blue1 wins 1 and loses .4."""
    one = {"prompt_id": "p0"}
    bundle = ToyBundle(
        train=[
            pair(0, **one),
            pair(0, **one, rejected_id="blue1", target=0.9, weight=0.5),
            pair(0, **one, chosen_id="blue1", rejected_id="blue2"),
            pair(0, **one, chosen_id="red3", rejected_id="blue3", target=0.5),
        ]
    )
    assert rows_of(bundle, backbone) == {"red0": 1.0, "blue1": 0.6}


def test_equal_weights_are_trls_own_loss(backbone):
    bundle = red_beats_blue(count=4)
    config = CONFIG.model_copy(update={"max_steps": 2})
    ours = train_sft(bundle, policy=backbone, config=config)
    codes = backbone.tokenise(stack_pngs([bundle.content(p.chosen_id) for p in bundle.train]))
    rows = Dataset.from_dict(
        {
            "prompt": [
                visual_prompt(bundle.prompt_text(p.prompt_id), backbone.grid) for p in bundle.train
            ],
            "completion": [backbone.completion(c) for c in codes],
        }
    )
    with training_session(config) as scratch:
        stock = SFTTrainer(
            model=copy.deepcopy(backbone.model),
            args=TrlSftConfig(**trainer_arguments(config, scratch, Watch())),
            train_dataset=rows,
            processing_class=backbone.tokenizer,
        )
        stock.train()
    theirs = [entry["loss"] for entry in stock.state.log_history if "loss" in entry]
    np.testing.assert_allclose([v for _, v in ours.curves["loss"]], theirs, rtol=0, atol=2e-6)


def test_learns_to_write_what_was_preferred(backbone):
    trained = train_sft(red_beats_blue(), policy=backbone, config=CONFIG)
    losses = [value for _, value in trained.curves["loss"]]
    assert losses[-1] < losses[0] - 0.1


def test_one_seed_gives_one_policy(backbone):
    runs = [train_sft(red_beats_blue(), policy=backbone, config=CONFIG) for _ in range(2)]
    states = [r.backbone.model.state_dict() for r in runs]
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    assert runs[0].curves == runs[1].curves


def test_refuses_when_nothing_won(backbone):
    bundle = ToyBundle(train=[pair(0, target=0.5)])
    with pytest.raises(FlywheelError, match="nothing to imitate"):
        train_sft(bundle, policy=backbone, config=CONFIG)


def test_importing_the_rooms_costs_no_library():
    """`import finetune` and its settings load neither torch nor TRL."""
    import subprocess
    import sys

    code = (
        "import sys, finetune, reward_models, finetune.config, reward_models.config;"
        "sys.exit(bool({'torch', 'trl', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
