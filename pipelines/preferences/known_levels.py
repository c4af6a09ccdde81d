"""Known levels: what the desk's gold says of generations, in the form that a fit takes."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.aspects import ASPECT_TABLE
from pipelines.signals.drops import drops_table


def known_levels(gold: pa.Table, *, about: pa.Array) -> tuple[pa.Table, pa.Table]:
    """Return generation_id, aspect, value of the ratings among *gold*, and what was left out.

    A fit clamps the levels of single generations. Which of a pair is better it cannot be told
    for sure (pair_gold), and what annotators settled among themselves it must not be told
    (settled_gold): it reads their answers already, and would hear them twice.

    Args:
        gold: rows of `annotation.gold.GOLD`; a value between two levels is rounded.
        about: generations of this fit; what is known of others alone is passed over uncounted.
    """
    here = pc.or_(
        pc.is_in(gold["generation_id"], value_set=about),
        pc.is_in(gold["other_generation_id"], value_set=about, skip_nulls=True),
    )
    mine = gold.filter(here)
    settled = pc.fill_null(pc.equal(mine["source"], "settled"), False)
    pair = pc.is_valid(mine["other_generation_id"])
    drops = {
        "settled_gold": np.sum(settled.to_numpy()),
        "pair_gold": np.sum(pc.and_(pair, pc.invert(settled)).to_numpy()),
    }
    rated = mine.filter(pc.invert(pc.or_(pair, settled)))
    most = {aspect.name: float(aspect.levels) for aspect in ASPECT_TABLE}
    tops = pa.array([most.get(name) for name in rated["aspect"].to_pylist()], pa.float64())
    value = pc.min_element_wise(pc.max_element_wise(pc.round(rated["value"]), 1.0), tops)
    levels = pa.table(
        {"generation_id": rated["generation_id"], "aspect": rated["aspect"], "value": value}
    )
    return levels, drops_table("gold", {name: int(rows) for name, rows in drops.items()})
