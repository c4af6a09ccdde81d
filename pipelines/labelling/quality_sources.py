"""Where the lead's figures come from: the ledger of a desk with people, else the stored answers."""

from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from annotation.gold import GOLD
from data_contracts.errors import FlywheelError
from data_contracts.schemas import ANNOTATION
from pipelines.labelling.gold import gold_of
from pipelines.labelling.ledger import open_ledger, projects_of, standing_of
from pipelines.labelling.quality_figures import Figures, quality_figures
from pipelines.labelling.sync import annotations_of
from pipelines.settings import read_resolved
from pipelines.stores import Stores, open_stores

_SEED: Final = 5  # of the bootstrap: the same answers, the same page


def figures_of_zone(root: Path, turn: str | None = None) -> Figures:
    """Return the figures of the zone's annotators, of *turn* or of every turn of the wheel.

    Raises:
        FlywheelError: there is no zone, or the turn has no answers and no assignments.
    """
    if not root.is_dir():
        raise FlywheelError(f"there is no zone at {root}; name its folder with --root")
    scope = "every turn of the wheel" if turn is None else turn
    rng = np.random.default_rng(_SEED)
    if has_desk(root):
        ledger = open_ledger(root)
        standing = standing_of(ledger, turn)
        answers = annotations_of(ledger, turn)
        if turn is not None and not standing:
            raise FlywheelError(f"nothing was given out for {turn}; check the turn's name")
        found = quality_figures(
            answers, gold=gold_of(ledger), standing=standing, scope=scope, rng=rng
        )
    else:
        found = quality_figures(_stored(open_stores(root), turn), scope=scope, rng=rng)
    return {**found, "simulated": _is_simulated(root)}


def gold_of_zone(root: Path) -> pa.Table:
    """Return what is known in the zone: rows of `annotation.gold.GOLD`."""
    known: pa.Table = gold_of(open_ledger(root)) if has_desk(root) else GOLD.empty_table()
    return known


def has_desk(root: Path) -> bool:
    """Say whether people answer in this zone."""
    return (root / "labelling" / "ledger.sqlite").is_file() and bool(projects_of(open_ledger(root)))


def _is_simulated(root: Path) -> bool:
    """Say whether the zone's annotators are programs: its settings say so."""
    try:
        return read_resolved(root).evidence == "simulated"
    except FlywheelError:
        return False  # a zone of people that no wheel has turned yet


def _stored(stores: Stores, turn: str | None) -> pa.Table:
    if "annotations" not in stores.append.names():
        rows: pa.Table = ANNOTATION.empty_table()
        return rows
    batches = None
    if turn is not None:
        batches = [b for b in stores.append.batches("annotations") if b.startswith(f"{turn}-")]
        if not batches:
            raise FlywheelError(f"no answers to {turn} are stored; check the turn's name")
    return stores.append.read("annotations", batches=batches)
