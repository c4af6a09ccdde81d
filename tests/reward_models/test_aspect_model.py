"""A reward model of aspects: no aspect sees another, none is made up, and all survive a folder."""

import copy

import numpy as np
import pytest
import torch
from toy_pictures import ToyBundle, pair, picture

from data_contracts.errors import FlywheelError
from data_contracts.training import AspectScorer
from reward_models.aspect_model import aspect_model_from
from reward_models.aspect_pairs import aspect_rows
from reward_models.aspect_scorer import AspectRewardScorer, answer_batch, load_scorer
from reward_models.aspect_trainer import train_aspects
from reward_models.config import AspectConfig
from reward_models.ensemble import EnsembleScorer
from reward_models.scorer import RewardScorer
from reward_models.sequences import read_answers, read_sequences

ASPECTS = ("aesthetics", "overall")
CONFIG = AspectConfig(
    max_steps=40, batch_size=4, learning_rate=1e-3, head_learning_rate=1e-2, device="cpu",
    resamples=100, save_every=0,
)  # fmt: skip


def two_aspects(count=16, held_back=8):
    """Return pairs of which red is better overall and blue in aesthetics."""

    def both(number):
        turned = {"chosen_id": f"blue{number}", "rejected_id": f"red{number}"}
        return [
            pair(number),
            pair(number, pair_id=f"look{number}", aspect="aesthetics", **turned),
        ]

    return ToyBundle(
        train=[p for i in range(count) for p in both(i)],
        validation=[p for i in range(held_back) for p in both(100 + i)],
    )


@pytest.fixture(scope="module")
def trained(backbone):
    return train_aspects(two_aspects(count=32), backbone=backbone, config=CONFIG)


def judged(model, ids, real, completion):
    out = model(
        input_ids=torch.tensor(ids), attention_mask=torch.tensor(real),
        completion=torch.tensor(completion),
    )  # fmt: skip
    return out.mean


def test_aspects_that_disagree_are_both_learned(trained):
    prompts = ["a disc p500"] * 20
    reds = [picture("red", 500 + i) for i in range(20)]
    blues = [picture("blue", 500 + i) for i in range(20)]
    red, blue = (trained.scorer.score_aspects(prompts, side) for side in (reds, blues))
    assert np.mean(np.array(red["overall"]) > np.array(blue["overall"])) > 0.9
    assert np.mean(np.array(red["aesthetics"]) < np.array(blue["aesthetics"])) > 0.9
    assert {name: found.pairs for name, found in trained.report.items()} == {
        "aesthetics": 8,
        "overall": 8,
    }


def test_no_aspect_sees_another(backbone):
    """Whatever one query is, the others' answers do not change by a bit."""
    model = aspect_model_from(backbone, ("a", "b", "c"))
    model.of_query.weight.data.normal_(generator=torch.Generator().manual_seed(1))
    told = ([[1, 2, 3, 4]], [[1, 1, 1, 1]], [[False, False, True, True]])
    before = judged(model, *told)
    model.queries.weight.data[1] += 3.0
    after = judged(model, *told)
    assert torch.equal(before[0, [0, 2]], after[0, [0, 2]])
    assert before[0, 1] != after[0, 1]


def test_padding_and_company_do_not_change_a_judgement(trained):
    model = trained.scorer.backbone.model
    alone = judged(model, [[1, 2, 3]], [[1, 1, 1]], [[False, True, True]])
    padded = judged(
        model, [[1, 2, 3, 9], [4, 5, 6, 7]], [[1, 1, 1, 0], [1] * 4],
        [[False, True, True, False], [False, True, True, True]],
    )  # fmt: skip
    torch.testing.assert_close(alone[0], padded[0], atol=1e-5, rtol=1e-5)


def test_before_training_it_ranks_by_the_backbones_likelihood(backbone):
    prompts = [f"a disc p{i}" for i in range(6)]
    contents = [picture(c, i) for i, c in enumerate(["red", "blue"] * 3)]
    answers = read_answers(prompts, contents, backbone, max_length=64)
    batch = answer_batch(answers, np.arange(6))
    model = aspect_model_from(backbone, ASPECTS)
    model.measure_units(**batch)
    with torch.inference_mode():
        said = model(**batch).mean.double().numpy()
    ids, inside = batch["input_ids"], batch["completion"]
    with torch.inference_mode():
        logits = backbone.model(input_ids=ids, use_cache=False).logits[:, :-1].float()
    chance = logits.log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
    likely = ((chance * inside[:, 1:]).sum(1) / inside.sum(1)).double().numpy()
    expected = (likely - likely.mean()) / np.sqrt(likely.var(ddof=1) + 1e-5)
    np.testing.assert_allclose(said[:, 0], expected, atol=1e-3)
    np.testing.assert_allclose(said[:, 1], said[:, 0])


