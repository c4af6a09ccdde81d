"""How far an audit reaches: calibration, critiques, replaced rows, versions, namesakes.

A zone by hand: two deliveries' worth of events, answers, one snapshot and models that say what they
saw, so that each path from a person to a model stands alone.
"""

import json
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import save_file

from data_contracts.conform import conform
from data_contracts.ids import CheckpointId
from data_contracts.labels import GENERAL
from data_contracts.schemas import GENERATION, PREFERENCE_PAIR
from pipelines.append_io import write_batch
from pipelines.audit.page import write_page
from pipelines.auditing import trace_person
from pipelines.auditing_generation import trace_generation
from pipelines.cli import run as flywheel
from pipelines.stores import CheckpointFields, open_stores, write_asset_table, write_snapshot

AT = datetime(2026, 1, 2, tzinfo=UTC)
TURN = "turn-001"


@pytest.fixture
def stores(tmp_path):
    stores = open_stores(tmp_path / "zone")
    stores.catalogue.register("source", "delivery", label=GENERAL)
    return stores


def keep(stores, name, rows, *, columns):
    table = pa.Table.from_pylist(rows, schema=pa.schema([(c, pa.string()) for c in columns]))
    write_batch(stores, name, table, partition=TURN, parents=["source"], by="test", at=AT)


def events(stores, *rows):
    """Keep (event, user, tenant) rows as a delivery's, as it came and as admitted."""
    names = ("event_id", "user_id", "tenant_id")
    table = [dict(zip(names, row, strict=True)) for row in rows]
    write_asset_table(
        stores, "traces/raw_events", pa.Table.from_pylist(table), parents=["source"], by="test",
        at=AT, partition=TURN,
    )  # fmt: skip
    keep(stores, "events", table, columns=names)


def answers(stores, *rows):
    names = ("annotation_id", "annotator_id", "generation_id")
    keep(stores, "annotations", [dict(zip(names, row, strict=True)) for row in rows], columns=names)


def pair(name, *, split="train", evidence=(), chosen="g1", rejected="g2", **more):
    return {
        "pair_id": name, "prompt_id": "q1", "chosen_id": chosen, "rejected_id": rejected,
        "aspect": "overall", "probability": 0.9, "target": 1.0, "weight": 1.0, "sources": [],
        "evidence": list(evidence), "split": split,
    } | more  # fmt: skip


def snapshot(stores, *pairs):
    return write_snapshot(
        stores, pa.Table.from_pylist(list(pairs), schema=PREFERENCE_PAIR), parents=["source"],
        card={}, configuration_digest="c", code_version="v", at=AT,
    ).snapshot_id  # fmt: skip


def model(stores, kind, parent, *, seen=(), critiques=None):
    fields = CheckpointFields(
        kind=kind, parents=(parent,), label=(), label_epoch=0, code_version="v",
        configuration_digest=kind, modalities=("image",),
    )  # fmt: skip
    with stores.checkpoints.writer(fields) as writer:
        save_file({"w": np.zeros(1)}, writer.folder / "model.safetensors")
        (writer.folder / "samples_seen.json").write_text(json.dumps([list(seen)]))
        if critiques is not None:
            (writer.folder / "critiques_seen.json").write_text(json.dumps(critiques))
    return CheckpointId(writer.checkpoint_id)


def learned(found):
    return {trace.checkpoint for trace in found.models if trace.learned}


def test_who_is_in_validation_pairs_alone_is_in_what_was_calibrated_to_them(stores):
    """Imitation and DPO read no validation pair; one of weight 0 calibrates nothing."""
    events(stores, ("e1", "ann", "acme"), ("e2", "bob", "acme"))
    made = snapshot(
        stores,
        pair("p1", evidence=["e2"]),
        pair("p2", split="validation", evidence=["e1"]),
        pair("p3", split="validation", evidence=["e1"], aspect="aesthetics"),
        pair("p4", split="validation", evidence=["e1"], weight=0.0),
        pair("p5", split="test", evidence=["e1"]),
    )
    aspects, reward, dpo = (model(stores, kind, made, seen=["p1"])
                            for kind in ("aspects", "reward", "dpo"))  # fmt: skip
    heir = model(stores, "sft", reward)
    found = trace_person(stores, "ann")
    assert learned(found) == {aspects, reward, heir}
    counts = {trace.checkpoint: trace.calibrating for trace in found.models}
    assert counts == {aspects: 2, reward: 1, dpo: 0, heir: 0}
    assert learned(trace_person(stores, "bob")) == {aspects, reward, dpo, heir}


