from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.errors import ShapeError
from pipelines.world.prompts import every_request, parse_request
from pipelines.world.scenes import (
    GROUND,
    PALETTE,
    SKIES,
    SPECKLE,
    STANDING,
    Thing,
    draw_scene,
    paint,
)
from pipelines.world.truth import Truth, judge, palette_classes, read_scenes

REQUESTS = every_request()
REQUEST = parse_request("two red discs left of a blue square")


def disc(x: int, y: int = STANDING, colour: str = "red") -> Thing:
    return Thing(colour=colour, shape="disc", x=x, y=y)


def square(x: int, y: int = STANDING) -> Thing:
    return Thing(colour="blue", shape="square", x=x, y=y)


def painted(*things: Thing, sky: str = "day", holes: int = 0) -> np.ndarray:
    rng = np.random.default_rng(0)
    return paint(list(things), sky=sky, speckles=0, holes=holes, rng=rng)


def aspects(picture: np.ndarray) -> tuple[float, float, float]:
    truth = judge(picture[None], [REQUEST])
    return (
        float(truth.prompt_alignment[0]),
        float(truth.physical_plausibility[0]),
        float(truth.aesthetics[0]),
    )


def fields(truth: Truth) -> list[list[float]]:
    parts = (truth.prompt_alignment, truth.physical_plausibility, truth.aesthetics, truth.parses)
    return [part.tolist() for part in parts]


def test_a_scene_as_asked_has_full_marks():
    assert aspects(painted(disc(0), disc(2), square(5))) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("things", "marks"),
    [
        # Marks: count of discs, count of squares, relation, nothing beside.
        pytest.param([disc(0), square(5)], (0.5, 1, 1, 1), id="one disc too few"),
        pytest.param([disc(0), disc(2), disc(4), square(6)], (0.5, 1, 1, 1), id="one too many"),
        pytest.param([disc(0, colour="green"), disc(2), square(5)], (0.5, 1, 1, 0.5), id="colour"),
        pytest.param([square(0), disc(3), disc(5)], (1, 1, 0, 1), id="on the wrong side"),
        pytest.param([disc(0), square(2), disc(5)], (1, 1, 0, 1), id="one on the wrong side"),
        pytest.param([disc(0), disc(2)], (1, 0, 0, 1), id="no square"),
    ],
)
def test_a_wrong_content_costs_alignment_only(things, marks):
    assert aspects(painted(*things)) == (pytest.approx(np.mean(marks)), 1.0, 1.0)


def test_a_floating_object_costs_plausibility_only():
    """Two of three stand."""
    picture = painted(disc(0), disc(2, y=STANDING - 2), square(5))
    assert aspects(picture) == (1.0, pytest.approx(2 / 3), 1.0)


def test_an_object_may_stand_on_another():
    on = parse_request("a red disc on a blue square")
    truth = judge(painted(disc(3, y=STANDING - 2), square(3))[None], [on])
    assert fields(truth) == [[1.0], [1.0], [1.0], [True]]


def test_an_object_beside_the_one_below_floats():
    picture = painted(disc(0, y=STANDING - 2), disc(2), square(5))
    assert aspects(picture) == (1.0, pytest.approx(2 / 3), 1.0)


def test_an_overlap_costs_plausibility_and_the_hidden_object():
    """Half a disc is left, 22 pixels: 22/32 objects are broken beside two that stand.

    One disc of two is seen: alignment is the mean of 1/2, 1, 1 and 1.
    """
    picture = painted(disc(0), disc(4), square(5))
    assert aspects(picture) == (0.875, pytest.approx(2 / (2 + 22 / 32)), 1.0)


def test_a_speckle_costs_aesthetics_only():
    """8 of the 896 - 152 pixels of sky in sight: 1 - (8/744)/0.06 for the sky, 1 for the ground."""
    picture = painted(disc(0), disc(2), square(5))
    picture[0:4, 0:4][np.indices((4, 4)).sum(0) % 2 == 0] = SPECKLE
    assert aspects(picture) == (1.0, 1.0, pytest.approx((1 - 8 / 744 / 0.06 + 1) / 2))


def test_holes_in_the_ground_cost_aesthetics_only():
    """Two holes of 8 in 128 pixels: 1 for the sky, 1 - (1/8)/0.15 for the ground."""
    picture = painted(disc(0), disc(2), square(5), holes=2)
    assert aspects(picture) == (1.0, 1.0, pytest.approx((1 + 1 - 0.125 / 0.15) / 2))


