"""A reward model learns which picture people prefer, says how surely, and survives its folder."""

import copy

import numpy as np
import pytest
import torch
from datasets import Dataset
from toy_pictures import ToyBundle, pair, picture, red_beats_blue
from trl import RewardConfig as TrlRewardConfig
from trl import RewardTrainer

from data_contracts.errors import FlywheelError
from reward_models.config import RewardConfig
from reward_models.model import reward_model_from
from reward_models.scorer import RewardScorer
from reward_models.sequences import read_sequences
from reward_models.session import trainer_arguments, training_session
from reward_models.trainer import train_reward
from reward_models.watch import Watch

CONFIG = RewardConfig(max_steps=30, batch_size=4, learning_rate=3e-3, device="cpu", seed=1)
SHORT = CONFIG.model_copy(update={"max_steps": 4})


@pytest.fixture(scope="module")
def trained(backbone):
    return train_reward(red_beats_blue(count=32), backbone=backbone, config=CONFIG)


def test_ranks_pictures_that_it_never_saw(trained):
    prompts = ["a disc p500"] * 20
    reds = trained.scorer.score(prompts, [picture("red", 500 + i) for i in range(20)])
    blues = trained.scorer.score(prompts, [picture("blue", 500 + i) for i in range(20)])
    assert np.mean(np.array(reds) > np.array(blues)) > 0.9
    assert trained.validation.mean == 1.0
    assert trained.validation_pairs == 8


def test_learns_from_text(backbone):
    words = {f"{w}{i}": f"{w} {i}" for i in range(16) for w in ("kind", "rude")}
    talks = [pair(i, chosen_id=f"kind{i}", rejected_id=f"rude{i}") for i in range(16)]
    bundle = ToyBundle(train=talks[:8], validation=talks[8:], texts=words)
    run = train_reward(bundle, backbone=backbone, config=CONFIG)
    assert run.validation.mean == 1.0


def test_equal_weights_are_trls_own_loss(backbone):
    bundle = red_beats_blue(count=4)
    ours = train_reward(bundle, backbone=backbone, config=SHORT)
    sequences = read_sequences(bundle, backbone, splits=["train"], max_length=64)

    def tokens(side):
        rows = sequences.rows((p.prompt_id, getattr(p, side)) for p in bundle.train)
        return [
            sequences.tokens[sequences.starts[r] : sequences.starts[r + 1]].tolist() for r in rows
        ]

    with training_session(SHORT) as scratch:
        stock = RewardTrainer(
            model=reward_model_from(backbone),
            args=TrlRewardConfig(**trainer_arguments(SHORT, scratch, Watch())),
            train_dataset=Dataset.from_dict(
                {"chosen_ids": tokens("chosen_id"), "rejected_ids": tokens("rejected_id")}
            ),
            processing_class=backbone.tokenizer,
        )
        stock.train()
    theirs = [entry["loss"] for entry in stock.state.log_history if "loss" in entry]
    np.testing.assert_allclose([v for _, v in ours.curves["loss"]], theirs, rtol=0, atol=1e-5)


def test_a_pair_of_weight_zero_changes_nothing(backbone):
    plain = red_beats_blue(count=4)
    odd = pair(9, chosen_id="blue9", rejected_id="red9", weight=0.0)
    more = ToyBundle(train=[odd, *plain.train], validation=plain.validation)
    one, other = (train_reward(b, backbone=backbone, config=SHORT) for b in (plain, more))
    assert one.curves == other.curves
    assert one.scorer.calibration == other.scorer.calibration


def test_swapping_pairs_with_their_targets_changes_nothing(backbone):
    plain = ToyBundle(train=[pair(i, target=0.75) for i in range(4)])
    swapped = ToyBundle(
        train=[pair(i, target=0.25, chosen_id=f"blue{i}", rejected_id=f"red{i}") for i in range(4)]
    )
    one, other = (train_reward(b, backbone=backbone, config=SHORT) for b in (plain, swapped))
    np.testing.assert_allclose(one.curves["loss"], other.curves["loss"], atol=1e-6)
    assert one.validation is None


def test_one_seed_gives_one_model_and_leaves_the_backbone_alone(backbone):
    before = copy.deepcopy(backbone.model.state_dict())
    runs = [train_reward(red_beats_blue(), backbone=backbone, config=SHORT) for _ in range(2)]
    states = [r.scorer.backbone.model.state_dict() for r in runs]
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    assert runs[0].curves == runs[1].curves
    after = backbone.model.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)


def test_a_saved_scorer_scores_the_same(trained, tmp_path):
    trained.scorer.save(tmp_path)
    loaded = RewardScorer.load(tmp_path, device="cpu")
    prompts, contents = ["a disc p1", "hello"], [picture("red", 1), b"world"]
    assert loaded.score(prompts, contents) == trained.scorer.score(prompts, contents)
    assert loaded.name == trained.scorer.name
    assert loaded.score([], []) == []


def test_an_untrained_model_has_no_opinion(backbone):
    model = reward_model_from(backbone)
    ids = torch.tensor([[1, 2, 3], [4, 5, 6]])
    assert model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.tolist() == [[0], [0]]


def test_padding_does_not_change_a_score(trained):
    model = trained.scorer.backbone.model
    short = model(input_ids=torch.tensor([[1, 2]]), attention_mask=torch.ones(1, 2).long())
    long = model(input_ids=torch.tensor([[1, 2, 9]]), attention_mask=torch.tensor([[1, 1, 0]]))
    torch.testing.assert_close(short.logits, long.logits)


def test_refuses_other_folders(backbone, tmp_path):
    with pytest.raises(FlywheelError, match=r"no readable scorer.json"):
        RewardScorer.load(tmp_path)
    scorer = RewardScorer(backbone, name="policy", max_length=64)
    scorer.save(tmp_path)
    with pytest.raises(FlywheelError, match="a policy's checkpoint is not a reward model"):
        RewardScorer.load(tmp_path)


def test_refuses_nothing_to_learn_from(backbone):
    with pytest.raises(FlywheelError, match="nothing to learn from"):
        train_reward(ToyBundle(train=[pair(0, weight=0.0)]), backbone=backbone, config=SHORT)
