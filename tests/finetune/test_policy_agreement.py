"""A policy's own ranking of pairs."""

import numpy as np
import pytest
from toy_pictures import ToyBundle, pair, red_beats_blue

from backbone.tokens import text_completion, text_prompt
from data_contracts.errors import FlywheelError
from finetune.agreement import policy_agreement, sequence_scores
from finetune.config import DpoConfig
from finetune.dpo_trainer import train_dpo
from reward_models.sequences import read_sequences

TALK = ToyBundle(
    train=[pair(0, chosen_id="good", rejected_id="bad")],
    texts={"good": "yes", "bad": "no way"},
)


def agreement(candidate, reference, bundle):
    return policy_agreement(candidate, reference, bundle, split="validation", max_length=64, seed=0)


def test_scores_are_the_backbones_own(backbone):
    sequences = read_sequences(TALK, backbone, splits=["train"], max_length=64)
    expected = backbone.sequence_logprobs(
        [text_prompt("a disc p0")] * 2, [text_completion("yes"), text_completion("no way")]
    )
    found = sequence_scores(backbone, sequences, np.array([0, 1]))
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_reference_agrees_with_itself_by_half(backbone):
    assert agreement(backbone, backbone, red_beats_blue()).mean == 0.5


def test_training_brings_agreement_on_pictures_never_seen(backbone):
    bundle = red_beats_blue(count=32, held_back=32)
    config = DpoConfig(max_steps=25, batch_size=8, learning_rate=1e-3, device="cpu")
    trained = train_dpo(bundle, policy=backbone, reference=backbone, config=config).backbone
    assert agreement(trained, backbone, bundle).low > 0.7


def test_refuses_a_split_without_pairs(backbone):
    with pytest.raises(FlywheelError, match="nothing to learn from"):
        agreement(backbone, backbone, red_beats_blue(held_back=0))
