from collections import Counter

import numpy as np
import pytest

from pipelines.world.prompts import every_request, parse_request
from pipelines.world.scenes import (
    FLAWS,
    GROUND,
    PALETTE,
    SHAPE_MASKS,
    SKIES,
    STANDING,
    Thing,
    draw_care,
    draw_scene,
    paint,
)
from pipelines.world.truth import judge, read_scenes

REQUESTS = every_request()
ASKED = {"red disc", "blue square"}


def test_a_scene_is_painted_pixel_by_pixel():
    """A square on column 1: 8 x 8 pixels from (20, 4), right on the ground's first row, 28."""
    square = Thing(colour="blue", shape="square", x=1, y=STANDING)
    picture = paint([square], sky="night", speckles=0, holes=0, rng=np.random.default_rng(0))
    expected = np.empty((32, 32, 3), np.uint8)
    expected[:28], expected[28:] = SKIES["night"], GROUND
    expected[20:28, 4:12] = PALETTE["blue"]
    np.testing.assert_array_equal(picture, expected)


def test_what_is_painted_last_covers_the_rest():
    things = [Thing(colour=c, shape="square", x=0, y=STANDING) for c in ("red", "green")]
    picture = paint(things, sky="day", speckles=0, holes=0, rng=np.random.default_rng(0))
    assert tuple(picture[24, 3]) == PALETTE["green"]
    assert not (picture == PALETTE["red"]).all(-1).any()


def test_shapes_are_symmetric_and_told_apart():
    for mask in SHAPE_MASKS.values():
        np.testing.assert_array_equal(mask, mask[:, ::-1])
    assert {name: int(mask.sum()) for name, mask in SHAPE_MASKS.items()} == {
        "disc": 44, "square": 64, "triangle": 40,
    }  # fmt: skip


def test_the_same_seed_draws_the_same_scene():
    def drawn(seed: int) -> bytes:
        return draw_scene(REQUESTS[700], care=0.3, rng=np.random.default_rng(seed)).tobytes()

    assert drawn(1) == drawn(1)
    assert len({drawn(seed) for seed in range(20)}) > 10


def test_more_care_draws_better_scenes():
    def mean_truth(care: float) -> float:
        rng = np.random.default_rng(0)
        some = REQUESTS[::10]
        return judge(
            np.stack([draw_scene(r, care=care, rng=rng) for r in some]), some
        ).overall.mean()

    scores = [mean_truth(care) for care in (0.0, 0.5, 1.0)]
    assert scores[0] + 10 < scores[1] < scores[2] - 10


def test_holes_come_as_often_as_said():
    """At care 0 a flaw shows twice as often as `FLAWS` says: ragged ground in 64 % of scenes."""
    rng = np.random.default_rng(3)
    pictures = np.stack([draw_scene(REQUESTS[0], care=0.0, rng=rng) for _ in range(1500)])
    ragged = np.mean([scene.ragged > 0 for scene in read_scenes(pictures)])
    assert ragged == pytest.approx(2 * FLAWS["ragged"], abs=0.04)


def test_every_placing_is_equally_likely():
    """Three objects of 2 columns on 8: 2 free columns in 4 gaps, 10 ways."""
    rng = np.random.default_rng(5)
    request = parse_request("three red triangles")
    pictures = np.stack([draw_scene(request, care=1.0, rng=rng) for _ in range(2000)])
    placings = Counter(tuple(t.x // 4 for t in s.things) for s in read_scenes(pictures))
    assert len(placings) == 10
    # Chi-squared with 9 degrees of freedom: above 28 once in a thousand.
    assert sum((n - 200) ** 2 / 200 for n in placings.values()) < 28


def test_care_is_spread_around_its_mean():
    cares = draw_care(20_000, rng=np.random.default_rng(0))
    assert cares.mean() == pytest.approx(0.4, abs=0.01)
    assert cares.min() < 0.01
    assert cares.max() > 0.99


@pytest.mark.parametrize("relation", ["left of", "right of", "on", "and"])
def test_flawed_scenes_misplace_things_but_never_exchange_them(relation):
    """What is told apart by its place is told apart in flawed scenes too: 600 drawn carelessly."""
    request = parse_request(f"a red disc {relation} a blue square")
    rng = np.random.default_rng(11)
    pictures = np.stack([draw_scene(request, care=0.0, rng=rng) for _ in range(600)])
    twos = [scene.things for scene in read_scenes(pictures) if len(scene.things) == 2]
    kinds = [{(t.colour, t.shape): t for t in things} for things in twos]
    asked = [("red", "disc"), ("blue", "square")]
    pairs = [[k[kind] for kind in asked] for k in kinds if k.keys() >= set(asked)]
    assert len(pairs) > 40
    ground = STANDING * 4
    level = [a.x < b.x for a, b in pairs if a.y == b.y == ground]
    assert all(level) if relation in ("left of", "and") else not any(level)
    assert not [b for a, b in pairs if a.y == ground and b.y < ground]
    misplaced = {
        "left of": [a.x > b.x and a.y < b.y for a, b in pairs],
        "right of": [a.x < b.x and a.y < b.y for a, b in pairs],
        "on": [a.x != b.x for a, b in pairs],
        "and": [a.x > b.x for a, b in pairs],
    }[relation]
    share = np.mean(misplaced)
    assert share == 0 if relation == "and" else 0.3 < share < 0.85
