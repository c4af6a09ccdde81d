"""Answers that cannot be are refused by row, with a reason."""

import numpy as np
import pyarrow as pa
import pytest

from annotation.refusals import require_possible, screen_answers
from data_contracts.errors import ContractError

RATING = {
    "annotator_id": "a1", "kind": "rating", "generation_id": "g1", "other_generation_id": None,
    "aspect": "overall", "value": 3.0, "scale": None, "shown_left": None, "lead_time_s": 2.0,
}  # fmt: skip
COMPARISON = RATING | {"kind": "comparison", "other_generation_id": "g2", "value": 1.0}


def table(*rows):
    return pa.Table.from_pylist([{"annotation_id": f"n{n}", **row} for n, row in enumerate(rows)])


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (RATING | {"value": 6.0}, "rating is off its scale"),
        (RATING | {"value": 0.0}, "rating is off its scale"),
        (RATING | {"value": 4.0, "scale": "1..3"}, "rating is off its scale"),
        (RATING | {"value": float("nan")}, "value is missing or not a number"),
        (RATING | {"value": None}, "value is missing or not a number"),
        (RATING | {"value": float("inf")}, "value is missing or not a number"),
        (RATING | {"lead_time_s": -1.0}, "lead_time_s is negative"),
        (COMPARISON | {"value": 0.5}, "comparison is not one of -2 .. 2"),
        (COMPARISON | {"value": 3.0}, "comparison is not one of -2 .. 2"),
        (COMPARISON | {"value": float("nan")}, "value is missing or not a number"),
        (COMPARISON | {"other_generation_id": "g1"}, "compared with itself"),
        (COMPARISON | {"other_generation_id": None}, "rival missing"),
        (COMPARISON | {"shown_left": "g9"}, "shown_left is neither of the two"),
        (RATING | {"value": 900.0, "scale": "0-10"}, "rating is off its scale"),
        (RATING | {"aspect": "Overall"}, "aspect is not known"),
        (COMPARISON | {"aspect": "beauty"}, "aspect is not known"),
        (RATING | {"generation_id": "g9"}, "generation_id is not known"),
        (COMPARISON | {"other_generation_id": "g9"}, "other_generation_id is not known"),
    ],
)
def test_what_cannot_be_is_refused_and_the_rest_stays(row, reason):
    found = screen_answers(table(RATING, row, COMPARISON), generation_ids={"g1", "g2"})
    assert found.refused.to_pylist() == [{"row": 1, "annotation_id": "n1", "reason": reason}]
    assert found.accepted["annotation_id"].to_pylist() == ["n0", "n2"]


@pytest.mark.parametrize(
    "row",
    [
        RATING,
        COMPARISON,
        COMPARISON | {"value": None},
        COMPARISON | {"value": 0.0, "shown_left": "g2"},
        RATING | {"value": 0.5, "scale": "0..1"},
        RATING | {"value": 80.0, "scale": "percentile"},
        RATING | {"value": 7.0, "scale": "1 to 7"},
        RATING | {"aspect": None},
        RATING | {"kind": "comment", "value": None},
        RATING | {"kind": "comment", "value": None, "aspect": "beauty"},
        RATING | {"annotator_id": None, "lead_time_s": None},
    ],
)
def test_what_can_be_is_accepted(row):
    require_possible(table(row))


def test_one_id_for_two_answers_refuses_both_but_a_repeat_is_fine():
    same, other = table(RATING), table(RATING | {"value": 4.0})
    found = screen_answers(pa.concat_tables([same, other]))
    assert found.refused["row"].to_pylist() == [0, 1]
    assert screen_answers(pa.concat_tables([same, same])).refused.num_rows == 0


def test_the_error_names_rows_and_never_what_was_said():
    rows = [RATING | {"value": 9.0}] * 25
    with pytest.raises(ContractError) as refusal:
        require_possible(table(RATING, *rows))
    text = str(refusal.value)
    assert text.startswith("annotations: 25 of 26 rows refused\n  row 1 (annotation n1): rating")
    assert text.endswith("and 5 more")


def test_an_empty_table_and_a_missing_column():
    assert screen_answers(table(RATING).slice(0, 0)).refused.num_rows == 0
    with pytest.raises(ContractError, match="kind missing"):
        screen_answers(table(RATING).drop_columns(["kind"]))
    few = table(RATING).select(["annotation_id", "kind", "generation_id", "value"])
    assert screen_answers(few).accepted.num_rows == 1
    assert np.all(screen_answers(few).accepted["value"].to_numpy() == 3.0)