def test_who_only_pointed_is_in_the_heat_maps(stores, capsys):
    answers(stores, ("a1", "ann", "g1"), ("a2", "bob", "g1"))
    made = snapshot(stores, pair("p1"))
    maps = model(stores, "aspects", made, seen=["p1"], critiques=["a1"])
    found = trace_person(stores, "ann")
    assert learned(found) == {maps}
    assert [trace.pointed for trace in found.models] == [1]
    assert learned(trace_person(stores, "bob")) == set()
    assert flywheel(["audit", "ann", "--root", str(stores.root)]) == 0
    assert "critiques" in capsys.readouterr().out


def test_events_of_a_delivery_that_another_replaced_are_still_followed(stores):
    events(stores, ("e1", "ann", "acme"))
    old = model(stores, "dpo", snapshot(stores, pair("p1", evidence=["e1"])), seen=["p1"])
    events(stores, ("e2", "bob", "acme"))
    found = trace_person(stores, "ann")
    assert (found.events, found.tenants, learned(found)) == (0, ("acme",), {old})
    assert [each.gone for each in found.snapshots] == [0]


def test_answers_that_others_replaced_are_said_to_be_nobodys(stores, tmp_path, capsys):
    """Whose they were is kept nowhere: the audit must not say that nothing else was learned."""
    answers(stores, ("a1", "ann", "g1"), ("a2", "bob", "g1"))
    snapshot(stores, pair("p1", evidence=["a1", "a2"]))
    answers(stores, ("a2", "bob", "g1"))
    found = trace_person(stores, "bob")
    assert [each.gone for each in found.snapshots] == [1]
    assert flywheel(["audit", "bob", "--root", str(stores.root)]) == 0
    assert "look first: whose some evidence was is not kept" in capsys.readouterr().out
    write_page(tmp_path / "p.html", found, person="bob", zone="z", at=AT)
    assert "is not kept" in (tmp_path / "p.html").read_text()


def test_a_user_and_an_annotator_of_one_id_are_told_and_told_apart(stores, tmp_path, capsys):
    events(stores, ("e1", "ann", "acme"))
    answers(stores, ("a1", "ann", "g1"))
    made = snapshot(stores, pair("p1", evidence=["e1"]), pair("p2", evidence=["a1"]))
    first, second = (model(stores, kind, made, seen=[name])
                     for kind, name in (("dpo", "p1"), ("reward", "p2")))  # fmt: skip
    both, user = trace_person(stores, "ann"), trace_person(stores, "ann", tenant="acme")
    assert (both.events, both.answers, learned(both)) == (1, 1, {first, second})
    assert (user.events, user.answers, learned(user)) == (1, 0, {first})
    words = ["audit", "ann", "--root", str(stores.root)]
    assert flywheel(words) == 0
    assert "look first: a user and an annotator have this id" in capsys.readouterr().out
    assert flywheel([*words, "--tenant", "acme"]) == 0
    assert "look first" not in capsys.readouterr().out
    write_page(tmp_path / "p.html", both, person="ann", zone="z", at=AT)
    assert "A user and an annotator have this id" in (tmp_path / "p.html").read_text()


def generation(name, parent=None):
    return {
        "generation_id": name, "tenant_id": "acme", "project_id": "film", "prompt_id": "q1",
        "model_release": "base", "modality": "image", "parent_generation_id": parent,
    }  # fmt: skip


def test_what_learned_from_a_version_learned_from_its_original(stores, capsys):
    rows = [generation("g1"), generation("g2", "g1"), generation("g3", "g2"), generation("g4")]
    rows += [generation("g5"), generation("g6", "g6")]
    table = conform(pa.Table.from_pylist(rows), GENERATION, what="generations")
    write_asset_table(
        stores, "artifacts/generations", table, parents=["source"], by="test", at=AT,
        partition=TURN,
    )  # fmt: skip
    made = snapshot(
        stores,
        pair("p1", chosen="g3", rejected="g4"),
        pair("p2", chosen="g4", rejected="g5"),
        pair("p3", chosen="g4", rejected="g2", split="validation"),
    )
    dpo = model(stores, "dpo", made, seen=["p1"])
    sft = model(stores, "sft", made, seen=["g3"])
    reward = model(stores, "reward", made, seen=["p2"])
    model(stores, "aspects", snapshot(stores, pair("p4", rejected="g5", chosen="g4")), seen=["p4"])
    found = trace_generation(stores, "g1")
    assert found.versions == ("g2", "g3")
    assert learned(found) == {dpo, sft, reward}
    assert trace_generation(stores, "g6").versions == ()
    assert flywheel(["audit", "g1", "--generation", "--root", str(stores.root)]) == 0
    assert "g2, g3" in capsys.readouterr().out