@given(
    speckles=st.integers(0, 8), holes=st.integers(0, 4), seed=st.integers(0, 999),
    sky=st.sampled_from(sorted(SKIES)),
)  # fmt: skip
def test_no_dirt_changes_what_is_seen(speckles, holes, seed, sky):
    things = [disc(0), disc(2), square(5)]
    rng = np.random.default_rng(seed)
    picture = paint(things, sky=sky, speckles=speckles, holes=holes, rng=rng)
    assert aspects(picture)[:2] == (1.0, 1.0)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_careful_scene_of_every_request_has_almost_full_marks(seed):
    """Touching squares of one colour are split a column early: that costs up to 5 points."""
    rng = np.random.default_rng(seed)
    pictures = np.stack([draw_scene(r, care=1.0, rng=rng) for r in REQUESTS])
    truth = judge(pictures, REQUESTS)
    assert truth.parses.all()
    assert (truth.prompt_alignment == 1.0).all()
    assert (truth.aesthetics == 1.0).all()
    assert truth.overall.min() >= 95
    assert truth.overall.mean() > 99.5


def flawed_scenes(count: int, seed: int) -> tuple[np.ndarray, list]:
    rng = np.random.default_rng(seed)
    picks = [REQUESTS[i] for i in rng.integers(len(REQUESTS), size=count)]
    return np.stack([draw_scene(r, care=0.2, rng=rng) for r in picks]), picks


def test_the_sky_does_not_matter():
    pictures, requests = flawed_scenes(200, seed=1)
    day, night = ((pictures == SKIES[sky]).all(-1) for sky in ("day", "night"))
    other = pictures.copy()
    other[day], other[night] = SKIES["night"], SKIES["day"]
    assert fields(judge(other, requests)) == fields(judge(pictures, requests))


def test_neighbours_do_not_matter():
    pictures, requests = flawed_scenes(150, seed=2)  # more than are matched at once
    noise = np.random.default_rng(0).integers(-50, 51, pictures.shape)
    pictures = (pictures + noise).clip(0, 255).astype(np.uint8)
    together = fields(judge(pictures, requests))
    alone = [judge(p[None], [r]) for p, r in zip(pictures, requests, strict=True)]
    assert together == [
        list(chain.from_iterable(part)) for part in zip(*map(fields, alone), strict=True)
    ]


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_every_mark_is_a_share(seed):
    pictures, requests = flawed_scenes(4, seed)
    noise = np.random.default_rng(seed).integers(-200, 201, pictures.shape)
    truth = judge((pictures + noise).clip(0, 255).astype(np.uint8), requests)
    marks = np.array(fields(truth)[:3])
    assert marks.min() >= 0
    assert marks.max() <= 1
    np.testing.assert_allclose(truth.overall, 100 * marks.mean(0))


def nothing_drawn() -> list:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    flat = [np.full((32, 32, 3), c, np.uint8) for c in (0, 255, SKIES["day"], PALETTE["red"])]
    return [
        pytest.param(picture, id=name)
        for picture, name in zip(
            [noise, *flat], ["noise", "black", "white", "sky", "red"], strict=True
        )
    ]


@pytest.mark.parametrize("picture", nothing_drawn())
def test_what_is_no_scene_does_not_parse_and_scores_low(picture):
    """An empty sky still has "nothing beside what was asked" and no speckles: 42 of 100."""
    truth = judge(picture[None], [REQUEST])
    assert not truth.parses[0]
    assert truth.physical_plausibility[0] == 0
    assert truth.overall[0] < 42


def test_ground_without_objects_is_no_scene():
    truth = judge(painted()[None], [REQUEST])
    assert not truth.parses[0]
    assert truth.physical_plausibility[0] == 0


def test_every_palette_colour_is_its_own_class():
    colours = [*SKIES.values(), GROUND, SPECKLE, *PALETTE.values()]
    picture = np.array(colours, np.uint8).reshape(1, 3, 3, 3)
    np.testing.assert_array_equal(palette_classes(picture).ravel(), np.arange(9))


def test_objects_are_found_where_they_are():
    (scene,) = read_scenes(painted(disc(1), square(4))[None])
    found = [(t.colour, t.shape, t.x, t.y) for t in scene.things]
    assert found == [("red", "disc", 4, 20), ("blue", "square", 16, 20)]
    assert (scene.broken, scene.speckled, scene.ragged) == (0, 0, 0)


def test_refuses_pictures_without_their_requests():
    with pytest.raises(ShapeError, match="2 pictures but 1 requests"):
        judge(np.zeros((2, 32, 32, 3), np.uint8), [REQUEST])


def test_refuses_pictures_of_another_size():
    with pytest.raises(ShapeError, match="32, 32, 3"):
        judge(np.zeros((1, 16, 16, 3), np.uint8), [REQUEST])
