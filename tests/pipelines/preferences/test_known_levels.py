"""What of the desk's gold a fit may clamp."""

import pyarrow as pa

from annotation.gold import GOLD
from pipelines.preferences.known_levels import known_levels
from pipelines.signals.drops import drop_counts


def gold(*rows):
    whole = {"aspect": "overall", "source": "file"}
    return pa.Table.from_pylist([whole | row for row in rows], schema=GOLD)


def test_levels_are_taken_pairs_and_what_was_settled_are_counted_strangers_passed_over():
    told = gold(
        {"generation_id": "g1", "value": 4.4},
        {"generation_id": "g2", "value": 0.2, "source": "lead"},
        {"generation_id": "g3", "value": 5.0, "source": "settled"},
        {"generation_id": "g1", "other_generation_id": "g2", "value": 2.0},
        {"generation_id": "x1", "other_generation_id": "g2", "value": 2.0},
        {"generation_id": "x1", "value": 3.0},
        {"generation_id": "x1", "other_generation_id": "x2", "value": 1.0},
    )
    levels, drops = known_levels(told, about=pa.array(["g1", "g2", "g3"]))
    assert levels.to_pylist() == [
        {"generation_id": "g1", "aspect": "overall", "value": 4.0},
        {"generation_id": "g2", "aspect": "overall", "value": 1.0},
    ]
    assert drop_counts(drops) == {"settled_gold": 1, "pair_gold": 2}


def test_no_gold_is_no_level():
    levels, drops = known_levels(GOLD.empty_table(), about=pa.array(["g1"]))
    assert (levels.num_rows, drops.num_rows) == (0, 0)
