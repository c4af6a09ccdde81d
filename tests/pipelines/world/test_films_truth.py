"""The truth about films is read from pixels: films drawn by hand, and every request drawn well."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.errors import ShapeError
from pipelines.world.diversity import film_distance
from pipelines.world.film_requests import (
    FILM_HEADERS,
    MOTIONS,
    FilmRequest,
    every_film_request,
    parse_film_request,
)
from pipelines.world.film_truth import judge_films
from pipelines.world.films import FILM_FLAWS, draw_film
from pipelines.world.medium import FILMS
from pipelines.world.prompts import Group, parse_request
from pipelines.world.scenes import STANDING, Thing, draw_care, paint

REQUESTS = every_film_request()
RED = ("red", "disc")
ROLLS = FilmRequest(
    mover=Group(count=1, colour="red", shape="disc"), motion="rolls right", other=None
)


def film(places, *, kind=RED, kinds=None, skies="dddd", speckles=0, beside=None):
    """One thing at the given (column, row) in each frame; None: gone."""
    rng, frames = np.random.default_rng(0), []
    for k, place in enumerate(places):
        colour, shape = (kinds or [kind] * 4)[k]
        things = (
            [] if place is None else [Thing(colour=colour, shape=shape, x=place[0], y=place[1])]
        )
        if beside is not None:
            things.append(Thing(colour="blue", shape="square", x=beside, y=STANDING))
        sky = {"d": "day", "n": "night"}[skies[k]]
        frames.append(paint(things, sky=sky, speckles=speckles, holes=0, rng=rng))
    return np.stack(frames)


def judged(shown, request=ROLLS):
    truth = judge_films(shown[None], [request])
    return {name: float(values[0]) for name, values in truth.aspects.items()}


def asked(motion):
    return FilmRequest(mover=ROLLS.mover, motion=motion, other=None)


FLOOR = [(x, STANDING) for x in range(4)]
AIR = [(x, STANDING - 2) for x in range(4)]
FALL = [(2, STANDING - 3 + k) for k in range(4)]
STAY = [(2, STANDING)] * 4


def test_a_film_as_asked_is_perfect():
    assert set(judged(film(FLOOR)).values()) == {1.0}
    assert set(judged(film(FLOOR[::-1]), asked("rolls left")).values()) == {1.0}
    assert set(judged(film(FALL), asked("falls")).values()) == {1.0}
    assert set(judged(film([(2, 3), (2, 4), (2, 5), (2, 5)]), asked("falls")).values()) == {1.0}
    assert set(judged(film(STAY), asked("stays")).values()) == {1.0}


@pytest.mark.parametrize("request_at", range(0, 900, 7))
def test_every_request_drawn_with_care_is_perfect(request_at):
    rng = np.random.default_rng(request_at)
    request = REQUESTS[request_at]
    truth = judge_films(
        np.stack([draw_film(request, care=1.0, rng=rng) for _ in range(4)]), [request] * 4
    )
    assert truth.overall.tolist() == [100.0] * 4
    assert truth.parses.all()


def test_another_motion_is_not_what_was_asked():
    """Of three marks (there, moves, nothing beside) one is lost."""
    for shown, motion in ((FLOOR[::-1], "rolls right"), (STAY, "rolls left"), (FLOOR, "stays"),
                          (STAY, "falls"), (FALL, "rolls right")):  # fmt: skip
        found = judged(film(shown), asked(motion))
        assert found["prompt_alignment"] == pytest.approx(2 / 3), motion
        assert found["physical_plausibility"] == 1.0
        assert found["temporal_consistency"] == 1.0


def test_what_rolls_in_the_air_is_implausible_but_still_rolls():
    found = judged(film(AIR))
    assert found["prompt_alignment"] == 1.0
    assert found["physical_plausibility"] == 0.5  # nothing rests; nothing vanishes
    assert found["temporal_consistency"] == 1.0


def test_what_vanishes_is_missed_in_three_aspects():
    """Gone in the last of four frames, a blue square beside it: one step of three lost half."""
    request = FilmRequest(
        mover=ROLLS.mover, motion="rolls right", other=Group(count=1, colour="blue", shape="square")
    )
    found = judged(film([*FLOOR[:3], None], beside=6), request)
    assert found["physical_plausibility"] == pytest.approx((1 + (1 + 1 + 0.5) / 3) / 2)
    assert found["temporal_consistency"] == pytest.approx((1 + 1 + 0.5 + 3) / 6)
    # There in three of four frames; two of three steps; the other; nothing beside.
    assert found["prompt_alignment"] == pytest.approx((0.75 + 1 + 2 / 3 + 1) / 4)


def test_a_thing_that_becomes_another_is_not_itself():
    kinds = [RED, RED, ("green", "disc"), ("green", "disc")]
    found = judged(film(FLOOR, kinds=kinds))
    assert found["temporal_consistency"] == pytest.approx((1 + 0 + 1 + 3) / 6)
    assert found["physical_plausibility"] == 1.0


def test_a_jump_is_no_motion():
    found = judged(film([(0, STANDING), (1, STANDING), (5, STANDING), (6, STANDING)]))
    assert found["temporal_consistency"] == pytest.approx((2 + 3) / 6)
    assert found["prompt_alignment"] == pytest.approx((1 + 2 / 3 + 1) / 3)


def test_a_sky_that_flickers_and_dirt_count():
    found = judged(film(FLOOR, skies="ddnd"))
    assert found["temporal_consistency"] == pytest.approx((3 + 1) / 6)
    assert judged(film(FLOOR, speckles=4))["aesthetics"] < 0.8


def test_a_film_without_ground_or_beginning_is_none():
    shown = film(FLOOR)
    torn = shown.copy()
    torn[2, 28:] = 0
    empty = film([None, *FLOOR[1:]])
    truth = judge_films(np.stack([shown, torn, empty]), [ROLLS] * 3)
    assert truth.parses.tolist() == [True, False, False]


def test_careless_films_are_worse_in_every_aspect():
    rng = np.random.default_rng(1)
    requests = [REQUESTS[i] for i in rng.integers(len(REQUESTS), size=300)]
    poor, good = (
        judge_films(np.stack([draw_film(r, care=care, rng=rng) for r in requests]), requests)
        for care in (0.2, 0.8)
    )
    for aspect, values in poor.aspects.items():
        assert values.mean() < good.aspects[aspect].mean() - 0.04, aspect
    assert max(FILM_FLAWS.values()) <= 0.5  # twice a share is still one


def test_the_mixture_leaves_room_on_both_sides():
    rng = np.random.default_rng(2)
    requests = [REQUESTS[i] for i in rng.integers(len(REQUESTS), size=400)]
    cares = draw_care(400, rng=rng)
    shown = np.stack(
        [draw_film(r, care=float(c), rng=rng) for r, c in zip(requests, cares, strict=True)]
    )
    truth = judge_films(shown, requests)
    assert 60 < truth.overall.mean() < 80
    assert truth.parses.all()


@settings(deadline=None)
@given(at=st.integers(0, 899), header=st.sampled_from(FILM_HEADERS))
def test_a_prompt_is_read_back(at, header):
    assert parse_film_request(REQUESTS[at].text(header)) == REQUESTS[at]


def test_film_prompts_are_no_picture_prompts():
    assert len({r.text() for r in REQUESTS}) == len(REQUESTS) == 900
    assert {r.motion for r in REQUESTS} == set(MOTIONS)
    for text in ("a red disc", "two red discs left of a blue square", "a red disc rolls up", ""):
        with pytest.raises(ValueError, match="not a film prompt"):
            parse_film_request(text)
    with pytest.raises(ValueError, match="not a prompt"):
        parse_request(REQUESTS[0].text())


def test_distance_counts_skies_and_places_in_every_frame():
    day, night = film(FLOOR), film(FLOOR, skies="nnnn")
    assert FILMS.distance(day[None], day[None]).tolist() == [0.0]
    assert FILMS.distance(day[None], night[None]).tolist() == [0.5]
    elsewhere = film([(6, STANDING)] * 4, skies="nnnn")
    assert FILMS.distance(day[None], elsewhere[None])[0] > 0.9
    assert FILMS.night(np.stack([day, night])).tolist() == [False, True]


def test_refuses_other_shapes():
    with pytest.raises(ShapeError, match="1 films but 2 requests"):
        judge_films(film(FLOOR)[None], [ROLLS] * 2)
    with pytest.raises(ShapeError, match="two frames or more"):
        judge_films(film(FLOOR)[None, :1], [ROLLS])


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        pytest.param(film(STAY), 0.0, id="what it does then was asked for"),
        pytest.param(film([(2, STANDING), None, None, None]), 0.0, id="vanishing is no variety"),
        pytest.param(film([(2, STANDING)] * 4, skies="dnnn"), 0.0, id="nor is flicker"),
        pytest.param(film([(2, STANDING)] * 4, skies="nnnn"), 0.5, id="the sky is free"),
        pytest.param(film([(3, STANDING)] * 4), 1 / 3, id="so is where it starts"),
    ],
)
def test_films_differ_in_how_they_start(other, expected):
    rolls = film([(2 + k, STANDING) for k in range(4)])
    assert film_distance(rolls[None], other[None]) == pytest.approx([expected])
