"""Where annotators pointed reaches training as ids and masks, and its maps reach the report."""

import json

import numpy as np
import pyarrow as pa
import pytest

from annotation.results.critiques import CRITIQUE
from backbone.films import write_film
from backbone.pictures import read_png, write_png
from data_contracts.errors import FlywheelError
from data_contracts.ids import CheckpointId
from data_contracts.labels import GENERAL
from data_contracts.training import TokenMark
from pipelines.demo import DemoOptions, demo_settings
from pipelines.judging.content import generation_reader
from pipelines.judging.critiques import training_critiques
from pipelines.judging.overlay import overlay_png
from pipelines.judging.page import write_report
from pipelines.post_training import critiques_of, generations_of
from pipelines.settings import write_resolved
from pipelines.stores import open_stores
from pipelines.wheel import turn_wheel
from reward_models.aspect_scorer import load_scorer

TURN = "turn-001"


def critique(name, generation, *, who="a1", aspect="aesthetics", tokens=(1,), **more):
    row = {
        "critique_id": name, "generation_id": generation, "annotator_id": who, "aspect": aspect,
        "reason_code": "noise", "tokens": list(tokens) if tokens else None,
        "grid": [8, 8] if tokens else None,
    }  # fmt: skip
    return {name: None for name in CRITIQUE.names} | row | more


def told(*rows, prompts=None):
    table = pa.Table.from_pylist(list(rows), schema=CRITIQUE)
    return training_critiques(table, {"g1": "q1", "g2": "q1"} if prompts is None else prompts)


def test_what_one_person_marked_for_one_aspect_is_one_critique():
    found = told(
        critique("c2", "g1", tokens=(5, 6)), critique("c1", "g1"), critique("c3", "g1", who="a2"),
        critique("c4", "g1", aspect=None), critique("c5", "g2", tokens=None, frames=[1, 3]),
    )  # fmt: skip
    assert [(c.critique_id, c.aspect, len(c.marks)) for c in found] == [
        ("c1", "aesthetics", 2), ("c3", "aesthetics", 1), ("c4", "overall", 1),
        ("c5", "aesthetics", 1),
    ]  # fmt: skip
    assert found[0].marks[1] == TokenMark(cells=(5, 6), grid=(8, 8))
    assert found[3].marks == (TokenMark(frames=(1, 3)),)


def test_of_a_pool_every_critique_is_somebodys():
    assert len(told(critique("c1", "g1", who=None), critique("c2", "g1", who=None))) == 2


def test_marks_in_texts_and_in_generations_that_no_pair_names_stay_behind():
    found = told(
        critique("c1", "g9"), critique("c2", "g1", tokens=None, characters=[0, 4]),
        critique("c3", "g1", tokens=None, prompt_characters=[0, 4]),
    )  # fmt: skip
    assert found == []


def test_a_map_is_drawn_red_where_it_is_hot_with_a_line_around_what_was_pointed_at():
    """Four tokens of 16 pixels: the second is hot, the third was pointed at."""
    picture = write_png(np.full((32, 32, 3), 90, np.uint8))
    heat, pointed = np.array([[0.0, 0.5], [0.0, 0.0]]), np.array([[0, 0], [1.0, 0]])
    drawn = read_png(overlay_png(picture, heat, pointed)).astype(int)
    assert drawn.shape == (128, 128, 3)
    hot, cold, inside, edge = drawn[32, 96], drawn[32, 32], drawn[96, 32], drawn[64, 32]
    assert hot[0] > hot[1] + 100
    assert np.ptp(cold) == np.ptp(inside) == 0
    assert edge.tolist() == [255, 255, 255]
    assert (drawn == 255).all(-1).sum() == 2 * 2 * (64 + 60)


def test_of_a_film_every_frame_has_its_own_map():
    film = write_film(np.full((2, 32, 32, 3), 90, np.uint8))
    heat = np.zeros((2, 2, 2))
    heat[1, 0, 0] = 1.0
    drawn = read_png(overlay_png(film, heat, np.zeros((2, 2, 2)))).astype(int)
    assert drawn.shape == (128, 2 * 128 + 4, 3)
    first, second = drawn[32, 32], drawn[32, 132 + 32]
    assert np.ptp(first) == 0
    assert second[0] > second[1] + 100


@pytest.fixture(scope="module")
def pointed_wheel(tmp_path_factory):
    """Return the folder of a nano turn whose annotators point at what is wrong."""
    root = tmp_path_factory.mktemp("pointed") / "a"
    nano = demo_settings(DemoOptions(nano=True))
    studio = nano.studio.model_copy(update={"pointing": 1.0, "prompts": 40})
    queue = nano.queue.model_copy(update={"budget": 120})
    write_resolved(nano.model_copy(update={"studio": studio, "queue": queue}), root)
    turn_wheel(root, turns=1, deliveries=None, say=lambda stage, **more: None)
    return root


def result_of(root):
    return json.loads((root / "jobs" / f"{TURN}-aspect_model.result.json").read_text())


