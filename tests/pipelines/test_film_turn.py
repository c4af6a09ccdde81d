"""One nano turn of a wheel of films: served, judged, annotated, trained on, measured."""

import json
from pathlib import Path

import numpy as np
import pytest

from backbone.emu3 import FILM_GRID
from backbone.films import read_film
from data_contracts.ids import CheckpointId, Digest
from data_contracts.labels import GENERAL
from pipelines.append_io import read_batch
from pipelines.demo import DemoOptions, demo_settings
from pipelines.settings import write_resolved
from pipelines.stores import Stores, open_stores, read_asset_table
from pipelines.wheel import turn_wheel

TURN = "turn-001"


def quiet(stage, **more):
    """Say nothing."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Stores:
    root: Path = tmp_path_factory.mktemp("films")
    write_resolved(demo_settings(DemoOptions(nano=True, films=True)), root)
    turn_wheel(root, turns=1, deliveries=None, say=quiet)
    return open_stores(root)


def test_what_was_served_are_films(wheel):
    table = read_asset_table(
        wheel, "artifacts/generations", clearance=GENERAL, partition=TURN
    ).table
    assert set(table["modality"].to_pylist()) == {"video"}
    shown = read_film(wheel.blobs.get(Digest(table["blob"][0].as_py())))
    assert shown.shape == (4, 32, 32, 3)


def test_annotators_were_asked_about_time_as_well(wheel):
    _, answers = read_batch(wheel, "annotations", TURN)
    assert set(answers["aspect"].to_pylist()) == {
        "prompt_alignment", "physical_plausibility", "aesthetics", "temporal_consistency",
        "overall",
    }  # fmt: skip


def test_training_read_every_frame(wheel):
    jobs = [json.loads(f.read_text()) for f in sorted((wheel.root / "jobs").glob(f"{TURN}-*.json"))]
    dpo = next(job for job in jobs if job.get("kind") == "dpo")
    manifest = wheel.checkpoints.manifest(CheckpointId(dpo["policy"]))
    assert set(manifest.modalities) == {"image", "text", "video"}
    # Once for policies, which learn from overall pairs, and for the reward model of aspects.
    [kept] = [np.load(f) for f in (wheel.root / "scratch").glob("*") if f.is_file()]
    lengths = np.diff(kept["starts"]) - kept["prompt_lengths"]
    assert set(lengths.tolist()) == {FILM_GRID.tokens + 3}


def test_both_policies_were_measured_on_films(wheel):
    [told] = [
        json.loads(f.read_text())
        for f in (wheel.root / "jobs").glob(f"{TURN}-policy_report.result.json")
    ]
    assert told["measured"]["modality"] == "video"
    assert told["measured"]["prompts"] >= 2
    card = (wheel.root / told["card"]).read_text()
    assert card.count("data:image/png;base64,") >= 2
