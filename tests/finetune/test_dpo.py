"""Weighted DPO: TRL's own loss where weights are equal, and what weights and targets must do."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from datasets import Dataset
from pydantic import ValidationError
from toy_pictures import ToyBundle, pair, red_beats_blue
from trl import DPOTrainer

from backbone.tokens import visual_prompt
from data_contracts.errors import FlywheelError
from finetune.config import DpoConfig
from finetune.dpo_trainer import dpo_arguments, train_dpo
from reward_models.preferences import preference_rows
from reward_models.sequences import read_sequences
from reward_models.session import training_session
from reward_models.watch import Watch

CONFIG = DpoConfig(max_steps=6, batch_size=4, learning_rate=1e-3, device="cpu", seed=3)


def weights(backbone):
    return {k: v.clone() for k, v in backbone.model.state_dict().items()}


def same(one, other):
    return all(torch.equal(one[k], other[k]) for k in one)


def run(bundle, backbone, **changes):
    config = CONFIG.model_copy(update=changes)
    return train_dpo(bundle, policy=backbone, reference=backbone, config=config)


def margin(bundle, backbone):
    """Return the mean of log p(red) - log p(blue) over validation pictures."""
    from backbone.pictures import stack_pngs

    pairs = bundle.pairs("validation")
    prompts = [visual_prompt(bundle.prompt_text(p.prompt_id), backbone.grid) for p in pairs]
    scores = []
    for ids in ([p.chosen_id for p in pairs], [p.rejected_id for p in pairs]):
        codes = backbone.tokenise(stack_pngs([bundle.content(i) for i in ids]))
        texts = [backbone.completion(c) for c in codes]
        scores.append(backbone.sequence_logprobs(prompts, texts))
    return float((scores[0] - scores[1]).mean())


def test_equal_weights_and_certain_targets_are_trls_own_loss(backbone):
    """TRL tokenises strings, scores its own reference and computes sigmoid + sft by itself."""
    bundle = red_beats_blue(count=4)
    config = CONFIG.model_copy(update={"max_steps": 3, "sft_weight": 0.7})
    ours = train_dpo(bundle, policy=backbone, reference=backbone, config=config)
    from backbone.pictures import stack_pngs

    def written(ids):
        codes = backbone.tokenise(stack_pngs([bundle.content(i) for i in ids]))
        return [backbone.completion(c) for c in codes]

    rows = Dataset.from_dict(
        {
            "prompt": [
                visual_prompt(bundle.prompt_text(p.prompt_id), backbone.grid) for p in bundle.train
            ],
            "chosen": written([p.chosen_id for p in bundle.train]),
            "rejected": written([p.rejected_id for p in bundle.train]),
        }
    )
    with training_session(config) as scratch:
        stock = DPOTrainer(
            model=copy.deepcopy(backbone.model),
            ref_model=copy.deepcopy(backbone.model),
            args=dpo_arguments(config, scratch, Watch()),
            train_dataset=rows,
            processing_class=backbone.tokenizer,
        )
        stock.train()
    theirs = [entry["loss"] for entry in stock.state.log_history if "loss" in entry]
    np.testing.assert_allclose([v for _, v in ours.curves["loss"]], theirs, rtol=0, atol=1e-6)


def test_the_first_loss_worked_by_hand(backbone):
    """Policy = reference gives d = 0, so that preference costs log 2 whatever target and weight."""
    bundle = ToyBundle(train=[pair(0, target=0.8, weight=0.3), pair(1, target=0.6)])
    curves = run(bundle, backbone, max_steps=1, batch_size=2, sft_weight=0.0).curves
    assert curves["loss"][0][1] == pytest.approx(math.log(2), abs=1e-6)


def test_makes_the_preferred_pictures_likelier(backbone):
    bundle = red_beats_blue()
    trained = run(bundle, backbone, max_steps=20, sft_weight=0.0)
    assert margin(bundle, trained.backbone) > margin(bundle, backbone) + 1.0
    assert trained.curves["rewards/accuracies"][-1][1] == 1.0


def test_a_pair_of_weight_zero_changes_nothing(backbone):
    bundle = red_beats_blue(count=4)
    odd = pair(50, chosen_id="blue50", rejected_id="red50", weight=0.0)
    more = replace(bundle, train=[*bundle.train[:2], odd, *bundle.train[2:]])
    one, other = run(bundle, backbone), run(more, backbone)
    assert same(weights(one.backbone), weights(other.backbone))


def test_doubling_every_weight_changes_nothing(backbone):
    light = ToyBundle(train=[pair(i, weight=0.25 + 0.05 * i) for i in range(4)])
    heavy = ToyBundle(train=[pair(i, weight=0.5 + 0.1 * i) for i in range(4)])
    one, other = run(light, backbone), run(heavy, backbone)
    np.testing.assert_allclose(one.curves["loss"], other.curves["loss"], atol=1e-6)


def test_swapping_the_pair_with_its_target_changes_no_preference(backbone):
    plain = ToyBundle(train=[pair(i, target=0.7) for i in range(4)])
    swapped = ToyBundle(
        train=[
            pair(i, chosen_id=f"blue{i}", rejected_id=f"red{i}", target=1 - 0.7) for i in range(4)
        ]
    )
    one, other = (run(b, backbone, sft_weight=0.0) for b in (plain, swapped))
    np.testing.assert_allclose(one.curves["loss"], other.curves["loss"], atol=1e-5)


def test_an_even_split_imitates_neither_side(backbone):
    """Which of the two was stored as chosen must not decide what is learned."""
    plain = ToyBundle(train=[pair(i, target=0.5) for i in range(4)])
    swapped = ToyBundle(
        train=[pair(i, chosen_id=f"blue{i}", rejected_id=f"red{i}", target=0.5) for i in range(4)]
    )
    one, other = (run(b, backbone, sft_weight=5.0) for b in (plain, swapped))
    assert [v for _, v in one.curves["loss/imitation"]] == [0.0] * len(one.curves["loss"])
    np.testing.assert_allclose(one.curves["loss"], other.curves["loss"], atol=1e-5)


def test_a_split_is_imitated_by_how_far_it_leans(backbone):
    """Of a sure pair and a split one the mean is that of v = 1 and v = .2."""
    both = ToyBundle(train=[pair(0), pair(1, target=0.6)])
    first = run(both, backbone, max_steps=1, batch_size=2, sft_weight=1.0)
    alone = [
        run(ToyBundle(train=[pair(n)]), backbone, max_steps=1, batch_size=1, sft_weight=1.0)
        for n in range(2)
    ]
    sure, split = (a.curves["loss/imitation"][0][1] for a in alone)  # pictures of equal length
    mean = (sure + 0.2 * split) / 1.2
    assert first.curves["loss/imitation"][0][1] == pytest.approx(mean, rel=1e-4)


def test_a_preference_is_read_from_what_the_reference_was_not_sure_of(backbone):
    """The first loss of a policy that differs from its reference, against a pass of our own."""
    bundle = red_beats_blue(count=2)
    policy = run(bundle, backbone, max_steps=8, sft_weight=0.0).backbone
    sequences = read_sequences(bundle, backbone, splits=["train"], max_length=512)
    rows = preference_rows(bundle, sequences, split="train")
    sure = float(np.quantile(np.concatenate(_chances(sequences, backbone)), 0.6))

    def reward(row):
        found = [_chances(sequences, each)[row] for each in (policy, backbone)]
        return np.log(found[0] / found[1])[found[1] < sure].sum()

    gaps = [reward(c) - reward(r) for c, r in zip(rows.chosen, rows.rejected, strict=True)]
    by_hand = np.mean([math.log1p(math.exp(-CONFIG.beta * gap)) for gap in gaps])
    config = CONFIG.model_copy(
        update={"max_steps": 1, "batch_size": 2, "sft_weight": 0.0, "choice_below": sure}
    )
    told = train_dpo(bundle, policy=policy, reference=backbone, config=config).curves["loss"]
    assert told[0][1] == pytest.approx(by_hand, abs=1e-5)
    plain = config.model_copy(update={"choice_below": 1.0})
    other = train_dpo(bundle, policy=policy, reference=backbone, config=plain).curves["loss"]
    assert abs(other[0][1] - by_hand) > 1e-3


def test_where_the_reference_was_sure_of_everything_nothing_is_learned(backbone):
    trained = run(red_beats_blue(count=4), backbone, sft_weight=0.0, choice_below=1e-12)
    assert same(weights(trained.backbone), weights(backbone))


def _chances(sequences, backbone):
    """Return the chance of every completion token, by sequence, one sequence at a time."""
    found = []
    for row in range(len(sequences.prompt_lengths)):
        ids, completion = sequences.padded(np.array([row]))
        with torch.no_grad():
            logits = backbone.model(input_ids=ids).logits[0, :-1].float()
        chance = logits.softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
        found.append(chance[completion[0, 1:]].numpy())
    return found


def test_parts_of_a_step_sum_to_the_step(backbone):
    """Unequal weights: a mean of the parts' means would differ."""
    bundle = ToyBundle(train=[pair(i, weight=w) for i, w in enumerate([1.0, 0.1, 0.5, 0.9])])
    whole, parts = run(bundle, backbone), run(bundle, backbone, accumulation=2)
    np.testing.assert_allclose(whole.curves["loss"], parts.curves["loss"], atol=1e-5)
    np.testing.assert_allclose(
        whole.curves["loss/preference"], parts.curves["loss/preference"], atol=1e-5
    )


