"""What a checkpoint's lineage names: also tables that were made again after the snapshot."""

import shutil
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from safetensors.numpy import save_file

from data_contracts.ids import Digest
from data_contracts.labels import GENERAL
from pipelines.comparing.standing import label_faults
from pipelines.post_training import resolve_job
from pipelines.settings import read_resolved
from pipelines.stores import open_stores, write_asset_table
from pipelines.training import TRAINERS, run_job
from reward_models.watch import Watch

TURN = "turn-001"


def test_a_policy_rests_on_the_tables_that_its_training_read(nano_wheel, tmp_path, monkeypatch):
    """Generations are delivered again, under another label epoch, and the snapshot stays."""
    root = tmp_path / "a"
    shutil.copytree(nano_wheel, root)
    stores = open_stores(root)
    asset = "annotation/all_generations"
    rows = stores.derived.read(Digest(stores.catalogue.pointer(f"{asset}/{TURN}")))
    at = rows.schema.get_field_index("seed")
    changed = rows.set_column(at, rows.schema.field(at), pa.nulls(rows.num_rows, pa.int64()))
    stores.catalogue.register("again", "delivery", label=GENERAL)
    write_asset_table(
        stores, asset, changed, parents=["again"], by="test", at=datetime(2026, 1, 2, tzinfo=UTC),
        partition=TURN,
    )  # fmt: skip
    monkeypatch.setitem(
        TRAINERS, "sft",
        lambda *_: (lambda folder: save_file({"w": np.zeros(1)}, folder / "m.safetensors"), [], {}),
    )  # fmt: skip
    job = resolve_job(stores, read_resolved(root), kind="sft", turn=TURN, told={})
    made = run_job(job, Watch())["checkpoint"]
    rests_on = stores.catalogue.ancestry([made])
    assert {job.prompts, job.generations, job.snapshot_id, "again"} <= set(rests_on)
    assert not label_faults(stores, made)
    stores.catalogue.register("again", "delivery", label=GENERAL, label_epoch=3)
    assert any("delivery again was reclassified" in fault for fault in label_faults(stores, made))
