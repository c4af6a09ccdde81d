"""Krippendorff's alpha and pairwise agreement."""

import csv
import os
from pathlib import Path

import krippendorff
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation import krippendorff_alpha, pairwise_agreement, rating_agreement, read_ratings
from data_contracts.errors import ContractError, ShapeError

DATA = Path(os.environ.get("FLYWHEEL_DATA", Path(__file__).parents[2] / "../shared/data"))


def ratings(rows, aspect="overall"):
    """Rows (generation, annotator, value) as annotations."""
    return pa.table(
        {
            "annotation_id": [f"n{n}" for n in range(len(rows))],
            "task_id": [f"k{g}" for g, _, _ in rows],
            "annotator_id": [str(a) for _, a, _ in rows],
            "kind": ["rating"] * len(rows),
            "generation_id": [str(g) for g, _, _ in rows],
            "aspect": [aspect] * len(rows),
            "value": [float(v) for _, _, v in rows],
        }
    )


def test_alpha_by_hand():
    """Units 11, 22, 12: Do = 2/6; margins 3 and 3: De = 18/30 = .6; alpha = 1 - .3333/.6."""
    counts = np.array([[2.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    assert krippendorff_alpha(counts, np.array([1.0, 2.0]), level="nominal") == pytest.approx(4 / 9)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["nominal", "ordinal", "interval"]))
def test_alpha_equals_the_krippendorff_package(seed, level):
    rng = np.random.default_rng(seed)
    values = np.sort(rng.choice(20, 4, replace=False)).astype(float)
    counts = rng.integers(0, 3, (12, 4)).astype(float)
    counts[0], counts[1] = [2, 0, 0, 1], [0, 1, 1, 0]
    expected = krippendorff.alpha(
        value_counts=counts, value_domain=values.tolist(), level_of_measurement=level
    )
    assert krippendorff_alpha(counts, values, level=level) == pytest.approx(expected, abs=1e-9)


def test_alpha_is_undefined_when_all_answers_are_equal():
    assert krippendorff_alpha(np.array([[3.0], [2.0]]), np.array([1.0]), level="ordinal") is None


def test_alpha_refuses_values_that_do_not_fit():
    with pytest.raises(ShapeError, match="3 values"):
        krippendorff_alpha(np.ones((2, 2)), np.arange(3.0), level="nominal")


def test_row_order_does_not_matter():
    rng = np.random.default_rng(3)
    rows = [(f"g{n % 20}", f"a{n // 20}", rng.integers(1, 6)) for n in range(60)]
    forward = rating_agreement(ratings(rows), aspect="overall", rng=np.random.default_rng(0))
    table = ratings(rows).take(rng.permutation(60))
    assert rating_agreement(table, aspect="overall", rng=np.random.default_rng(0)) == forward


def test_the_interval_holds_the_estimate():
    rng = np.random.default_rng(5)
    truth = rng.integers(1, 6, 80)
    rows = [(n, a, np.clip(truth[n] + rng.integers(-1, 2), 1, 5)) for n in range(80) for a in "xyz"]
    found = rating_agreement(ratings(rows), aspect="overall", rng=np.random.default_rng(0))
    assert 0 < found.low < found.alpha < found.high < 1
    assert (found.answers, found.generations, found.annotators) == (240, 80, 3)


def test_no_answers_give_no_alpha():
    found = rating_agreement(ratings([]), aspect="overall", rng=np.random.default_rng(0))
    assert found.alpha is None
    assert found.answers == 0


def test_a_missing_column_is_named():
    with pytest.raises(ContractError, match="generation_id"):
        rating_agreement(
            ratings([]).drop_columns(["generation_id"]), aspect="overall",
            rng=np.random.default_rng(0),
        )  # fmt: skip


def test_kappa_by_hand():
    """x: 1 1 2 2, y: 1 2 2 2: agreement 3/4, chance (2*1 + 2*3)/16 = 1/2, kappa 1/2."""
    rows = [*zip("abcd", "xxxx", (1, 1, 2, 2), strict=True),
            *zip("abcd", "yyyy", (1, 2, 2, 2), strict=True)]  # fmt: skip
    (row,) = pairwise_agreement(read_ratings(ratings(rows), aspect="overall")).to_pylist()
    assert row["shared"] == 4
    assert row["agreement"] == pytest.approx(0.75)
    assert row["kappa"] == pytest.approx(0.5)


def test_two_who_always_say_the_same_one_thing_have_no_kappa():
    rows = [(g, a, 1) for g in "abc" for a in "xy"]
    (row,) = pairwise_agreement(read_ratings(ratings(rows), aspect="overall")).to_pylist()
    assert row["kappa"] is None


@pytest.mark.skipif(not DATA.exists(), reason=f"no human ratings at {DATA}")
def test_dsg_answers_agree_as_published():
    with (DATA / "dsg_tifa160" / "tifa160-likert-anns.csv").open() as file:
        rows = [
            (f"{r['t2i_model']}/{r['item_id']}", r["worker_id"], r["answer"])
            for r in csv.DictReader(file)
        ]
    found = rating_agreement(
        ratings(rows), aspect="overall", resamples=200, rng=np.random.default_rng(0)
    )
    assert len(rows) == 3995
    assert found.annotators == 5
    assert found.alpha == pytest.approx(0.685, abs=0.005)
