import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.world.prompts import HEADERS, draw_prompts, every_request, parse_request

REQUESTS = every_request()


@pytest.mark.parametrize("header", HEADERS)
def test_every_prompt_is_read_back_to_its_request(header):
    assert [parse_request(r.text(header)) for r in REQUESTS] == REQUESTS


def test_a_prompt_reads_as_a_person_would_write_it():
    texts = {r.text("draw ") for r in REQUESTS}
    assert "draw two red discs left of a blue square" in texts
    assert "draw a green triangle on a yellow disc" in texts
    assert "draw three purple squares" in texts


def test_there_are_as_many_requests_as_said():
    """45 alone (3 counts x 15 kinds), and 7 relations with counts x 15 x 14 pairs of kinds."""
    assert len({r.text() for r in REQUESTS}) == len(REQUESTS) == 45 + 7 * 15 * 14


def test_three_objects_are_the_most():
    assert max(r.first.count + (r.second.count if r.second else 0) for r in REQUESTS) == 3
    assert all((r.second is None) == (r.relation == "alone") for r in REQUESTS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "red disc",
        "four red discs",
        "a pink disc",
        "a red cube",
        "two red disc",
        "a red discs",
        "a red disc under a blue square",
        "a red disc and",
        "a red disc and a blue square and a green disc",
        "paint a red disc",
        "A red disc",
        "a red disc ",
    ],
)
def test_refuses_what_the_studio_does_not_ask(text):
    with pytest.raises(ValueError, match="simulated studio"):
        parse_request(text)


@given(text=st.text())
def test_any_other_text_is_refused_in_one_way(text):
    with pytest.raises(ValueError, match="simulated studio"):
        parse_request(text)


def test_prompts_are_drawn_without_repeats():
    drawn = draw_prompts(REQUESTS, 400, rng=np.random.default_rng(1))
    assert drawn == draw_prompts(REQUESTS, 400, rng=np.random.default_rng(1))
    assert len({parse_request(text) for text in drawn}) == 400
    assert {h for h in HEADERS[1:] for t in drawn if t.startswith(h)} == set(HEADERS[1:])
