"""Laws of de-noising: order, names, copies and sides change nothing; agreement never hurts."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_studio import studio

from data_contracts.schemas import ANNOTATION
from pipelines.denoising import DenoiseSettings, denoise
from pipelines.denoising.page import json_text
from pipelines.preferences.comparison_model import (
    WIN,
    Comparisons,
    Judges,
    comparison_messages,
    rao_kupper,
)
from pipelines.preferences.rating_model import Confusions, Ratings, rating_messages
from pipelines.preferences.siblings import better_chance
from pipelines.signals.drops import drop_counts

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
def test_renaming_generations_and_prompts_renames_the_answer(seed):
    """With the priors fixed: which half of the generations judges them goes by their names."""
    w, rng = small(seed), np.random.default_rng(seed)
    ids = w.generations["generation_id"].to_pylist()
    name = dict(zip(ids, rng.permutation(ids).tolist(), strict=True))
    prompts = sorted(set(w.generations["prompt_id"].to_pylist()))
    name |= dict(zip(prompts, rng.permutation(prompts).tolist(), strict=True))

    def renamed(table, *columns):
        for column in columns:
            at = table.schema.get_field_index(column)
            names = [name[n] for n in table[column].to_pylist()]
            table = table.set_column(at, column, pa.array(names, pa.string()))
        return table

    fixed = DenoiseSettings(all_pairs=True, intent=replace(ALL.intent, adapt=False, anchor=False))
    first = denoise(w.events, w.generations, w.annotations, gold=w.gold, settings=fixed)
    other = denoise(
        renamed(w.events, "generation_id"),
        renamed(w.generations, "generation_id", "prompt_id"),
        renamed(w.annotations, "generation_id"),
        gold=renamed(w.gold, "generation_id"),
        settings=fixed,
    )
    expected = {
        (min(name[a], name[b]), max(name[a], name[b])): p if name[a] < name[b] else 1 - p
        for (a, b), p in chances(first).items()
    }
    found = chances(other)
    assert found.keys() == expected.keys()
    np.testing.assert_allclose([found[key] for key in expected], list(expected.values()), atol=1e-7)


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


@given(st.integers(2, 7), st.integers(0, 4), seeds)
def test_one_more_who_prefers_the_same_never_lowers_confidence(classes, extra, seed):
    """With parameters and the beliefs about both fixed, and judges who beat chance."""
    rng = np.random.default_rng(seed)
    prior = rng.dirichlet(np.ones(classes), 2)
    value = np.linspace(0, 4, classes)
    strength = rng.uniform(0.05, 2.5, extra + 2)[:, None, None] * (value[:, None] - value)
    tie = rng.uniform(0.05, 1.5, extra + 2)[:, None, None]
    outcome = np.log(rao_kupper(strength, np.broadcast_to(tie, strength.shape)))
    sides = np.repeat(outcome[..., None], 3, axis=-1)
    judges = Judges(
        belief=np.zeros((extra + 2, 0)), log_chance=sides, evidence=np.zeros((extra + 2, 3))
    )

    def belief(count):
        told = Comparisons(
            item=np.zeros(count, np.int64), other=np.ones(count, np.int64),
            annotator=np.arange(count), outcome=np.full(count, WIN),
            left=np.zeros(count, np.int64), items=2, annotators=count,
        )  # fmt: skip
        logs = np.log(prior) + comparison_messages(told, judges, prior)
        believed = np.exp(logs - logs.max(axis=1, keepdims=True))
        believed /= believed.sum(axis=1, keepdims=True)
        return float(better_chance(believed[:1], believed[1:])[0])

    assert belief(extra + 2) >= belief(extra + 1) - 1e-12


def answer(n, **changes):
    return {
        "annotation_id": f"n{n:04d}", "task_id": "k", "annotator_id": "ann", "kind": "rating",
        "aspect": "overall", "value": 3.0, "generation_id": "g0000",
    } | changes  # fmt: skip


def versus(n, first, second, value, **changes):
    return answer(
        n, kind="comparison", generation_id=first, other_generation_id=second, value=value,
        **changes,
    )  # fmt: skip


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [answer(n, generation_id=f"g{n:04d}", value=float(1 + n % 5)) for n in range(20)],
        [versus(n, f"g{n:04d}", f"g{n + 1:04d}", 0.0) for n in range(0, 20, 2)],
        [answer(n, generation_id=f"nobody knows {n}") for n in range(5)],
        [versus(n, "g0000", f"nobody knows {n}", 2.0) for n in range(5)],
        [answer(n, annotator_id=None, value=float("nan")) for n in range(5)],
        [versus(n, "g0000", "g0001", float("nan")) for n in range(5)],
        [answer(0, value=float("inf")), versus(1, "g0000", "g0000", 1.0)],
        [versus(n, "g0000", "g0001", float(n % 5 - 2)) for n in range(2000)],
        [answer(n, value=5.0, annotator_id=f"a{n}") for n in range(2000)],
    ],
    ids=[
        "empty", "one annotator", "all ties", "unknown ids", "unknown rivals", "no numbers",
        "no numbers compared", "impossible", "one who repeats one question", "a crowd on one task",
    ],
)  # fmt: skip
@pytest.mark.parametrize("shown", [True, False], ids=["with events", "answers alone"])
def test_strange_answers_give_finite_figures(rows, shown):
    w = small(1)
    told = pa.Table.from_pylist(rows, schema=ANNOTATION)
    made = denoise(w.events if shown else None, w.generations, told, settings=ALL)
    probability = made.pairs["probability"].to_numpy()
    assert ((probability >= 0.5) & (probability <= 1)).all()
    assert np.isfinite(made.pairs["weight"].to_numpy()).all()
    assert np.isfinite(made.users["mock_share"].to_numpy()).all()
    assert np.isfinite(made.annotators["accuracy"].to_numpy()).all()
    json_text(made.figures)  # refuses what is no number


def test_events_of_strangers_are_counted_and_change_nothing():
    w = small(2)
    size = w.events.num_rows
    at = w.events.schema.get_field_index("generation_id")
    strange = w.events.set_column(at, "generation_id", pa.array(["nobody knows"] * size))
    ids = pa.array([f"x{n:06d}" for n in range(size)])
    strange = strange.set_column(0, "event_id", ids)
    both = run(w, events=pa.concat_tables([w.events, strange]))
    assert_same(run(w), both, atol=0)
    assert drop_counts(both.drops)["unknown_generation"] == size


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
