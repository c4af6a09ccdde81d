"""The doctor finds what is broken and says what to do."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from test_release import checkpoint

from data_contracts.labels import GENERAL
from data_contracts.schemas import PREFERENCE_PAIR
from pipelines.stores import Parent, open_stores, write_asset_table, write_snapshot

AT = datetime(2026, 1, 2, tzinfo=UTC)


def findings(answer):
    return {each["subject"]: each for each in answer.json["findings"]}


def test_a_sound_machine_without_a_zone_passes(flywheel, tmp_path):
    answer = flywheel("doctor", "--root", tmp_path / "none", "--json")
    found = findings(answer)
    assert answer.code == 0
    assert found["python"]["state"] == "ok"
    assert found["packages"]["state"] in ("ok", "note")
    assert found["zone"]["state"] == "note"


def test_a_sound_zone_passes(flywheel, root):
    stores = open_stores(root)
    policy = checkpoint(stores, "dpo", 1.0)
    flywheel("promote", policy, "--root", root, "--reason", "r")
    answer = flywheel("doctor", "--root", root, "--json")
    found = findings(answer)
    assert answer.code == 0
    assert found["checkpoints"]["says"].startswith("1 verified")
    assert policy[:12] in found["release"]["says"]


def test_a_damaged_checkpoint_is_found(flywheel, root):
    policy = checkpoint(open_stores(root), "dpo", 1.0)
    (root / "checkpoints" / policy / "model.safetensors").write_bytes(b"")
    answer = flywheel("doctor", "--root", root, "--json")
    assert answer.code == 1
    assert findings(answer)["checkpoints"]["state"] == "bad"


def test_a_release_whose_checkpoint_is_gone_is_found(flywheel, root):
    policy = checkpoint(open_stores(root), "dpo", 1.0)
    flywheel("promote", policy, "--root", root, "--reason", "r")
    (root / "checkpoints" / policy).rename(root / "elsewhere")
    answer = flywheel("doctor", "--root", root, "--json")
    assert answer.code == 1
    assert "is gone" in findings(answer)["release"]["says"]


def test_a_checkpoint_that_an_asset_stands_at_and_that_is_gone_is_found(flywheel, root):
    stores = open_stores(root)
    policy = checkpoint(stores, "dpo", 1.0)
    stores.catalogue.swap_pointer(
        "finetune/dpo_policy/turn-001", expected=None, new=policy, reason="r", by="t", at=AT
    )
    (root / "checkpoints" / policy).rename(root / "elsewhere")
    answer = flywheel("doctor", "--root", root, "--json")
    assert answer.code == 1
    assert "finetune/dpo_policy/turn-001 names" in findings(answer)["checkpoints"]["says"]


def test_a_catalogue_that_does_not_open_is_found(flywheel, root):
    open_stores(root)
    (root / "catalogue.sqlite").write_bytes(b"not a database" * 100)
    answer = flywheel("doctor", "--root", root, "--json")
    assert answer.code == 1
    assert findings(answer)["zone"]["state"] == "bad"


def test_folders_of_public_sets_are_listed(flywheel, tmp_path):
    (tmp_path / "sets" / "hh_rlhf").mkdir(parents=True)
    words = ("doctor", "--root", tmp_path / "none", "--json", "--sets")
    assert findings(flywheel(*words, tmp_path / "sets"))["public sets"]["says"] == "hh_rlhf"
    assert flywheel(*words, tmp_path / "gone").code == 1


@pytest.fixture
def zone(root):
    """A zone with a table and a validated snapshot that assets stand at."""
    stores = open_stores(root)
    stores.catalogue.register("source", "source", label=GENERAL)
    table = pa.table({"event_id": ["e"]})
    write_asset_table(stores, "traces/sessions", table, parents=["source"], by="me", at=AT)
    snapshot = write_snapshot(
        stores, PREFERENCE_PAIR.empty_table(), parents=[Parent("source")], card={},
        configuration_digest="c", code_version="1", at=AT,
    )  # fmt: skip
    stores.catalogue.record_validation(
        snapshot.digest, contract="preference_pair", version="1", passed=True, rules=[], rows=0,
        at=AT,
    )  # fmt: skip
    stores.catalogue.swap_pointer(
        "preferences/preference_snapshot/all", expected=None, new=snapshot.snapshot_id,
        reason="r", by="me", at=AT,
    )  # fmt: skip
    return stores


def test_tables_and_snapshots_that_assets_stand_at_are_read(flywheel, root, zone):
    answer = flywheel("doctor", "--root", root, "--json")
    assert answer.code == 0
    assert findings(answer)["tables"]["says"] == "2 tables and snapshots are whole"


def test_a_table_that_is_gone_is_found(flywheel, root, zone):
    digest = zone.catalogue.pointer("traces/sessions/all")
    zone.derived.path(digest).unlink()
    answer = flywheel("doctor", "--root", root, "--json")
    assert answer.code == 1
    assert "traces/sessions/all" in findings(answer)["tables"]["says"]
