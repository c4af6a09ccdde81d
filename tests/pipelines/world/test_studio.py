from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch
from transformers import Emu3ForConditionalGeneration

from backbone.architecture import tiny_config
from backbone.emu3 import Emu3Backbone, seeded
from backbone.films import read_film
from backbone.pictures import read_png
from backbone.tokens import build_tokenizer
from data_contracts.contract import load_contract
from pipelines.intake import admit_events
from pipelines.stores.enforcer import find_violations
from pipelines.world.medium import PICTURES
from pipelines.world.pretrain import SceneSource
from pipelines.world.prompts import Request, every_request, parse_request
from pipelines.world.scenes import draw_scene
from pipelines.world.scoring import score_policy
from pipelines.world.serving import Served, serve
from pipelines.world.studio import Studio, StudioSettings

SMALL = StudioSettings(
    prompts=12, users=60, sessions=150, mocker_share=0.2, annotators=5, heldout_prompts=40
)
LATER = datetime(2026, 3, 1, tzinfo=UTC)


def studio(seed: int = 3, settings: StudioSettings = SMALL) -> Studio:
    return Studio(settings, seed=seed)


def meaning(text: str) -> tuple[object, ...]:
    """What a picture must show, told without the studio's own code."""
    request: Request = parse_request(text)
    here, there = request.first.words(), request.second.words() if request.second else ""
    order = {"left of": (here, there), "right of": (there, here), "on": ("on", here, there)}
    return order.get(request.relation, (frozenset({here, there}),))


@pytest.fixture(scope="module")
def policy() -> Emu3Backbone:
    """Untrained: it draws noise, which is enough to serve and to be scored."""
    torch.set_num_threads(1)
    tokenizer = build_tokenizer(16)
    config = tiny_config(tokenizer, codebook_size=16)
    text = config.text_config
    text.hidden_size, text.intermediate_size, text.num_hidden_layers = 16, 32, 1
    text.head_dim = 4
    with seeded(0):
        model = Emu3ForConditionalGeneration(config)
        model.model.vqmodel.quantize.embedding.weight.data.normal_()
    return Emu3Backbone(model, tokenizer)


@pytest.fixture(scope="module")
def served(policy: Emu3Backbone) -> Served:
    return serve(studio(), 1, policy, release="ck_1")


def test_the_same_seed_is_the_same_studio():
    one, same, other = studio(3), studio(3), studio(4)
    assert one.prompts(2).equals(same.prompts(2))
    assert one.heldout_texts == same.heldout_texts != other.heldout_texts
    assert one.sampling_seed(1) == same.sampling_seed(1)
    assert len({s.sampling_seed(t) for s in (one, other) for t in (1, 2)}) == 4
    np.testing.assert_array_equal(one.population.readiness, same.population.readiness)
    np.testing.assert_array_equal(one.crew.noise, same.crew.noise)
    assert not np.array_equal(one.population.readiness, other.population.readiness)


def test_a_later_turn_asks_otherwise_in_the_same_studio():
    one = studio()
    assert one.prompts(1)["text"] != one.prompts(2)["text"]
    one.prompts(7)
    assert one.prompts(1).equals(studio().prompts(1))


@pytest.mark.parametrize("seed", range(5))
def test_no_held_out_prompt_means_the_same_as_one_that_is_asked(seed):
    all_asked = StudioSettings(prompts=5000, heldout_prompts=300)
    one = studio(seed, all_asked)
    held_out = [meaning(t) for t in one.heldout_texts]
    asked = [meaning(t) for t in one.prompts(1)["text"].to_pylist()]
    assert len(set(held_out)) == len(held_out) == 300
    assert set(held_out).isdisjoint(asked)
    assert set(held_out) | set(asked) == {meaning(r.text()) for r in every_request()}


def test_ids_of_turns_and_seeds_never_meet():
    ids = [
        prompt
        for seed in (3, 4)
        for turn in (1, 2)
        for prompt in studio(seed).prompts(turn)["prompt_id"].to_pylist()
    ]
    assert len(set(ids)) == len(ids) == 4 * 12
    generations = [
        g
        for seed in (3, 4)
        for turn in (1, 2)
        for g in described(studio(seed), turn)["generation_id"].to_pylist()
    ]
    assert len(set(generations)) == len(generations) == 4 * 96


def described(one: Studio, turn: int) -> pa.Table:
    return one.generations(turn, one.prompts(turn), digests=["d"] * 96, model_release="ck", seed=1)


def test_each_prompt_gets_a_grid_a_turn():
    rows = described(studio(), 1)
    assert rows["turn"].to_pylist() == [0, 0, 0, 0, 1, 1, 1, 1] * 12
    assert rows["prompt_id"].to_pylist()[7:9] == studio().prompts(1)["prompt_id"].to_pylist()[:2]


def test_what_is_served_keeps_its_contracts(served):
    for name, rows in (
        ("prompt", served.prompts), ("generation", served.generations), ("event", served.events),
    ):  # fmt: skip
        assert find_violations(rows, load_contract(name), now=LATER).num_rows == 0, name
    admission = admit_events(served.events, now=LATER)
    assert admission.accepted.num_rows == served.events.num_rows


def test_media_are_named_by_their_content(served):
    assert {sha256(content).hexdigest() for content in served.media.values()} == set(served.media)
    assert set(served.generations["blob"].to_pylist()) == set(served.media)
    assert {read_png(content).shape for content in served.media.values()} == {(32, 32, 3)}
    assert len(served.quality.parses) == served.generations.num_rows == 96


