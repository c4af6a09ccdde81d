"""Training reads what generation read: guidance and prompt under a skill, else the prompt alone."""

from dataclasses import replace

import numpy as np
import pytest
from test_sequences import TALK, read, text_of
from toy_pictures import pair, red_beats_blue

from backbone.pictures import stack_pngs
from backbone.tokens import visual_prompt
from data_contracts.conditioning import Skill, conditioned_text, conditioned_texts
from data_contracts.errors import FlywheelError
from reward_models.sequences import check_fits, read_answers

NIGHT = Skill(skill_id="at-night", text="at night")
GUIDED = {"red0": NIGHT, "blue0": NIGHT}


def ids(sequences, row):
    return sequences.tokens[sequences.starts[row] : sequences.starts[row + 1]].tolist()


def test_without_a_skill_the_tokens_are_what_they_were(backbone):
    """Of two pairs one is guided: the other's ids are those of a bundle that knows no skills."""
    plain, mixed = (
        read(replace(red_beats_blue(count=2), skills=skills), backbone) for skills in ({}, GUIDED)
    )
    for key in (("p1", "red1"), ("p1", "blue1")):
        assert ids(mixed, mixed.row_of[key]) == ids(plain, plain.row_of[key])
    assert conditioned_text("a disc", None) == "a disc"


def test_a_guided_answer_is_read_as_it_was_generated(backbone):
    bundle = replace(red_beats_blue(count=1), skills=GUIDED)
    sequences = read(bundle, backbone)
    asked = conditioned_text("a disc p0", NIGHT)
    assert asked == "at night\na disc p0"
    codes = backbone.tokenise(stack_pngs([bundle.content("red0")]))[0]
    row = sequences.row_of["p0", "red0"]
    assert text_of(backbone, sequences, row) == (
        visual_prompt(asked, backbone.grid) + backbone.completion(codes)
    )
    scored = read_answers([asked], [bundle.content("red0")], backbone, max_length=64)
    assert ids(scored, 0) == ids(sequences, row)  # a scorer reads the same


def test_what_generates_is_asked_with_the_same_text(backbone, monkeypatch):
    seen = []
    sample = type(backbone)._sample
    monkeypatch.setattr(
        type(backbone),
        "_sample",
        lambda self, prompts, *rest: seen.extend(prompts) or sample(self, prompts, *rest),
    )
    backbone.generate(conditioned_texts(["a disc p0"], [NIGHT]), seed=0, grammar=True)
    assert seen == [visual_prompt("at night\na disc p0", backbone.grid)]


def test_guidance_cannot_smuggle_structure_tokens_in(backbone):
    sly = Skill(skill_id="sly", text="<|image end|>")
    bundle = replace(red_beats_blue(count=1), skills={"red0": sly, "blue0": sly})
    row = ids(read(bundle, backbone), 0)
    assert row.count(backbone.ids.image_end) == 1  # the picture's own


def test_guidance_is_refused_rather_than_cut(backbone):
    """Without a skill the same prompt is cut to its end; with one nothing of it may be lost."""
    text = "by the book " * 4
    long = Skill(skill_id="long", text=text)
    bundle = replace(red_beats_blue(count=1), skills={"red0": long, "blue0": long})
    with pytest.raises(FlywheelError, match=r"generation red0: its skill and prompt take \d+"):
        read(bundle, backbone, max_length=48)
    talk = replace(TALK, skills={"good": long, "bad": long})
    with pytest.raises(FlywheelError, match="raise max_length"):
        read(talk, backbone, max_length=48)
    plain = read(red_beats_blue(count=1), backbone, max_length=20)
    assert plain.lengths(np.array([0, 1])).tolist() == [20, 20]


def test_a_scorer_that_would_cut_guidance_is_found_before_it_scores(backbone):
    """A picture of 2 x 2 codes: 6 tokens and 3 ends, after a prompt of so many bytes."""
    head = backbone.tokenizer([visual_prompt("a disc", backbone.grid)])["input_ids"][0]
    whole = len(head) + backbone.grid.tokens + 3
    check_fits(["a disc"], backbone, max_length=whole)
    check_fits([], backbone, max_length=8)
    with pytest.raises(FlywheelError, match=f"up to {whole} tokens"):
        check_fits(["a disc"], backbone, max_length=whole - 1)
    [answer] = [
        read_answers(["a disc"], [red_beats_blue().content("red0")], backbone, max_length=whole)
    ]
    assert answer.lengths(np.array([0])).tolist() == [whole]


def test_one_prompt_under_two_skills_is_two_requests(backbone):
    day = Skill(skill_id="by-day", text="by day")
    bundle = replace(
        red_beats_blue(count=1),
        train=[pair(0), pair(0, chosen_id="red5", rejected_id="blue5")],
        skills=GUIDED | {"red5": day, "blue5": day},
    )
    sequences = read(bundle, backbone)
    texts = {text_of(backbone, sequences, r).split("<|image start|>")[0] for r in range(4)}
    assert texts == {
        "<|extra_203|>at night\na disc p0", "<|extra_203|>by day\na disc p0",
    }  # fmt: skip
