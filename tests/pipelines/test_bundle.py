"""What a training may read: everything that the snapshot names is there, or it does not begin."""

import shutil

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from data_contracts.errors import FlywheelError
from data_contracts.ids import Digest, SnapshotId
from pipelines.bundle import SnapshotBundle
from pipelines.stores import open_stores

TURN = "turn-001"


@pytest.fixture
def opened(nano_wheel, tmp_path):
    """Open the turn's snapshot over its tables, one of them without the ids in *without*."""
    shutil.copytree(nano_wheel, tmp_path / "wheel")
    stores = open_stores(tmp_path / "wheel")
    snapshot, prompts, generations = (
        stores.catalogue.pointer(f"{asset}/{TURN}")
        for asset in ("preferences/preference_snapshot", "artifacts/prompts",
                      "artifacts/generations")
    )  # fmt: skip

    def shortened(digest, key, without):
        table = stores.derived.read(Digest(digest))
        kept = table.filter(pc.invert(pc.is_in(table[key], without)))
        assert kept.num_rows == table.num_rows - len(without)
        digest = stores.derived.write(kept, sort_by=[key]).digest
        stores.catalogue.register(digest, "table", [snapshot])
        return digest

    def bundle(table=None, without=None):
        told = {"prompts": prompts, "generations": generations}
        if table:
            told[table] = shortened(told[table], f"{table[:-1]}_id", without)
        return SnapshotBundle(stores, snapshot_id=SnapshotId(snapshot), **told)

    return bundle


@pytest.mark.parametrize(("table", "column"), [("prompts", "prompt_id"),
                                               ("generations", "rejected_id"),
                                               ("generations", "chosen_id")])  # fmt: skip
def test_what_the_table_lacks_is_one_sentence_that_names_the_first(opened, table, column):
    pairs = opened()._snapshot.pairs
    without = pc.unique(pairs[column].combine_chunks()).sort()[:2]
    said = f"2 {table} of the snapshot are not in its turn's table, first {without[0]}; materialise"
    with pytest.raises(FlywheelError, match=said):
        opened(table, without)


def test_what_no_pair_names_may_be_missing(opened):
    whole = opened()
    named = {*whole._snapshot.pairs["chosen_id"].to_pylist(),
             *whole._snapshot.pairs["rejected_id"].to_pylist()}  # fmt: skip
    unnamed = sorted(set(whole._media) - named)[:1]
    assert unnamed
    assert opened("generations", pa.array(unnamed)).digest == whole.digest
