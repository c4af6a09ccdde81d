"""A large fit begins where the fit of a sample ended, and ends where it would have ended."""

from dataclasses import replace

import numpy as np
import pytest
from annotation_rows import annotations, rating
from click_rows import level, world

from pipelines.preferences import IntentSettings, fit_intent, sampling
from pipelines.preferences.answers import read_answers
from pipelines.preferences.channels import first_channels
from pipelines.preferences.click_table import click_table

SETTINGS = IntentSettings(max_iterations=400, tolerance=1e-7, adapt=False)


@pytest.fixture
def small_samples(monkeypatch):
    monkeypatch.setattr(sampling, "MOST", 3000)


def encoded(w):
    """The click table of a world, and the channels of its answers."""
    ids = w.generations["generation_id"].combine_chunks().sort()
    answers = read_answers(w.annotations, ids)
    table = click_table(w.exposures, ids, first_examined=SETTINGS.clicks.first_examined)
    channels = first_channels(
        answers, {}, items=len(ids), classes=SETTINGS.classes, settings=SETTINGS.ratings
    )
    return table, channels


def test_a_table_of_a_million_exposures_is_its_own_sample():
    table, channels = encoded(world(shown=2000))
    assert sampling.sample(table, channels) is table
    assert sampling.sample(None, channels) is None


def test_a_sample_holds_whole_items_and_those_that_people_answered(small_samples):
    w = world(rated=0.1)
    table, channels = encoded(w)
    some = sampling.sample(table, channels)
    assert 1500 < some.size <= 3000
    drawn = np.flatnonzero(some.exposed)
    np.testing.assert_array_equal(some.exposed[drawn], table.exposed[drawn])
    assert np.isin(channels[-1].touched, drawn).all()
    assert (some.users, len(some.exposed)) == (table.users, len(table.exposed))
    np.testing.assert_array_equal(some.bits, table.bits)


def test_answers_on_everything_leave_room_for_no_more_than_a_sample(small_samples):
    table, channels = encoded(world(rated=1.0))
    assert sampling.sample(table, channels).size <= 3000


def test_whom_a_sample_does_not_show_is_not_trusted_in_it(small_samples):
    table, channels = encoded(world(users=4000))
    some = sampling.sample(table, channels)
    assert 0 < some.trusted.sum() < table.trusted.sum()
    assert some.trusted.sum() == len(np.unique(some.shown.user))


def test_a_fit_begun_on_a_sample_ends_at_the_same_point_in_fewer_steps(monkeypatch):
    w = world(shown=20_000, rated=0.2)
    told = {"generations": w.generations, "settings": SETTINGS}
    whole = fit_intent(w.exposures, w.annotations, **told)
    monkeypatch.setattr(sampling, "MOST", 10_000)
    begun = fit_intent(w.exposures, w.annotations, **told)
    assert whole.converged
    assert begun.converged
    np.testing.assert_allclose(begun.posterior, whole.posterior, rtol=0, atol=1e-4)
    np.testing.assert_allclose(begun.user_intents, whole.user_intents, rtol=0, atol=1e-4)
    coarse = replace(SETTINGS, tolerance=1e-3)
    again = fit_intent(w.exposures, w.annotations, generations=w.generations, settings=coarse)
    monkeypatch.setattr(sampling, "MOST", 10**6)
    before = fit_intent(w.exposures, w.annotations, generations=w.generations, settings=coarse)
    assert again.iterations < before.iterations


def test_a_sample_shows_that_signals_mean_the_opposite(monkeypatch):
    w = world(shown=30_000, items=600, mockers=0.0)
    said = [
        rating(f"g{n:04d}", who, level(1 - w.quality[n]))
        for n in range(0, 600, 2)
        for who in ("ann", "bob")
    ]
    monkeypatch.setattr(sampling, "MOST", 15_000)
    fit = fit_intent(w.exposures, annotations(said), generations=w.generations)
    assert fit.prior == "anchored"
    assert np.corrcoef(fit.expected_class(), w.quality)[0, 1] < -0.7