def test_nobody_reacts_to_what_is_not_there_yet(served):
    opening = datetime(2026, 1, 12, tzinfo=UTC)  # of turn 1
    assert pc.max(served.generations["created_at"]).as_py() < opening
    assert opening <= pc.min(served.events["occurred_at"]).as_py()
    assert pc.max(served.events["occurred_at"]).as_py() < (
        pc.min(described(studio(), 2)["created_at"]).as_py()
    )


def test_events_speak_of_the_generations_of_one_prompt(served):
    prompt_of = dict(
        zip(
            served.generations["generation_id"].to_pylist(),
            served.generations["prompt_id"].to_pylist(),
            strict=True,
        )
    )
    seen: dict[str, set[str]] = {}
    for e in served.events.to_pylist():
        seen.setdefault(e["session_id"], set()).add(prompt_of[e["generation_id"]])
    assert {len(prompts) for prompts in seen.values()} == {1}


def test_serving_twice_is_serving_once(served, policy):
    again = serve(studio(), 1, policy, release="ck_1")
    assert again.events.equals(served.events)
    assert again.generations.equals(served.generations)
    assert again.media == served.media


def test_a_user_has_one_id_in_visits_and_events(served):
    one = studio()
    known = {one.user_id(int(user)) for user in served.visits.user}
    assert set(served.events["user_id"].to_pylist()) == known


def test_annotators_see_the_pictures_as_they_are():
    one = studio()
    texts = one.heldout_texts[:20]
    rng = np.random.default_rng(0)
    cares = np.tile([0.0, 1.0], 10)
    pictures = np.stack(
        [draw_scene(parse_request(t), care=c, rng=rng) for t, c in zip(texts, cares, strict=True)]
    )
    generations = pa.table({"generation_id": [f"g{k}" for k in range(20)]})
    tasks = pa.table(
        {
            "task_id": [f"t{k}" for k in range(80)],
            "kind": ["rating"] * 80,
            "generation_id": [f"g{k % 20}" for k in range(80)],
            "other_generation_id": pa.nulls(80, pa.string()),
            "aspect": np.repeat(
                ["overall", "aesthetics", "prompt_alignment", "physical_plausibility"], 20
            ),
        }
    )
    first = one.annotate(1, tasks, generations, pictures, texts)
    assert first.equals(studio().annotate(1, tasks, generations, pictures, texts))
    second = one.annotate(2, tasks, generations, pictures, texts)
    ids = first["annotation_id"].to_pylist() + second["annotation_id"].to_pylist()
    assert len(set(ids)) == len(ids) == 2 * 80 * 3
    honest = [f"a{j:03d}" for j in np.flatnonzero(one.crew.kind == 0)]
    rows = [r for r in first.to_pylist() if r["annotator_id"] in honest]
    careful = np.array([int(r["generation_id"][1:]) % 2 == 1 for r in rows])
    values = np.array([r["value"] for r in rows])
    assert values[careful].mean() > 0.8 + values[~careful].mean()


def test_a_policy_is_scored_on_prompts_that_nobody_asked(policy):
    one = studio()
    seen: list[int] = []
    score = score_policy(policy, one, samples=2, validity_samples=6, seed=5, progress=seen.append)
    assert score.overall.shape == (40, 2)
    assert score.pictures.shape == (40, 2, 32, 32, 3)
    assert sum(seen) == 40 * 2 + 6
    asked = [text for text in one.heldout_texts for _ in range(2)]
    truth = one.truth(score.pictures.reshape(-1, 32, 32, 3), asked)
    np.testing.assert_array_equal(truth.overall.reshape(40, 2), score.overall)
    np.testing.assert_allclose(score.overall, 100 * np.mean(list(score.aspects.values()), axis=0))
    # Untrained, it never spells a whole picture by itself.
    assert not score.valid.any()
    assert len(score.valid) == 6
    assert score.distances.shape == (0,)


def test_the_base_model_learns_from_prompts_and_scenes_that_belong_together():
    texts, pictures = SceneSource(0).examples(200)
    again, same = SceneSource(0).examples(200)
    assert texts == again
    np.testing.assert_array_equal(pictures, same)
    truth = PICTURES.truth(pictures, texts)
    shuffled = PICTURES.truth(pictures, texts[1:] + texts[:1])
    assert truth.parses.mean() > 0.95
    assert truth.prompt_alignment.mean() > 0.2 + shuffled.prompt_alignment.mean()
    # A mixture of good and flawed, not one of both.
    assert 0.1 < (truth.overall > 95).mean() < 0.6


def test_a_studio_of_films_serves_films(policy):
    """The same people and events; prompts, media and truth are those of films."""
    one = studio(3, replace(SMALL, prompts=8, modality="video"))
    served = serve(one, 1, policy.of_frames(4), release="ck_1")
    assert set(served.generations["modality"].to_pylist()) == {"video"}
    assert {read_film(content).shape for content in served.media.values()} == {(4, 32, 32, 3)}
    assert set(served.quality.aspects) == {
        "prompt_alignment", "physical_plausibility", "aesthetics", "temporal_consistency",
    }  # fmt: skip
    assert served.events.num_rows > 0
    for name, rows in (
        ("prompt", served.prompts), ("generation", served.generations), ("event", served.events),
    ):  # fmt: skip
        assert find_violations(rows, load_contract(name), now=LATER).num_rows == 0, name
    texts = served.prompts["text"].to_pylist()
    assert set(texts).isdisjoint(one.heldout_texts)
    score = score_policy(policy.of_frames(4), one, samples=1, validity_samples=4, seed=1)
    assert score.pictures.shape == (40, 1, 4, 32, 32, 3)
    assert set(score.aspects) == set(served.quality.aspects)
