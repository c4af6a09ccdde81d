"""backbone: the policy released last; every turn of the wheel starts from it."""

from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Final

import dagster as dg

from data_contracts.ids import CheckpointId
from data_contracts.labels import GENERAL
from pipelines.assets.turns import TURNS
from pipelines.code_version import code_version
from pipelines.resources import Wheel
from pipelines.stores import CheckpointFields, Stores

RELEASE: Final = "policy"


def shipped_checkpoint() -> Path:
    """Return the folder of the tiny base checkpoint that ships with the house."""
    return Path(str(files("backbone") / "tiny"))


def first_release(stores: Stores) -> CheckpointId:
    """Return the policy released last; a wheel that never turned releases the shipped one."""
    released = stores.catalogue.release(RELEASE)
    if released is not None:
        return released
    fields = CheckpointFields(
        kind="backbone",
        parents=(),
        label=(),
        label_epoch=0,
        code_version="shipped",
        configuration_digest="shipped",
        modalities=("image", "text", "video"),
    )
    checkpoint = stores.checkpoints.adopt(shipped_checkpoint(), fields)
    stores.catalogue.register(checkpoint, "checkpoint", label=GENERAL)
    return stores.catalogue.promote(
        RELEASE, checkpoint, reason="shipped base model", by="first start", at=datetime.now(UTC)
    )


def backbone_pointer(turn: str) -> str:
    """Return the pointer to the policy that *turn* starts from."""
    return f"backbone/backbone/{turn}"


@dg.asset(key_prefix="backbone", group_name="backbone", partitions_def=TURNS)
def backbone(context: dg.AssetExecutionContext, wheel: Wheel) -> dg.MaterializeResult:
    """The policy released last, pinned for this turn of the wheel."""
    stores, pointer = wheel.stores, backbone_pointer(context.partition_key)
    # Pinned once: training this turn again must start where it started.
    checkpoint = stores.catalogue.pointer(pointer)
    if checkpoint is None:
        checkpoint = first_release(stores)
        stores.catalogue.swap_pointer(
            pointer,
            expected=None,
            new=checkpoint,
            reason="released before this turn",
            by=f"run {context.run_id}",
            at=datetime.now(UTC),
        )
    manifest = stores.checkpoints.verify(CheckpointId(checkpoint))
    return dg.MaterializeResult(
        metadata={
            "checkpoint": checkpoint,
            "kind": manifest.kind,
            "code_version": code_version(),
        }
    )
