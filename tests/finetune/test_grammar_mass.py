"""The chance of a token of another kind, against the whole table of scores, and as a loss."""

import math

import numpy as np
import pytest
import torch
from toy_pictures import ToyBundle, pair, red_beats_blue
from trl.trainer.utils import add_fused_lm_head

from finetune import grammar_mass
from finetune.config import DpoConfig, SftConfig
from finetune.dpo_trainer import train_dpo
from finetune.grammar_mass import GrammarMass
from finetune.sft_trainer import train_sft
from reward_models.sequences import read_sequences
from reward_models.session import restore_forward

CONFIG = {"max_steps": 1, "batch_size": 2, "learning_rate": 1e-3, "device": "cpu", "seed": 3}


def sequences_of(backbone, bundle):
    return read_sequences(bundle, backbone, splits=["train"], max_length=64)


def lost_by_hand(backbone, sequences, rows):
    """From all scores: minus the log chance of any visual token, wherever one stands."""
    ids, completion = sequences.padded(rows)
    with torch.no_grad():
        chances = backbone.model(input_ids=ids).logits[:, :-1].double().softmax(-1)
    visual = list(backbone.ids.visual)
    inside = chances[..., visual].sum(-1)
    place = completion[:, 1:] & torch.isin(ids[:, 1:], torch.tensor(visual))
    return (-inside.log() * place).sum(1).numpy()


def lost_by_listening(backbone, sequences, rows):
    ids, completion = sequences.padded(rows)
    labels = ids.masked_fill(~completion, -100)
    model, mass = backbone.model, GrammarMass(backbone.model, backbone.ids.visual)
    add_fused_lm_head(model)
    try:
        log_probs = model(
            input_ids=ids, labels=labels, use_cache=False, fused_lm_head=True
        ).log_probs
        return mass.lost(labels, log_probs)
    finally:
        mass.close()
        restore_forward(model)


@pytest.mark.parametrize("tile", [3, 2048])
def test_it_is_what_the_whole_table_of_scores_says(backbone, monkeypatch, tile):
    monkeypatch.setattr(grammar_mass, "_TILE", tile)
    sequences = sequences_of(backbone, red_beats_blue(count=3))
    rows = np.arange(6)
    found = lost_by_listening(backbone, sequences, rows)
    expected = lost_by_hand(backbone, sequences, rows)
    assert (expected > 0.1).all(), "an untrained model must have something to lose"
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_text_has_nothing_to_lose(backbone):
    talk = ToyBundle(
        train=[pair(0, chosen_id="good", rejected_id="bad")], texts={"good": "yes", "bad": "no way"}
    )
    found = lost_by_listening(backbone, sequences_of(backbone, talk), np.arange(2))
    assert found.tolist() == [0.0, 0.0]
    found.sum().backward()  # a step on text alone must not fail


def test_listening_leaves_the_model_as_it_was(backbone):
    sequences = sequences_of(backbone, red_beats_blue(count=1))
    lost_by_listening(backbone, sequences, np.arange(2))
    assert not backbone.model.base_model._forward_hooks
    assert "forward" not in vars(backbone.model)


def test_the_first_loss_of_dpo_worked_by_hand(backbone):
    """Policy = reference: log 2, and the weighted mean of what both sides lose."""
    bundle = ToyBundle(train=[pair(0, target=0.8, weight=0.3), pair(1, target=0.6)])
    config = DpoConfig(**CONFIG, sft_weight=0.0, grammar_weight=0.5)
    run = train_dpo(bundle, policy=backbone, reference=backbone, config=config)
    sequences = sequences_of(backbone, bundle)
    lost = lost_by_hand(backbone, sequences, np.arange(len(sequences.prompt_lengths)))
    of = {key[1]: lost[row] for key, row in sequences.row_of.items()}
    sides = np.array([(of[p.chosen_id] + of[p.rejected_id]) / 2 for p in bundle.train])
    mean = np.average(sides, weights=[p.weight for p in bundle.train])
    assert run.curves["loss/grammar"][0][1] == pytest.approx(mean, rel=1e-4)
    assert run.curves["loss"][0][1] == pytest.approx(math.log(2) + 0.5 * mean, rel=1e-4)


@pytest.mark.parametrize("train", [train_dpo, train_sft])
def test_training_with_it_loses_less(backbone, train):
    bundle = red_beats_blue()
    kind = DpoConfig if train is train_dpo else SftConfig
    last = {}
    for weight in (0.0, 1.0):
        config = kind(**CONFIG | {"max_steps": 15, "batch_size": 4}, grammar_weight=weight)
        options = {"reference": backbone} if train is train_dpo else {}
        run = train(bundle, policy=backbone, config=config, **options)
        sequences = sequences_of(run.backbone, bundle)
        last[weight] = lost_by_hand(run.backbone, sequences, np.arange(8)).mean()
        assert ("loss/grammar" in run.curves) is (weight > 0)
    assert last[1.0] < 0.8 * last[0.0]


def test_parts_of_a_step_add_up_to_it(backbone):
    bundle = red_beats_blue(count=4)
    whole, parts = (
        train_dpo(
            bundle,
            policy=backbone,
            reference=backbone,
            config=DpoConfig(
                **CONFIG | {"batch_size": 4, "max_steps": 2}, accumulation=k, grammar_weight=2.0
            ),
        )
        for k in (1, 2)
    )
    for name in ("loss", "loss/grammar"):
        np.testing.assert_allclose(
            [v for _, v in whole.curves[name]], [v for _, v in parts.curves[name]], rtol=1e-5
        )


@pytest.mark.parametrize("train", [train_dpo, train_sft])
def test_nobody_listens_where_it_weighs_nothing(backbone, monkeypatch, train):
    """Hidden states that nobody asked for would stay in memory until the next step."""
    name = "dpo_trainer" if train is train_dpo else "sft_trainer"
    monkeypatch.setattr(f"finetune.{name}.GrammarMass", None)
    kind = DpoConfig if train is train_dpo else SftConfig
    options = {"reference": backbone} if train is train_dpo else {}
    train(red_beats_blue(count=4), policy=backbone, config=kind(**CONFIG), **options)
