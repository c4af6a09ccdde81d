"""Snapshots: the same work has the same id, and what was not validated stays shut."""

from datetime import timedelta

import pyarrow as pa
import pytest

from data_contracts.errors import ContractError, FlywheelError, SensitivityError
from data_contracts.labels import GENERAL, Label
from data_contracts.schemas import PREFERENCE_PAIR, SNAPSHOT
from pipelines.stores import open_snapshot, snapshot_manifest, write_snapshot

ACME = Label(frozenset({"acme"}))


def pairs(*ids):
    rows = [
        {
            "pair_id": pair_id,
            "prompt_id": "p",
            "chosen_id": "g1",
            "rejected_id": "g2",
            "aspect": "overall",
            "probability": 0.75,
            "target": 1.0,
            "weight": 0.5,
            "sources": ["intent"],
            "evidence": ["ev_1"],
            "split": "train",
        }
        for pair_id in ids
    ]
    return pa.Table.from_pylist(rows, schema=PREFERENCE_PAIR)


@pytest.fixture
def write(stores, now):
    stores.catalogue.register("events_digest", "events", label=GENERAL)
    stores.catalogue.register("acme_events", "events", label=ACME, label_epoch=4)

    def write_pairs(table=None, *, parents=("events_digest",), code="1", later=0):
        return write_snapshot(
            stores,
            pairs("x", "y") if table is None else table,
            parents=parents,
            card={"origin": "simulated", "dropped": {"too_late": 3}},
            configuration_digest="c",
            code_version=code,
            at=now + timedelta(days=later),
        )

    return write_pairs


def validate(stores, manifest, now, *, passed=True):
    stores.catalogue.record_validation(
        manifest.digest,
        contract="preference_pair",
        version="1",
        passed=passed,
        rules=["unique"],
        rows=manifest.pairs,
        at=now,
    )


def test_a_validated_snapshot_opens(stores, write, now):
    manifest = write()
    validate(stores, manifest, now)
    snapshot = open_snapshot(stores, manifest.snapshot_id, GENERAL)
    assert snapshot.manifest == manifest
    assert snapshot.pairs["pair_id"].to_pylist() == ["x", "y"]
    assert snapshot.manifest.card["dropped"] == {"too_late": 3}
    assert set(SNAPSHOT.names) <= set(manifest.__dataclass_fields__)


def test_a_snapshot_without_a_passing_validation_stays_shut(stores, write, now):
    manifest = write()
    with pytest.raises(ContractError, match="never validated"):
        open_snapshot(stores, manifest.snapshot_id, GENERAL)
    validate(stores, manifest, now)
    validate(stores, manifest, now, passed=False)
    with pytest.raises(ContractError, match="failed their contract"):
        open_snapshot(stores, manifest.snapshot_id, GENERAL)


def test_another_contracts_validation_does_not_open_it(stores, write, now):
    manifest = write()
    stores.catalogue.record_validation(
        manifest.digest, contract="event", version="1", passed=True, rules=[], rows=2, at=now
    )
    with pytest.raises(ContractError, match="never validated"):
        open_snapshot(stores, manifest.snapshot_id, GENERAL)


def test_the_same_work_is_the_same_snapshot(write, stores):
    first = write(pairs("x", "y"))
    assert write(pairs("y", "x"), later=9) == first
    assert write(code="2").snapshot_id != first.snapshot_id
    assert write(pairs("x")).snapshot_id != first.snapshot_id
    assert len(stores.catalogue.pointer_history(f"snapshot/{first.snapshot_id}")) == 1


def test_a_snapshot_carries_the_label_of_its_parents(stores, write, now):
    manifest = write(parents=["events_digest", "acme_events"])
    validate(stores, manifest, now)
    assert (manifest.label, manifest.label_epoch) == (("acme",), 4)
    assert open_snapshot(stores, manifest.snapshot_id, ACME).pairs.num_rows == 2
    for read in (open_snapshot, snapshot_manifest):
        with pytest.raises(SensitivityError, match="may not be read"):
            read(stores, manifest.snapshot_id, GENERAL)


def test_pairs_that_an_asset_registered_are_a_parent(stores, write):
    digest = stores.derived.write(pairs("x"), sort_by=["pair_id"]).digest
    stores.catalogue.register(digest, "preference_pairs", ["events_digest"])
    manifest = write(pairs("x"), parents=[digest])
    assert manifest.parents == (digest,)


def test_unlabelled_parents_are_denied(write):
    with pytest.raises(SensitivityError, match="no sensitivity label"):
        write(parents=["unknown"])
    with pytest.raises(SensitivityError, match="states no label"):
        write(parents=[])


def test_an_absent_or_damaged_snapshot_is_one_sentence(stores, write, now):
    with pytest.raises(FlywheelError, match="there is no snapshot"):
        open_snapshot(stores, "0" * 64, GENERAL)
    manifest = write()
    validate(stores, manifest, now)
    stores.derived.path(manifest.digest).write_bytes(b"noise")
    with pytest.raises(FlywheelError, match="is damaged"):
        open_snapshot(stores, manifest.snapshot_id, GENERAL)
