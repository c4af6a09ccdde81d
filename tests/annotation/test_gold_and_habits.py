"""Gold, confusion, pace, anchoring and weeks: each worked by hand or found where it was put."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest
from answered import START, compared, rated, table

from annotation.concurrence import share_interval
from annotation.confusion import ANNOTATOR_CONFUSION, annotator_confusion
from annotation.gold import GOLD, GOLD_ACCURACY, checked_gold, gold_accuracy
from annotation.quality import annotator_quality
from annotation.weeks import ANNOTATOR_WEEKS, annotator_weeks
from data_contracts.errors import ContractError
from data_contracts.schemas import ANNOTATION


def known(*rows):
    names = [field.name for field in GOLD][:4]
    named = [dict(zip(names, row, strict=True)) for row in rows]
    return checked_gold(pa.Table.from_pylist(named, schema=pa.schema(list(GOLD)[:4])))


FIRST_BETTER = known(*((f"g{n}a", f"g{n}b", "overall", 1.0) for n in range(400)))


def of(rows, gold=None):
    found = annotator_quality(table(rows), gold=gold)
    return {row["annotator_id"]: row for row in found.to_pylist()}


def test_gold_worked_by_hand():
    """x is right on pair 0 (written turned), calls pair 1 a tie and cannot judge pair 2: 1 of 3.
    One rating is a level off and right, the other two levels: lean is (1 + 2) / 2. What was not
    asked as gold does not count, whatever is known of it."""
    gold = known(("g0b", "g0a", "overall", -1.0), ("g1a", "g1b", "overall", 2.0),
                 ("g2a", "g2b", "overall", 1.0), ("p", None, "aesthetics", 3.0),
                 ("q", None, "aesthetics", 1.0))  # fmt: skip
    asked = {"is_gold": True}
    rows = [compared("x", 0, 2, turned=True, **asked), compared("x", 1, 0, **asked),
            compared("x", 2, None, **asked), compared("y", 0, -1, **asked),
            compared("y", 1, 1), rated("y", "p", 4, **asked),
            rated("y", "q", 3, **asked)]  # fmt: skip
    found = gold_accuracy(table(rows), gold)
    assert found.schema == GOLD_ACCURACY
    told = [(r["annotator_id"], r["kind"], r["answers"], r["right"], r["lean"])
            for r in found.to_pylist()]  # fmt: skip
    assert told == [("x", "comparison", 3, 1, None), ("y", "comparison", 1, 0, None),
                    ("y", "rating", 2, 1, 1.5)]  # fmt: skip
    low, high = share_interval(np.array([1 / 3]), np.array([3]))
    assert found["low"][0].as_py() == pytest.approx(low[0])
    assert found["high"][0].as_py() == pytest.approx(high[0])
    assert of(rows, gold)["x"]["gold"] == 3


def test_gold_that_nobody_was_asked_says_nothing():
    rows = [compared("x", 0, 1)]
    assert gold_accuracy(table(rows), FIRST_BETTER).num_rows == 0
    assert of(rows, FIRST_BETTER)["x"]["gold_right"] is None
    assert gold_accuracy(ANNOTATION.empty_table(), FIRST_BETTER).num_rows == 0


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"generation_id": "g", "value": 1.0}], "column aspect missing"),
        ([{"generation_id": "g", "aspect": "overall", "value": None}], "row 0 lacks"),
        ([{"generation_id": "g", "aspect": "overall", "value": float("nan")}], "row 0 lacks"),
        ([{"generation_id": "g", "other_generation_id": "g", "aspect": "overall", "value": 1.0}],
         "compares a generation with itself"),
        ([{"generation_id": "a", "other_generation_id": "b", "aspect": "overall", "value": 1.0},
          {"generation_id": "b", "other_generation_id": "a", "aspect": "overall", "value": 1.0}],
         "1 questions are answered twice"),
    ],
)  # fmt: skip
def test_gold_that_contradicts_itself_is_refused_in_one_sentence(rows, says):
    with pytest.raises(ContractError, match=says) as refused:
        checked_gold(pa.Table.from_pylist(rows))
    assert "\n" not in str(refused.value)


def cells(rows, gold=None):
    found = annotator_confusion(table(rows), gold=gold)
    assert found.schema == ANNOTATOR_CONFUSION
    return {(r["annotator_id"], r["against"], r["truth"], r["said"]): r["answers"]
            for r in found.to_pylist()}  # fmt: skip


def test_confusion_is_told_by_the_side_of_the_screen():
    """Of pair 0, x and y prefer a, z prefers b. x saw a on the left: the others (one each way) are
    split and say nothing. z saw a on the right: where the others chose right, z said left."""
    rows = [compared("x", 0, 1), compared("y", 0, 2, turned=True, left=False),
            compared("z", 0, -1, left=False)]  # fmt: skip
    assert cells(rows) == {("z", "others", "right", "left"): 1}
    rows.append(compared("w", 0, None))
    assert cells(rows)["w", "others", "left", "cannot judge"] == 1
    gold = [{**row, "is_gold": True} for row in rows]
    against = {key: n for key, n in cells(gold, FIRST_BETTER).items() if key[1] == "gold"}
    assert against == {
        ("x", "gold", "left", "left"): 1, ("y", "gold", "right", "right"): 1,
        ("z", "gold", "right", "left"): 1, ("w", "gold", "left", "cannot judge"): 1,
    }  # fmt: skip


def test_confusion_does_not_hang_on_how_an_answer_is_written():
    rng = np.random.default_rng(5)
    said = [(who, pair, int(rng.integers(-2, 3)), bool(rng.integers(2)))
            for who in "wxyz" for pair in range(60)]  # fmt: skip
    plain, turned = (
        [compared(w, p, v, left=s, turned=flip and p % 2 == 0, is_gold=True) for w, p, v, s in said]
        for flip in (False, True)
    )
    assert cells(plain, FIRST_BETTER) == cells(turned, FIRST_BETTER)


def test_an_answer_takes_its_time_once_however_many_aspects_it_judges():
    """Twelve answers of 8 s by x, each of three aspects; y takes 1 s: an eighth of everybody's."""
    rows = [
        compared("x", pair, 1, at=n, aspect=aspect)
        for pair in range(12)
        for n, aspect in enumerate(("overall", "aesthetics", "safety"))
    ]
    rows += [compared("y", pair, 1, seconds=1.0) for pair in range(8)]
    found = of(rows)
    assert (found["x"]["median_s"], found["x"]["pace"], found["x"]["hasty"]) == (8.0, 1.0, 0.0)
    assert (found["y"]["pace"], found["y"]["pace_high"], found["y"]["hasty"]) == (0.125, 0.125, 1.0)


