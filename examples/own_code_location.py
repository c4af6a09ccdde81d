"""A Dagster code location of one's own around the wheel: what each turn's pairs are about.

    FLYWHEEL_ROOT=.flywheel/demo/ours-7 dagster dev -f examples/own_code_location.py

The wheel's definitions are merged, not copied. The new asset takes a table of the wheel as input
and returns one; stored by `tables`, it gets a digest, its parents in the lineage, and the
sensitivity label of what it was made from, as every table of the wheel does.
"""

import os
from pathlib import Path

import dagster as dg
import pyarrow as pa

from pipelines.assets.turns import TURNS
from pipelines.definitions import build_definitions


@dg.asset(
    key_prefix="letters",
    group_name="letters",
    partitions_def=TURNS,
    ins={"pairs": dg.AssetIn(["preferences", "preference_pairs"])},
    io_manager_key="tables",
    kinds={"parquet"},
)
def pairs_by_aspect(pairs: pa.Table) -> dg.Output[pa.Table]:
    """Count each aspect's pairs, and how sure they are on average."""
    found = pairs.group_by("aspect").aggregate([("pair_id", "count"), ("probability", "mean")])
    return dg.Output(found, metadata={"pairs": pairs.num_rows})


defs = dg.Definitions.merge(
    build_definitions(Path(os.environ.get("FLYWHEEL_ROOT", ".flywheel/demo/ours-7"))),
    dg.Definitions(assets=[pairs_by_aspect]),
)
