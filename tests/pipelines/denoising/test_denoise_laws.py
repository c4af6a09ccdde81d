"""Laws of de-noising: order, names, copies and sides change nothing; agreement never hurts."""

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_studio import studio

from data_contracts.schemas import ANNOTATION
from pipelines.denoising import DenoiseSettings, denoise
from pipelines.preferences.rating_model import Confusions, Ratings, rating_messages

ALL = DenoiseSettings(all_pairs=True)
few = settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
seeds = st.integers(0, 2**16)


def small(seed):
    return studio(prompts=5, users=8, shown=250, rated=0.5, golden=3, seed=seed)


def chances(made):
    """P(the smaller id is better) by pair."""
    columns = (made.pairs[name].to_pylist() for name in ("chosen_id", "rejected_id", "probability"))
    return {(min(c, r), max(c, r)): p if c < r else 1 - p for c, r, p in zip(*columns, strict=True)}


def assert_same(first, second, *, atol=1e-9):
    one, other = chances(first), chances(second)
    assert one.keys() == other.keys()
    np.testing.assert_allclose(list(one.values()), [other[key] for key in one], atol=atol)


def run(w, **changes):
    told = {"events": w.events, "generations": w.generations, "annotations": w.annotations}
    told |= changes
    return denoise(**told, gold=w.gold, settings=ALL)


@few
@given(seeds)
def test_row_order_changes_no_byte(seed):
    w, rng = small(seed), np.random.default_rng(seed)
    shuffled = {
        name: table.take(rng.permutation(table.num_rows))
        for name, table in (
            ("events", w.events), ("generations", w.generations), ("annotations", w.annotations),
        )
    }  # fmt: skip
    first, second = run(w), run(w, **shuffled)
    assert first.pairs.equals(second.pairs)
    assert first.users.equals(second.users)
    assert first.annotators.equals(second.annotators)
    assert first.figures == second.figures


@few
@given(seeds)
def test_a_batch_that_comes_twice_changes_nothing(seed):
    w = small(seed)
    again = run(
        w,
        events=pa.concat_tables([w.events, w.events.slice(0, 60)]),
        annotations=pa.concat_tables([w.annotations, w.annotations]),
    )
    assert_same(run(w), again, atol=0)


@few
@given(seeds)
def test_renaming_users_and_annotators_changes_nothing(seed):
    w = small(seed)

    def renamed(table, column):
        names = [None if n is None else n[::-1] + "z" for n in table[column].to_pylist()]
        return table.set_column(table.schema.get_field_index(column), column, pa.array(names))

    other = run(
        w, events=renamed(w.events, "user_id"), annotations=renamed(w.annotations, "annotator_id")
    )
    assert_same(run(w), other)


@few
@given(seeds)
def test_swapping_the_sides_of_a_comparison_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    rows = [
        {
            "annotation_id": f"n{k:03d}", "task_id": "k", "annotator_id": f"a{k % 3}",
            "kind": "comparison", "aspect": "overall", "value": float(rng.integers(-2, 3)),
            "generation_id": f"g{4 * p + int(i):04d}",
            "other_generation_id": f"g{4 * p + int(j):04d}",
        }
        for k, p in enumerate(rng.integers(0, 5, 40))
        for i, j in [rng.choice(4, 2, replace=False)]
    ]  # fmt: skip
    turned = [
        row
        | {
            "value": -row["value"],
            "generation_id": row["other_generation_id"],
            "other_generation_id": row["generation_id"],
        }
        for row in rows
    ]
    w = small(seed)
    tables = [pa.Table.from_pylist(each, schema=ANNOTATION) for each in (rows, turned)]
    first, second = (run(w, events=None, annotations=table) for table in tables)
    assert_same(first, second)


@given(st.integers(2, 6), st.integers(0, 4), seeds)
def test_one_more_who_agrees_and_beats_chance_never_lowers_confidence(classes, extra, seed):
    """With parameters fixed; each annotator names the class with more than a chance's share."""
    rng = np.random.default_rng(seed)
    right = rng.uniform(1 / classes + 0.01, 0.99, extra + 2)
    psi = np.stack(
        [
            np.full((classes, classes), (1 - p) / (classes - 1))
            + np.eye(classes) * (p - (1 - p) / (classes - 1))
            for p in right
        ]
    )
    label = int(rng.integers(0, classes))

    def belief(count):
        ratings = Ratings(
            item=np.zeros(count, np.int64), annotator=np.arange(count),
            label=np.full(count, label), levels=classes, items=1, annotators=len(right),
        )  # fmt: skip
        none = np.zeros((len(right), 3))
        logs = rating_messages(ratings, Confusions(psi=psi, types=none, evidence=none))[0]
        return float(np.exp(logs[label] - logs.max()) / np.exp(logs - logs.max()).sum())

    assert belief(extra + 2) >= belief(extra + 1) - 1e-12


def test_poor_tables_give_a_sensible_prior_and_no_nan():
    w = small(0)
    nothing = denoise(None, w.generations, None, settings=ALL)
    assert set(nothing.pairs["probability"].to_pylist()) == {0.5}
    assert not any(nothing.pairs["known"].to_pylist())
    one = w.annotations.slice(0, 1)
    ten_thousand = pa.concat_tables([one] * 10_000)
    ids = pa.array([f"n{k:05d}" for k in range(10_000)], pa.string())
    ten_thousand = ten_thousand.set_column(0, "annotation_id", ids)
    single = denoise(None, w.generations, one, settings=ALL)
    often = denoise(None, w.generations, ten_thousand, settings=ALL)
    assert_same(single, often, atol=0)
    value = w.annotations.schema.get_field_index("value")
    for values in (np.nan, 3.0, 99.0):  # not a number; one class only; off the scale
        flat = w.annotations.set_column(value, "value", pa.array([values] * w.annotations.num_rows))
        made = denoise(w.events, w.generations, flat, settings=ALL)
        probability = made.pairs["probability"].to_numpy()
        assert np.isfinite(probability).all()
        assert np.isfinite(made.users["mock_share"].to_numpy()).all()
