"""Whose answers are read, and what pairs follow from a stated standard error."""

import pandas as pd
import pyarrow as pa
import pytest
from scipy.stats import norm

from data_contracts.schemas import ANNOTATION
from pipelines.importing.judging import agreement_figures
from pipelines.importing.machines import machine_figures
from pipelines.importing.measured import measured_pairs
from pipelines.importing.questions import fitted_answers
from pipelines.intake.importers import STATED_ERROR
from pipelines.preferences import PairSettings, gather_evidence


def answer(n, kind, first, value, *, who="ann", other=None, origin="import:set", **more):
    return {
        "annotation_id": f"an{n:02}", "task_id": f"t{n}", "annotator_id": who, "kind": kind,
        "generation_id": first, "other_generation_id": other, "aspect": "overall",
        "value": value, "scale": "1..5", "origin": origin, **more,
    }  # fmt: skip


def table(*rows):
    return pa.Table.from_pylist(list(rows), schema=ANNOTATION)


def test_pairs_follow_people_where_there_are_any_and_never_gold():
    person = answer(0, "comparison", "a", 2.0, other="b")
    machine = answer(1, "comparison", "a", -2.0, other="b", origin="import:set:machine")
    gold = answer(2, "comparison", "a", 2.0, other="b", origin="import:set:gold")
    for rows, ids, by in (
        ((person, machine, gold), ["an00"], "people"),
        ((machine, gold), ["an01"], "machine"),
    ):
        found, whose = fitted_answers(table(*rows))
        assert (found["annotation_id"].to_pylist(), whose) == (ids, by)


def test_an_edit_says_that_the_edited_version_is_better():
    found, _ = fitted_answers(table(answer(0, "edit", "before", None, other="after")))
    assert found.select(["kind", "generation_id", "value"]).to_pylist() == [
        {"kind": "comparison", "generation_id": "before", "value": -2.0}
    ]


def test_comparisons_agree_whichever_is_named_first():
    """Two pairs, each compared alike by two, once the other way round: alpha is 1."""
    rows = [
        answer(0, "comparison", "a", 2.0, other="b", who="x"),
        answer(1, "comparison", "b", -2.0, other="a", who="y"),
        answer(2, "comparison", "c", -1.0, other="d", who="x"),
        answer(3, "comparison", "d", 1.0, other="c", who="y"),
    ]
    [found] = agreement_figures(table(*rows), resamples=20, seed=1)
    assert (found["alpha"], found["same"], found["annotators"]) == (1.0, 1.0, 2)


def test_unnamed_answers_to_the_same_are_different_people():
    rows = [answer(n, "rating", "a", 4.0 + n % 2, who=None) for n in range(4)]
    rows += [answer(n, "rating", "b", 1.0, who=None) for n in range(4, 7)]
    [found] = agreement_figures(table(*rows), resamples=20, seed=1)
    assert (found["answers"], found["annotators"], found["generations"]) == (7, 0, 2)
    assert found["same"] == pytest.approx((2 / 6 + 1) / 2)


def test_a_machine_is_compared_with_each_vote():
    """Of three votes on ab two say a; of one on cd it says d: (2/3 + 0) / 2."""
    rows = [answer(n, "comparison", "a", v, other="b", who=f"w{n}")
            for n, v in enumerate((2.0, 2.0, -2.0))]  # fmt: skip
    rows.append(answer(3, "comparison", "c", -2.0, other="d"))
    rows += [
        answer(4 + n, "comparison", first, 2.0, other=other, who="machine:M",
               origin="import:set:machine")
        for n, (first, other) in enumerate((("a", "b"), ("c", "d")))
    ]  # fmt: skip
    found = machine_figures(table(*rows), None, resamples=20, seed=1)
    [judge] = found["judges"]
    assert (judge["judge"], judge["pairs"], judge["verdicts"]) == ("M", 2, 2)
    assert judge["mean"] == pytest.approx((2 / 3 + 0) / 2)


def test_a_stated_error_says_how_sure_a_pair_is():
    """3.0 +- .3 against 2.0 +- .4 is two errors apart; 2.1 against 2.0 is undecided."""
    values = {"g1": (3.0, 0.3), "g2": (2.0, 0.4), "g3": (2.1, 0.5)}
    rows = [answer(n, "rating", g, v, who=None) for n, (g, (v, _)) in enumerate(values.items())]
    errors = pa.table(
        {
            "annotation_id": ["an00", "an01", "an02"],
            "standard_error": [error for _, error in values.values()],
            "raters": [21] * 3,
        },
        schema=STATED_ERROR,
    )
    made = pa.table({"generation_id": list(values), "prompt_id": ["p"] * 3})
    prompts = pa.table({"prompt_id": ["p"], "text": ["a disc"]})
    found = measured_pairs(
        table(*rows), errors, prompts, made, gather_evidence(None, table(*rows)),
        settings=PairSettings(),
    )  # fmt: skip
    pairs = pd.DataFrame(found.table.to_pylist()).set_index(["chosen_id", "rejected_id"])
    assert set(pairs.index) == {("g1", "g2"), ("g1", "g3")}
    assert pairs.loc[("g1", "g2"), "probability"] == pytest.approx(norm.cdf(2.0))
    assert sorted(pairs.loc[("g1", "g2"), "evidence"]) == ["an00", "an01"]
    assert found.drops.to_pylist() == [{"stage": "preferences", "reason": "undecided", "rows": 1}]
