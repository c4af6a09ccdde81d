"""Flaws are found where they were painted; annotators point near them, the careless anywhere."""

import json
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from annotation.results import critiques
from data_contracts.contract import load_contract
from data_contracts.schemas import ANNOTATION
from pipelines.stores.enforcer import split_rows
from pipelines.world.annotators import CARELESS, HONEST, Crew
from pipelines.world.film_requests import parse_film_request
from pipelines.world.films import draw_film
from pipelines.world.flaws import Flaw, picture_flaws
from pipelines.world.medium import FILMS, PICTURES
from pipelines.world.pointing import point_at
from pipelines.world.prompts import parse_request
from pipelines.world.scenes import STANDING, Thing, paint

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def scene(*things, speckles=0, holes=0):
    return paint(
        list(things), sky="day", speckles=speckles, holes=holes, rng=np.random.default_rng(3)
    )


def thing(colour="red", shape="square", x=1, y=STANDING):
    return Thing(colour=colour, shape=shape, x=x, y=y)


def flaws_of(picture, text):
    return picture_flaws(picture[None], [parse_request(text)])[0]


def boxes(found, aspect):
    return {(flaw.reason_code, flaw.box) for flaw in found if flaw.aspect == aspect}


def test_a_perfect_picture_has_no_flaw():
    assert flaws_of(scene(thing()), "a red square") == ()


def test_what_floats_is_boxed():
    found = flaws_of(scene(thing(y=1)), "a red square")
    assert boxes(found, "physical_plausibility") == {("floating", (4, 4, 8, 8))}


def test_what_was_not_asked_for_or_too_often_is_boxed():
    wrong = flaws_of(scene(thing(), thing("blue", x=5)), "a red square")
    assert boxes(wrong, "prompt_alignment") == {("wrong_colour", (20, 20, 8, 8))}
    many = flaws_of(scene(thing(), thing(x=5)), "a red square")
    assert {code for code, _ in boxes(many, "prompt_alignment")} == {"wrong_count"}
    assert len(many) == 2


def test_noise_is_boxed_where_it_is_in_sky_and_ground():
    picture = scene(thing(), speckles=1, holes=1)
    found = flaws_of(picture, "a red square")
    odd = (picture == 140).all(-1)
    covered = np.zeros_like(odd)
    for _, (x, y, width, height) in boxes(found, "aesthetics"):
        covered[y : y + height, x : x + width] = True
    assert covered[odd].all()
    assert covered.sum() == 2 * 16


def test_no_flaw_is_seen_in_what_truth_calls_perfect():
    """Drawn with all care, and with none: an aspect is below 1 if and only if it has a flaw.

    Not so where something is missing, which has no place.
    """
    rng = np.random.default_rng(5)
    asked = [PICTURES.requests()[i] for i in rng.choice(1500, 60)]
    pictures = np.stack([PICTURES.draw(r, care=c, rng=rng) for r in asked for c in (0.0, 1.0)])
    asked = [r for r in asked for _ in range(2)]
    truth, flaws = PICTURES.judge(pictures, asked), PICTURES.flaws(pictures, asked)
    for aspect in ("physical_plausibility", "aesthetics"):
        flawed = np.array([any(f.aspect == aspect for f in found) for found in flaws])
        np.testing.assert_array_equal(flawed, truth.aspects[aspect] < 1)
    pointed = np.array([any(f.aspect == "prompt_alignment" for f in found) for found in flaws])
    assert not (pointed & (truth.prompt_alignment == 1)).any()


def test_a_film_is_flawed_in_the_frames_where_it_is():
    request = parse_film_request("a red square stays")
    film = draw_film(request, care=1.0, rng=np.random.default_rng(0))
    assert FILMS.flaws(film[None], [request]) == [()]
    gone = film.copy()
    gone[2] = film[2, :, :1]  # nothing but sky and ground
    [found] = FILMS.flaws(gone[None], [request])
    assert {(f.reason_code, f.frames) for f in found} >= {
        ("missing_object", (2, 3)),
        ("jump", (2, 4)),
    }


def crew(kind, noise=0.0):
    one = np.array([noise])
    return Crew(kind=np.array([kind]), noise=one, shift=one, left_bias=one)


def pointed(kind, *, noise=0.0, share=1.0, films=False, flaw=None):
    flaw = flaw or Flaw(aspect="aesthetics", reason_code="noise", box=(4, 4, 4, 4))
    rows = [
        {"annotation_id": f"an{i}", "task_id": f"t{i}", "annotator_id": "a000", "kind": "rating",
         "generation_id": f"g{i}", "aspect": "aesthetics", "value": 2.0, "scale": "1..5",
         "updated_at": NOW}
        for i in range(200)
    ]  # fmt: skip
    return point_at(
        pa.Table.from_pylist(rows, schema=ANNOTATION), {f"g{i}": (flaw,) for i in range(200)},
        crew(kind, noise), films=films, share=share, rng=np.random.default_rng(0),
    )  # fmt: skip


def test_a_steady_hand_covers_the_flaw_and_a_shaking_one_comes_near():
    exact = critiques(pointed(HONEST), rows=8, columns=8)
    assert exact["tokens"].to_pylist() == [[9]] * 200
    loose = critiques(pointed(HONEST, noise=0.2), rows=8, columns=8)["tokens"].to_pylist()
    assert 130 < len(loose) < 190  # one in five is overlooked
    assert np.mean([9 in tokens for tokens in loose]) > 0.95
    assert any(tokens != [9] for tokens in loose)


def test_the_careless_point_anywhere():
    places = [json.loads(g)["box"][:2] for g in pointed(CARELESS)["geometry"].to_pylist()]
    assert len({tuple(p) for p in places}) > 100


def test_some_ratings_only_are_followed_by_pointing():
    assert 70 < pointed(HONEST, share=0.5).num_rows < 130


def test_what_is_pointed_at_keeps_the_contract_of_annotations():
    film = Flaw(aspect="aesthetics", reason_code="noise", frames=(1, 3))
    for table in (pointed(HONEST, noise=0.2), pointed(HONEST, films=True, flaw=film)):
        _, refused = split_rows(table, load_contract("annotation"), now=NOW)
        assert refused.num_rows == 0
    assert set(pointed(HONEST, films=True, flaw=film)["kind"].to_pylist()) == {"segment"}
