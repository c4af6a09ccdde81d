"""Shards counted apart, here or in other processes, give the fit of the whole."""

import os
import signal
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from annotation_rows import annotations, comparison, rating
from click_rows import world
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.errors import ContractError, FlywheelError
from pipelines.preferences import IntentSettings, fit_intent
from pipelines.preferences.click_model import beliefs, designed, first_parameters
from pipelines.preferences.click_table import click_table
from pipelines.preferences.partitions import (
    MOST_PROCESSES,
    count_in_shards,
    partial_counts,
    split_shown,
)
from pipelines.preferences.workers import Workers, partitioned

SETTINGS = IntentSettings(max_iterations=60)


def studio(*, seed=0, items=80, shown=3000):
    """Clicks, ratings, and comparisons by an honest and a reversed annotator."""
    w = world(items=items, shown=shown, seed=seed)
    rng = np.random.default_rng(seed)
    rows = [
        rating(f"g{n:04d}", who, 1 + int(np.clip(5 * w.quality[n], 0, 4)))
        for n in range(0, items, 2)
        for who in ("ann", "bob")
    ]
    for _ in range(150):
        a, b = rng.choice(items, 2, replace=False)
        said = np.sign(w.quality[a] - w.quality[b])
        rows.append(comparison(f"g{a:04d}", f"g{b:04d}", "cat", said))
        rows.append(comparison(f"g{a:04d}", f"g{b:04d}", "dan", -said))
    w.annotations = annotations(rows)
    w.table = encoded(w)
    return w


def encoded(w):
    ids = w.generations["generation_id"].combine_chunks().sort()
    first_examined = SETTINGS.clicks.first_examined
    return click_table(w.exposures, ids, first_examined=first_examined)


def believed(table, classes=5):
    chances = designed(classes)
    parameters = first_parameters(table, chances, settings=SETTINGS.clicks)
    return beliefs(table, parameters)


def assert_same_fit(one, other):
    for name in ("posterior", "user_intents", "phi", "class_shares"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=0, atol=1e-9)
    assert one.iterations == other.iterations
    assert (one.prior, one.converged) == (other.prior, other.converged)
    for name in ("accuracy", "reversed"):
        np.testing.assert_allclose(
            one.annotators[name].to_numpy(), other.annotators[name].to_numpy(), rtol=0, atol=1e-9
        )


@pytest.mark.parametrize("count", [1, 2, 5])
def test_shards_give_the_fit_of_the_whole(count):
    w = studio()
    shards = w.table.shards(count)
    assert len(shards) == count
    parted = replace(w.table, counted_by=partial(count_in_shards, shards))
    whole = fit_intent(w.table, w.annotations, generations=w.generations, settings=SETTINGS)
    assert whole.iterations > 5
    assert_same_fit(
        fit_intent(parted, w.annotations, generations=w.generations, settings=SETTINGS), whole
    )


def test_two_processes_give_the_fit_of_one_and_leave():
    w = studio(seed=1)
    told = {"generations": w.generations, "settings": SETTINGS}
    two = fit_intent(w.exposures, w.annotations, **told, processes=2)
    assert_same_fit(two, fit_intent(w.exposures, w.annotations, **told))
    with partitioned(w.table, processes=2) as spread:
        (process,) = spread.counted_by.__self__.processes
        assert process.is_alive()
    assert process.exitcode == 0


@given(st.integers(0, 2**16), st.lists(st.integers(0, 30), max_size=6), st.integers(1, 40))
def test_any_partition_between_generations_adds_up_to_the_whole(seed, cuts, count):
    """Cut anywhere, or into even shards: posteriors are the same, counts add up."""
    w = world(items=30, users=6, shown=200, seed=seed)
    table = encoded(w)
    known = believed(table)
    rng = np.random.default_rng(seed)
    log_prior = np.log(rng.dirichlet(np.ones(5), 30))
    whole = table.count(known, log_prior)
    edges = [0, *sorted(cuts), 30]
    parts = [table_rows(table.shown, a, b) for a, b in pairwise(edges)]
    at_cuts = partial_counts(parts, known, log_prior)
    shards = split_shown(table.shown, count)
    assert len(shards) <= count
    assert np.array_equal(np.concatenate([shard.items for shard in shards]), np.arange(30))
    for other in (at_cuts, count_in_shards(shards, known, log_prior)):
        for one, total in zip(other, whole, strict=True):
            np.testing.assert_allclose(one, total, rtol=1e-9, atol=1e-12)


def table_rows(shown, first, last):
    begin, end = shown.start[first], shown.start[last]
    return shown._replace(
        start=shown.start[first : last + 1] - begin, user=shown.user[begin:end],
        key=shown.key[begin:end], weight=shown.weight[begin:end],
    )  # fmt: skip


def test_shards_are_even_in_exposures():
    shards = split_shown(studio().table.shown, 4)
    sizes = [len(some.user) for shard in shards for some in shard.shown]
    assert sum(sizes) == 3000
    assert max(sizes) - min(sizes) < 2 * 3000 / 80  # two generations' worth


def test_one_generation_with_every_exposure_is_one_shard():
    w = world(items=1, shown=50)
    with partitioned(encoded(w), processes=3) as spread:
        assert spread.counted_by is None


def test_nothing_shown_needs_no_process():
    w = studio()
    made = fit_intent(
        None, w.annotations, generations=w.generations, settings=SETTINGS, processes=4
    )
    assert np.isfinite(made.posterior).all()


@pytest.mark.parametrize("processes", [0, -1, MOST_PROCESSES + 1])
def test_a_number_of_processes_that_cannot_be_is_one_sentence(processes):
    known = pa.table({"generation_id": ["g"], "prompt_id": ["q"]})
    with pytest.raises(ContractError, match=f"^processes is {processes}; give 1 to 256$"):
        fit_intent(None, None, generations=known, processes=processes)


@pytest.mark.parametrize("when", ["before it is asked", "after it has counted once"])
def test_a_process_that_dies_is_one_sentence_and_nothing_hangs(when):
    table = studio().table
    known, log_prior = believed(table), np.full((80, 5), -np.log(5))
    with Workers(table.shards(2)) as workers:
        if when == "after it has counted once":
            workers.count(known, log_prior)
        os.kill(workers.processes[0].pid, signal.SIGKILL)
        workers.processes[0].join()
        with pytest.raises(FlywheelError, match=r"process 2 of 2 ended \(signal SIGKILL\)"):
            workers.count(known, log_prior)


def test_a_process_that_cannot_count_says_so_and_stays():
    table = studio().table
    known, log_prior = believed(table), np.full((80, 5), -np.log(5))
    shards = table.shards(2)
    (some,) = shards[1].shown
    with Workers((shards[0], shards[1]._replace(shown=(some._replace(start=None),)))) as workers:
        with pytest.raises(FlywheelError, match="could not count its share"):
            workers.count(known, log_prior)
        assert workers.processes[0].is_alive()