def test_a_turn_with_critiques_trains_maps_and_names_them_as_evidence(pointed_wheel):
    stores = open_stores(pointed_wheel)
    checkpoint = CheckpointId(stores.catalogue.pointer(f"reward_models/aspect_model/{TURN}"))
    critiques = critiques_of(stores, TURN)
    assert critiques in stores.checkpoints.manifest(checkpoint).parents
    folder = stores.checkpoints.path(checkpoint)
    seen = json.loads((folder / "critiques_seen.json").read_text())
    known = stores.derived.read(critiques)["critique_id"].to_pylist()
    assert seen
    assert set(seen) <= set(known)
    scorer = load_scorer(folder, device="cpu")
    assert "overall" in scorer.heat_aspects
    assert result_of(pointed_wheel)["heat"]["critiques"] == len(seen)


def test_its_result_and_weights_hold_ids_and_numbers_but_no_content(pointed_wheel):
    stores = open_stores(pointed_wheel)
    prompts = stores.catalogue.pointer(f"artifacts/prompts/{TURN}")
    written = json.dumps(result_of(pointed_wheel)["heat"])
    assert not any(t in written for t in stores.derived.read(prompts)["text"].to_pylist())
    assert "noise" not in written  # a reason


def test_the_page_shows_how_well_maps_do_and_draws_them(pointed_wheel, tmp_path):
    stores = open_stores(pointed_wheel)
    figures, page = result_of(pointed_wheel), tmp_path / "page.html"
    found = {"mean": 0.9, "low": 0.8, "high": 0.95}
    generations = stores.derived.read(generations_of(stores, TURN))["generation_id"].to_pylist()
    names = ("heat", "mean_map", "surprise", "over_mean_map", "over_surprise")
    figures["heat"]["aspects"] = {"overall": {"answers": 1234} | dict.fromkeys(names, found)}
    figures["heat"]["examples"] = [
        {"generation_id": generations[0], "aspect": "overall", "shape": [8, 8],
         "heat": [0.1] * 64, "pointed": [0.0] * 63 + [1.0]}
    ]  # fmt: skip
    read = generation_reader(stores, generations_of(stores, TURN), GENERAL)
    write_report(page, figures, names={"turn": TURN, "checkpoint": "c"}, real=False, content=read)
    shown = page.read_text()
    assert "any aspect" in shown
    assert "1,234" in shown
    assert shown.count("data:image/png") == 2
    with pytest.raises(FlywheelError, match="generation g_none has no content"):
        read("g_none")


def test_the_page_says_which_aspect_has_no_map_and_why(pointed_wheel, tmp_path):
    figures, page = result_of(pointed_wheel), tmp_path / "page.html"
    write_report(page, figures, names={"turn": TURN, "checkpoint": "c"}, real=False)
    assert "people pointed at everything" not in page.read_text()
    del figures["heat"]
    figures["pointed_everywhere"] = ["aesthetics", "overall"]
    write_report(page, figures, names={"turn": TURN, "checkpoint": "c"}, real=False)
    told = " ".join(page.read_text().split())
    assert "No map because of aesthetics, any aspect: people pointed at everything" in told


def test_a_turn_without_critiques_is_told_of_none(nano_wheel):
    stores = open_stores(nano_wheel)
    assert critiques_of(stores, TURN) is None
    assert critiques_of(stores, "turn-009") is None
    assert "heat" not in result_of(nano_wheel)
    [job] = (nano_wheel / "jobs").glob(f"{TURN}-aspect_model-????????????.json")
    assert "critiques" not in json.loads(job.read_text())
    checkpoint = CheckpointId(stores.catalogue.pointer(f"reward_models/aspect_model/{TURN}"))
    names = {file.name for file in stores.checkpoints.path(checkpoint).iterdir()}
    assert not any("heat" in name or "critiques" in name for name in names)
    assert load_scorer(stores.checkpoints.path(checkpoint), device="cpu").heat_aspects == ()


def test_the_page_shows_biases_and_how_far_models_differ(tmp_path):
    found, page = {"mean": 0.62, "low": 0.5, "high": 0.7}, tmp_path / "page.html"
    bias = {"pairs": 1500} | dict.fromkeys(("model", "people", "excess"), found)
    differ = {"answers": 9, "pairs": 2345, "deviation": 0.31, "spread": 1.7, "agreed_right": None}
    differ |= dict.fromkeys(("disputed", "mean_right", "bound_right"), found)
    figures = {
        "aspects": {}, "calibrations": {}, "bias": {"overall": {"motion": bias}},
        "ensemble": {"members": 3, "lower_bound": 1.5, "aspects": {"overall": differ}},
    }  # fmt: skip
    names = {"turn": TURN, "checkpoint": "c"}
    write_report(page, figures, names=names, real=False)
    shown = page.read_text()
    assert all(told in shown for told in ("motion", "+0.62", "How far 3 models differ", "2,345"))
    write_report(page, {"aspects": {}, "calibrations": {}}, names=names, real=False)
    assert not any(told in page.read_text() for told in ('id="biases"', 'id="ensemble"'))
