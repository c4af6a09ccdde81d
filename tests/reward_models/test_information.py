"""Information is what an answer says of its own prompt beside others that the model writes."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from toy_pictures import picture

from backbone.emu3 import Emu3Backbone
from backbone.pictures import stack_pngs, write_png
from backbone.tokens import visual_prompt
from pipelines.assets.backbone import shipped_checkpoint
from pipelines.world.prompts import every_request
from pipelines.world.scenes import draw_care, draw_scene
from pipelines.world.truth import judge
from reward_models.aspect_calibration import fit_aspect_calibration
from reward_models.aspect_model import aspect_model_from
from reward_models.aspect_scorer import raw_judgements
from reward_models.information import written_prompts
from reward_models.sequences import read_answers
from reward_models.ties import outcome_chances

ASKED = ("a red disc", "two blue squares left of it")


@pytest.fixture(scope="module")
def shipped():
    return Emu3Backbone.load(shipped_checkpoint(), device="cpu")


def of_aspects(policy):
    return Emu3Backbone(
        aspect_model_from(policy, ("overall",)), policy.tokenizer, grid=policy.grid,
        batch_size=policy.batch_size,
    )  # fmt: skip


def told(policy, prompts, contents, asked):
    answers = read_answers(prompts, contents, policy, max_length=400)
    rows = np.arange(len(contents))
    raw = raw_judgements(of_aspects(policy), answers, rows, aspects=1, batch_size=3, asked=asked)
    return raw.information


def test_it_is_the_policys_own_likelihoods_by_hand(backbone):
    prompts = [f"a disc number {n}" for n in range(5)]
    pngs = [picture("red" if n % 2 else "blue", n) for n in range(5)]
    completions = [backbone.completion(c) for c in backbone.tokenise(stack_pngs(pngs))]

    def likelihood(texts):
        asked = [visual_prompt(text, backbone.grid) for text in texts]
        return backbone.sequence_logprobs(asked, completions)

    beside = np.stack([likelihood([text] * 5) for text in ASKED])
    expected = likelihood(prompts) - (logsumexp(beside, axis=0) - np.log(2))
    np.testing.assert_allclose(told(backbone, prompts, pngs, ASKED), expected, atol=2e-4)
    assert np.ptp(expected) > 0


def test_an_answer_says_nothing_of_its_prompt_beside_the_same_prompt(backbone):
    found = told(backbone, [ASKED[0]] * 3, [picture("red", n) for n in range(3)], ASKED[:1])
    np.testing.assert_allclose(found, 0.0, atol=2e-4)


def test_texts_and_models_that_nothing_else_is_asked_have_none(backbone):
    contents = [b"a text", picture("red", 1)]
    found = told(backbone, ["say something"] * 2, contents, ASKED)
    assert found[0] == 0.0
    assert found[1] != 0.0
    assert not told(backbone, ["say something"] * 2, contents, ()).any()


def test_the_shipped_model_writes_prompts_when_nobody_asks(shipped):
    state = torch.get_rng_state()
    found = written_prompts(shipped, count=6, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert len(set(found)) == 6
    assert not any("<|" in text for text in found)
    assert found[:2] == written_prompts(shipped, count=2, seed=3)
    assert found != written_prompts(shipped, count=6, seed=4)
    assert written_prompts(shipped, count=0, seed=3) == ()


def test_a_model_that_never_begins_with_a_prompt_writes_none(backbone):
    assert written_prompts(backbone, count=4, seed=0) == ()


def test_it_ranks_by_the_prompt_where_likelihood_ranks_by_what_is_usual(shipped):
    """Scenes of one prompt each: which of two fits it, by the truth of the studio (simulated)."""
    rng = np.random.default_rng(5)
    some = [every_request()[n] for n in rng.permutation(len(every_request()))[:40]]
    requests = [request for request in some for _ in range(4)]
    scenes = [
        draw_scene(request, care=float(care), rng=rng)
        for request, care in zip(requests, draw_care(len(requests), rng=rng), strict=True)
    ]
    truth = judge(np.stack(scenes), requests).prompt_alignment
    prompts, pngs = [r.text() for r in requests], [write_png(scene) for scene in scenes]
    nats = told(shipped, prompts, pngs, written_prompts(shipped, count=4, seed=0))
    completions = [shipped.completion(c) for c in shipped.tokenise(stack_pngs(pngs))]
    likely = shipped.sequence_logprobs(
        [visual_prompt(text, shipped.grid) for text in prompts], completions
    )
    first, second = (np.concatenate([np.arange(0, 160, 4) + k for k in ks])
                     for ks in ((0, 0, 0, 1, 1, 2), (1, 2, 3, 2, 3, 3)))  # fmt: skip
    gap = truth[first] - truth[second]
    decided = np.abs(gap) > 1e-9

    def right(scores):
        return ((scores[first] - scores[second])[decided] * gap[decided] > 0).mean()

    assert right(nats) > max(right(likely), 0.5) + 0.03


def answers(worth, count=20_000):
    """Leads, nats and what people say who hear *worth* of a nat besides."""
    rng = np.random.default_rng(0)
    raw, nats = rng.normal(0, 3, count), rng.normal(0, 5, count)
    chances = outcome_chances(0.5 * raw + worth * nats, 0.6)
    said = (rng.random(count)[:, None] > chances.cumsum(1)).sum(1)
    turn = np.where(said == 2, -1.0, 1.0)
    masses = np.stack([said != 1, said == 1], 1).astype(float)
    return raw * turn, nats * turn, masses


@pytest.mark.parametrize(("worth", "found"), [(0.2, 0.2), (0.0, 0.0), (-0.2, 0.0)])
def test_what_a_nat_is_worth_is_learned_and_never_flipped(worth, found):
    margin, nats, masses = answers(worth)
    ones = np.ones(len(margin))
    fitted = fit_aspect_calibration(margin, 0 * margin, masses, ones, informed=nats)
    assert fitted.information == pytest.approx(found, abs=0.01)
    assert fitted.slope > 0.2


@pytest.mark.parametrize("seed", [2, 29, 30])
def test_a_slope_is_found_beside_information_that_says_more(seed):
    """Labels that are surer than their weights say; a search from one end left 2 and 29 at 0."""
    rng = np.random.default_rng(seed)
    raw, own = rng.normal(size=(2, 2500))
    nats = 14 * own
    turn = np.where(rng.random(2500) < 1 / (1 + np.exp(-0.78 * raw - 0.45 * nats)), 1.0, -1.0)
    masses = np.stack([np.ones(2500), np.zeros(2500)], 1)
    weight = rng.uniform(0.3, 1, 2500)
    fitted = fit_aspect_calibration(raw * turn, 0 * raw, masses, weight, informed=nats * turn)
    assert fitted.slope > 0.5
    assert fitted.information > 0.4
