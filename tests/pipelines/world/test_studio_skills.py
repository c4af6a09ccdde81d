"""Some users of the studio work under a skill; whether it was followed is read from the pixels."""

from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256

import numpy as np
import pytest

from data_contracts.contract import load_contract
from data_contracts.errors import FlywheelError
from pipelines.intake.skills import check_use
from pipelines.settings import StudioConfig, WheelSettings, conf_folder
from pipelines.stores.enforcer import find_violations
from pipelines.world.medium import FILMS, PICTURES
from pipelines.world.prompts import parse_request
from pipelines.world.scenes import draw_scene
from pipelines.world.skills import followed, studio_skills
from pipelines.world.studio import Studio, StudioSettings

PLAIN = StudioSettings(
    prompts=24, users=90, sessions=400, mocker_share=0.2, annotators=5, heldout_prompts=40
)
GUIDED = replace(PLAIN, skills=("at-night", "by-day"))
NOW = datetime(2026, 2, 1, tzinfo=UTC)
# Everything that a studio without skills draws by lot, as it was before there were any: prompts,
# held-out texts, generations, events, answers. It changes only if their draws do.
BEFORE = "fa47808f5d200a6b317222ae139896a2c865bf0b620e7dd87a018e33375b29e9"


def drawn(one):
    """Let one turn of a studio happen on scenes drawn by a steady hand."""
    prompts = one.prompts(1)
    each = one.generations_per_prompt()
    texts = np.repeat(prompts["text"].to_numpy(zero_copy_only=False), each).tolist()
    rng = np.random.default_rng(0)
    pictures = np.stack([draw_scene(parse_request(t), care=0.5, rng=rng) for t in texts])
    generations = one.generations(
        1, prompts, digests=["d" * 64] * len(texts), model_release="ck", seed=1
    )
    return prompts, texts, pictures, generations


def test_without_skills_the_studio_is_what_it_was():
    one = Studio(PLAIN, seed=3)
    prompts, texts, pictures, generations = drawn(one)
    events, _ = one.visit(1, generations, pictures, one.truth(pictures, texts))
    tasks = {
        "task_id": "t", "kind": "rating", "generation_id": generations["generation_id"][0].as_py(),
        "other_generation_id": None, "aspect": "overall",
    }  # fmt: skip
    answers = one.annotate(1, type(prompts).from_pylist([tasks]), generations, pictures, texts)
    told = [one.heldout_texts, *(t.to_pylist() for t in (prompts, generations, events, answers))]
    assert sha256(repr(told).encode()).hexdigest() == BEFORE


def test_settings_without_skills_are_named_as_if_there_never_were():
    assert "skills" not in WheelSettings().model_dump()["studio"]
    guided = StudioConfig(skills=("at-night",))
    assert StudioConfig.model_validate(guided.model_dump()) == guided


def test_a_third_of_prompts_is_asked_under_each_skill_and_under_none():
    _, _, _, generations = drawn(Studio(GUIDED, seed=3))
    by_prompt = dict(zip(*(generations[n].to_pylist() for n in ("prompt_id", "skill_id")),
                         strict=True))  # fmt: skip
    asked = list(by_prompt.values())
    assert {name: asked.count(name) for name in set(asked)} == {
        None: 8, "at-night": 8, "by-day": 8,
    }  # fmt: skip
    one = Studio(GUIDED, seed=3)
    assert one.asked_under(1, 24) == one.asked_under(1, 24) != one.asked_under(2, 24)
    assert find_violations(generations, load_contract("generation"), now=NOW).num_rows == 0
    check_use(generations, one.skills)


def test_users_visit_prompts_of_their_own_skill():
    one = Studio(GUIDED, seed=3)
    _, texts, pictures, generations = drawn(one)
    skills = generations["skill_id"].to_pylist()
    _, visits = one.visit(1, generations, pictures, one.truth(pictures, texts, skills))
    names = np.array(["", *GUIDED.skills])
    own = names[one.population.skill[visits.user]]
    seen = np.array([s or "" for s in skills])[visits.generation]
    np.testing.assert_array_equal(own, seen)
    assert set(own) == set(names)


@pytest.mark.parametrize("medium", [PICTURES, FILMS], ids=["pictures", "films"])
def test_the_sky_says_whether_a_skill_was_followed(medium):
    rng = np.random.default_rng(0)
    request = medium.requests()[0]
    media = np.stack([medium.draw(request, care=1.0, rng=rng) for _ in range(12)])
    night = medium.night(media)
    assert 0 < night.sum() < 12
    under = ["at-night"] * 4 + ["by-day"] * 4 + [None] * 4
    found = followed(medium, media, under)
    np.testing.assert_array_equal(found[:4], night[:4])
    np.testing.assert_array_equal(found[4:8], ~night[4:8])
    assert np.isnan(found[8:]).all()


def test_guidance_counts_as_much_as_the_prompt():
    """Flawless pictures: alignment 1 without a skill; followed 1, not followed a half."""
    one = Studio(GUIDED, seed=3)
    texts = one.heldout_texts
    rng = np.random.default_rng(0)
    pictures = np.stack([draw_scene(parse_request(t), care=1.0, rng=rng) for t in texts])
    night = one.medium.night(pictures)
    plain = one.truth(pictures, texts)
    guided = one.truth(pictures, texts, ["at-night"] * len(texts))
    np.testing.assert_allclose(guided.prompt_alignment, (plain.prompt_alignment + night) / 2)
    np.testing.assert_array_equal(guided.aesthetics, plain.aesthetics)
    none = one.truth(pictures, texts, [None] * len(texts))
    np.testing.assert_array_equal(none.overall, plain.overall)


def test_a_skill_that_the_pixels_do_not_tell_is_refused():
    with pytest.raises(FlywheelError, match=r"studio.skills: in-oil is none.*at-night, by-day"):
        Studio(replace(PLAIN, skills=("in-oil",)), seed=3)


def test_every_skill_that_ships_can_be_read_and_belongs_to_the_studio():
    names = sorted(file.stem for file in (conf_folder() / "skills").glob("*.toml"))
    found = studio_skills(names, now=NOW)
    assert found["skill_id"].to_pylist() == names == ["at-night", "by-day"]
    assert set(found["tenant_id"].to_pylist()) == {"t_studio"}


def test_the_same_skill_twice_is_refused():
    with pytest.raises(FlywheelError, match="at-night"):
        studio_skills(["at-night", "at-night"], now=NOW)