def test_one_seed_gives_one_policy_and_leaves_the_caller_alone(backbone):
    bundle = red_beats_blue(count=5)
    before, state, forward = weights(backbone), torch.get_rng_state(), backbone.model.forward
    one, other = run(bundle, backbone), run(bundle, backbone)
    assert same(weights(one.backbone), weights(other.backbone))
    assert one.curves == other.curves
    assert one.samples_seen == other.samples_seen
    assert same(before, weights(backbone))
    assert torch.equal(state, torch.get_rng_state())
    assert backbone.model.forward == forward
    assert not same(before, weights(one.backbone))


def test_reports_progress_and_what_each_step_saw(backbone):
    steps = []
    trained = train_dpo(
        red_beats_blue(count=4),
        policy=backbone,
        reference=backbone,
        config=CONFIG,
        watch=Watch(progress=lambda done, total: steps.append((done, total))),
    )
    assert steps == [(i, 6) for i in range(1, 7)]
    assert [step for step, _ in trained.samples_seen] == [1, 2, 3, 4, 5, 6]
    assert sorted(trained.samples_seen[0][1]) == [f"pair{i}" for i in range(4)]


def test_learns_from_text_longer_than_the_limit(backbone):
    texts = {"good": "yes " * 40, "bad": "no " * 40}
    bundle = ToyBundle(train=[pair(0, chosen_id="good", rejected_id="bad")], texts=texts)
    trained = run(bundle, backbone, max_length=32, batch_size=1)
    assert trained.curves["rewards/margins"][-1][1] > 0


def test_a_broken_loss_names_its_step(backbone):
    broken = copy.deepcopy(backbone)
    broken.model.lm_head.weight.data[0, 0] = float("nan")
    with pytest.raises(FlywheelError, match="step 1: the loss is not a finite number"):
        train_dpo(red_beats_blue(), policy=broken, reference=backbone, config=CONFIG)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight": 0.0}, "nothing to learn from"),
        ({"weight": float("nan")}, "1 of 1 pairs .* pair0"),
        ({"target": 1.2}, "target outside"),
    ],
)
def test_refuses_pairs_that_teach_nothing(backbone, changes, message):
    with pytest.raises(FlywheelError, match=message):
        run(ToyBundle(train=[pair(0, **changes)]), backbone)


def test_refuses_another_number_of_processes(backbone):
    with pytest.raises(FlywheelError, match="1 processes train but 2 were expected"):
        run(red_beats_blue(), backbone, expected_world_size=2)


@pytest.mark.parametrize("wrong", [{"beta": 0}, {"batch_size": 3, "accumulation": 2}, {"lr": 1}])
def test_refuses_a_wrong_configuration(wrong):
    with pytest.raises(ValidationError):
        DpoConfig(**wrong)
