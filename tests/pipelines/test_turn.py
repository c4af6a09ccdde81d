"""One nano turn of the wheel, for real: Dagster, stores, TRL, gate; then the laws it must keep."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from backbone.emu3 import Emu3Backbone
from data_contracts.errors import ContractError
from data_contracts.ids import SnapshotId
from data_contracts.labels import GENERAL
from pipelines.bundle import SnapshotBundle
from pipelines.demo import DemoOptions, demo_settings
from pipelines.inbox import Inbox
from pipelines.reading import read_once
from pipelines.settings import WheelSettings, write_resolved
from pipelines.stores import Stores, open_snapshot, open_stores
from pipelines.wheel import turn_wheel
from reward_models.sequences import read_sequences

TURN = "turn-001"


def quiet(stage, **more):
    """Say nothing."""


def nano(seed=7) -> WheelSettings:
    return demo_settings(DemoOptions(nano=True)).model_copy(update={"seed": seed})


def turned(root: Path, settings: WheelSettings) -> Stores:
    write_resolved(settings, root)
    turn_wheel(root, turns=1, deliveries=None, say=quiet)
    return open_stores(root)


@pytest.fixture(scope="module")
def wheel(nano_wheel) -> Stores:
    return open_stores(nano_wheel)


def pointers(stores: Stores) -> dict[str, str]:
    """What every asset stands at; raw events keep the place of each row in its file."""
    return {
        name: value
        for name, value in stores.catalogue.pointers().items()
        if not name.startswith("traces/raw_events")
    }


def test_every_asset_of_the_turn_stands(wheel):
    stands = {name.removesuffix(f"/{TURN}") for name in wheel.catalogue.pointers()}
    assert {
        "artifacts/generations", "signals/trusted_signals", "annotation/annotation_tasks",
        "preferences/preference_pairs", "preferences/preference_snapshot",
        "reward_models/aspect_model", "finetune/sft_policy", "finetune/dpo_policy",
    } <= stands  # fmt: skip


def test_received_is_accepted_and_quarantined(wheel):
    raw = wheel.derived.read(wheel.catalogue.pointer(f"traces/raw_events/{TURN}"))
    accepted = wheel.append.read("events").num_rows
    quarantined = wheel.append.read("quarantined_events").num_rows
    assert raw.num_rows == accepted + quarantined


def test_pictures_become_tokens_once_for_all_trainings(wheel, monkeypatch):
    jobs = [json.loads(f.read_text()) for f in (wheel.root / "jobs").glob(f"{TURN}-*_*.json")]
    jobs = [job for job in jobs if job.get("kind") in ("sft", "dpo", "aspects")]
    assert {job["kind"] for job in jobs} == {"sft", "dpo", "aspects"}
    names = {(j["snapshot_id"], j["prompts"], j["generations"]) for j in jobs}
    ((snapshot, prompts, generations),) = names
    bundle = SnapshotBundle(
        wheel, snapshot_id=SnapshotId(snapshot), prompts=prompts, generations=generations
    )
    policies = [
        Emu3Backbone.load(wheel.checkpoints.path(job["policy"]), device="cpu") for job in jobs
    ]
    length = jobs[0]["configuration"]["max_length"]
    fresh = read_sequences(bundle, policies[0], splits=["train", "validation"], max_length=length)

    def refuse(*_):
        raise AssertionError("the pictures were read already")

    with monkeypatch.context() as patch:
        patch.setattr(Emu3Backbone, "tokenise", refuse)
        for policy in policies:
            kept = read_once(wheel, bundle, policy, max_length=length)
            assert kept.row_of == fresh.row_of
            for column in ("tokens", "starts", "prompt_lengths"):
                np.testing.assert_array_equal(getattr(kept, column), getattr(fresh, column))
        with pytest.raises(AssertionError, match="read already"):
            read_once(wheel, bundle, policies[0], max_length=length + 1)
        other = policies[0].model.model.vqmodel.quantize.embedding.weight
        other.data.add_(1.0)  # another picture tokenizer reads for itself
        with pytest.raises(AssertionError, match="read already"):
            read_once(wheel, bundle, policies[0], max_length=length)


def test_a_bundle_s_digest_covers_what_was_asked(wheel):
    """Or tokens that were read of an older prompt would be taken for these."""
    stands = wheel.catalogue.pointers()
    told = {
        "snapshot_id": SnapshotId(stands[f"preferences/preference_snapshot/{TURN}"]),
        "prompts": stands[f"artifacts/prompts/{TURN}"],
        "generations": stands[f"artifacts/generations/{TURN}"],
    }
    one, other = (SnapshotBundle(wheel, **told) for _ in range(2))
    assert one.digest == SnapshotBundle(wheel, **told).digest
    asked = one.pairs("train")[0].prompt_id
    other._texts[asked] += " on a hill"
    assert other.digest != one.digest


def test_two_turns_with_one_seed_are_identical(wheel, tmp_path):
    assert pointers(turned(tmp_path / "b", nano())) == pointers(wheel)


def test_another_seed_is_another_turn(wheel, tmp_path):
    other = pointers(turned(tmp_path / "c", nano(seed=8)))
    assert other[f"preferences/preference_pairs/{TURN}"] not in pointers(wheel).values()


def test_reversed_rows_give_the_same(wheel, tmp_path):
    root = tmp_path / "d"
    write_resolved(nano(), root)
    delivered = Inbox(wheel.root).folder(TURN)
    shutil.copytree(delivered, Inbox(root).folder(TURN))
    for name in ("events", "generations", "prompts"):
        file = Inbox(root).folder(TURN) / f"{name}.parquet"
        table = pq.read_table(file)
        pq.write_table(table.take(list(reversed(range(table.num_rows)))), file)
    turn_wheel(root, turns=1, deliveries=None, say=quiet)
    assert pointers(open_stores(root)) == pointers(wheel)


def test_checkpoints_hold_safetensors_and_text_only(wheel):
    kinds = {
        file.suffix
        for checkpoint in wheel.checkpoints.ids()
        for file in wheel.checkpoints.path(checkpoint).rglob("*")
        if file.is_file()
    }
    assert kinds <= {".safetensors", ".json", ".txt", ".jinja", ".model"}


def test_the_snapshot_stays_shut_without_a_passing_validation(wheel):
    snapshot = SnapshotId(wheel.catalogue.pointer(f"preferences/preference_snapshot/{TURN}"))
    pairs = open_snapshot(wheel, snapshot, GENERAL)
    record = wheel.catalogue.validation(pairs.manifest.digest, "preference_pair")
    told = {"version": record.version, "rules": record.rules, "rows": record.rows}
    told |= {"contract": record.contract, "at": datetime.now(UTC)}
    wheel.catalogue.record_validation(record.digest, passed=False, **told)
    with pytest.raises(ContractError, match="failed their contract"):
        open_snapshot(wheel, snapshot, GENERAL)
    wheel.catalogue.record_validation(record.digest, passed=True, **told)
    assert open_snapshot(wheel, snapshot, GENERAL).pairs.equals(pairs.pairs)


def test_the_outcome_says_what_the_gate_decided(wheel):
    outcome = json.loads((wheel.root / "outcomes" / f"{TURN}.json").read_text())
    assert {finding["rule"] for finding in outcome["gate"]} >= {"win_rate", "validity", "diversity"}


def test_nothing_anyone_wrote_is_in_the_logs(wheel):
    prompts = wheel.derived.read(wheel.catalogue.pointer(f"artifacts/prompts/{TURN}"))
    log = "".join(f.read_text("utf-8", "replace") for f in wheel.root.glob("dagster/**/*.err"))
    assert not [text for text in prompts["text"].to_pylist() if text in log]


def test_whoever_looks_on_hears_of_every_step_while_it_runs(tmp_path):
    """Steps done only grow, a model is named while it trains, none is open at the end."""
    heard = []
    write_resolved(nano(), tmp_path / "e")
    turn_wheel(
        tmp_path / "e",
        turns=1,
        deliveries=None,
        say=lambda stage, **told: heard.append((stage, told)),
    )
    steps = [told for stage, told in heard if stage == "assets"]
    assert [told["done"] for told in steps] == sorted(told["done"] for told in steps)
    assert {"finetune__sft_policy", "reward_models__aspect_model"} <= {t["now"][0] for t in steps}
    assert steps[-1]["now"] == [""]
    assert steps[-1]["done"] <= steps[-1]["total"]