def test_who_takes_a_break_is_not_slow_and_who_is_slow_is():
    rng = np.random.default_rng(2)
    rows = []
    for pair in range(60):
        for who, usual in (("a", 8.0), ("b", 9.0), ("breaks", 8.0), ("slow", 40.0)):
            seconds = usual * float(rng.lognormal(0.0, 0.3))
            rest = 3600.0 if who == "breaks" and pair % 20 == 0 else 0.0
            rows.append(compared(who, pair, 1, seconds=seconds + rest))
    found = of(rows)
    assert found["slow"]["pace_low"] > 2
    assert 0.6 < found["breaks"]["pace"] < 1.3


def test_who_follows_predictions_is_told_from_who_does_not():
    """Half of the questions come with a prediction that is wrong; one keeps most of them."""
    rng = np.random.default_rng(11)
    rows = []
    for pair in range(300):
        truth = int(rng.choice([-1, 1]))
        for who in ("a", "b", "c", "follows"):
            own = truth if rng.random() < 0.9 else -truth
            keeps = who == "follows" and pair % 2 == 0 and rng.random() < 0.7
            shown = pair % 2 == 0 and who in ("follows", "c")
            said = -truth if keeps else own
            origin = "manual"
            if shown:
                origin = "prediction" if said == -truth else "prediction-changed"
            rows.append(compared(who, pair, said, at=pair, origin=origin))
    found = of(rows)
    assert found["follows"]["anchored_low"] > 0.3
    assert found["follows"]["kept_low"] > found["c"]["kept_high"]
    assert (found["a"]["predicted"], found["a"]["kept"], found["a"]["anchored"]) == (0, None, None)


def test_weeks_begin_on_monday_and_hold_their_own_answers():
    """x answers pair 0 in the first week and pair 1 in the second, as y does: agreement 1 and 0."""
    second = 7 * 24 * 3600
    rows = [compared("x", 0, 1, is_gold=True), compared("y", 0, 1, at=second - 1),
            compared("x", 1, 1, at=second, seconds=4.0),
            compared("y", 1, -1, at=second + 5)]  # fmt: skip
    found = annotator_weeks(table(rows), gold=FIRST_BETTER)
    assert found.schema == ANNOTATOR_WEEKS
    told = [(r["annotator_id"], r["week"], r["agrees"], r["gold"], r["median_s"])
            for r in found.to_pylist()]  # fmt: skip
    one, two = date(2026, 1, 5), date(2026, 1, 12)
    assert told == [("x", one, 1.0, 1, 8.0), ("x", two, 0.0, 0, 4.0),
                    ("y", one, 1.0, 0, 8.0), ("y", two, 0.0, 0, 8.0)]  # fmt: skip


def test_who_gets_worse_over_weeks_has_a_falling_trend():
    rng = np.random.default_rng(4)
    rows = []
    for pair in range(400):
        truth, week = int(rng.choice([-1, 1])), pair // 80
        for who in ("a", "b", "c", "tires"):
            wrong = 0.1 + (0.1 * week if who == "tires" else 0.0)
            said = -truth if rng.random() < wrong else truth
            rows.append(compared(who, pair, said, at=pair * 7 * 24 * 3600 // 80))
    assert rows[-1]["updated_at"] - START > timedelta(weeks=4)
    found = of(rows)
    assert found["tires"]["trend_high"] < 0 < found["a"]["trend_high"]
    one_day = [{**row, "updated_at": START} for row in rows]
    assert of(one_day)["tires"]["trend"] is None


def test_no_answers_have_no_weeks_and_no_confusion():
    nothing = ANNOTATION.empty_table()
    assert annotator_weeks(nothing, gold=FIRST_BETTER).equals(ANNOTATOR_WEEKS.empty_table())
    assert annotator_confusion(nothing, gold=FIRST_BETTER).num_rows == 0