def test_what_is_known_of_tokens_averages_to_what_is_known_of_the_answer(backbone):
    contents = [picture("red", 1), picture("blue", 2)]
    answers = read_answers(["a disc", "a longer prompt"], contents, backbone, max_length=64)
    batch, model = answer_batch(answers, np.arange(2)), aspect_model_from(backbone, ASPECTS)
    tokens = model.read_tokens(batch["input_ids"])
    inside = batch["completion"][..., None]
    with torch.inference_mode():
        known, _ = model._read(**batch)
    torch.testing.assert_close((tokens * inside).sum(1) / inside.sum(1), known, atol=1e-4, rtol=0)


def test_a_label_that_is_missing_has_no_row(backbone):
    bundle = ToyBundle(train=[pair(1), pair(2, aspect="aesthetics"), pair(3, weight=0.0)])
    sequences = read_sequences(bundle, backbone, splits=["train"], max_length=64)
    rows = aspect_rows(bundle, sequences, split="train")
    assert rows.aspects == ASPECTS
    assert rows.aspect.tolist() == [1, 0]
    assert rows.groups == 2


def test_a_prompt_with_many_answers_has_several_groups(backbone):
    many = [pair(i, prompt_id="p1") for i in range(5)]
    bundle = ToyBundle(train=many)
    sequences = read_sequences(bundle, backbone, splits=["train"], max_length=64)
    rows = aspect_rows(bundle, sequences, split="train", answers=4)
    assert rows.group.tolist() == [0, 0, 1, 1, 2]


def test_bad_targets_are_refused_by_name(backbone):
    bundle = ToyBundle(train=[pair(1, target=0.2)])
    sequences = read_sequences(bundle, backbone, splits=["train"], max_length=64)
    with pytest.raises(FlywheelError, match=r"1 of 1 pairs have a target outside .*: pair1"):
        aspect_rows(bundle, sequences, split="train")
    with pytest.raises(FlywheelError, match="name each once"):
        aspect_model_from(backbone, ("overall", "overall"))


def test_one_seed_gives_one_model_and_leaves_the_backbone_alone(backbone):
    before = copy.deepcopy(backbone.model.state_dict())
    short = CONFIG.model_copy(update={"max_steps": 3})
    runs = [train_aspects(two_aspects(4, 2), backbone=backbone, config=short) for _ in range(2)]
    states = [run.scorer.backbone.model.state_dict() for run in runs]
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    assert runs[0].curves == runs[1].curves
    assert runs[0].scorer.calibrations == runs[1].scorer.calibrations
    after = backbone.model.state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before)


def test_a_saved_scorer_scores_the_same(trained, tmp_path):
    trained.scorer.save(tmp_path)
    loaded = load_scorer(tmp_path, device="cpu")
    prompts, contents = ["a disc p1", "hello"], [picture("red", 1), b"world"]
    assert isinstance(loaded, AspectRewardScorer)
    assert isinstance(loaded, AspectScorer)
    assert loaded.score_aspects(prompts, contents) == trained.scorer.score_aspects(
        prompts, contents
    )
    assert loaded.score([], []) == []
    with pytest.raises(FlywheelError, match="no readable"):
        RewardScorer.load(tmp_path)


class Fixed:
    """A `Scorer` that always says the same."""

    def __init__(self, name, *scores):
        self.name, self.scores = name, scores

    def score(self, prompts, contents):
        return list(self.scores)


def test_an_ensemble_gives_its_lower_bound():
    """Means 2 and 1; deviations 1.414 and 0: the second is worth more than it looks."""
    both = EnsembleScorer([Fixed("a", 3.0, 1.0), Fixed("b", 1.0, 1.0)], doubt=1.0)
    np.testing.assert_allclose(both.score(["p"] * 2, [b""] * 2), [2 - np.sqrt(2), 1.0])
    with pytest.raises(FlywheelError, match="at least two members"):
        EnsembleScorer([Fixed("a", 1.0)])
