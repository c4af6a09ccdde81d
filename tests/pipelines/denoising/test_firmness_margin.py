"""Priors are loosened only for a gain that chance does not give."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from small_studio import studio

from pipelines.preferences import IntentSettings, firmness
from pipelines.preferences.answers import read_answers
from pipelines.preferences.channels import first_channels
from pipelines.preferences.click_table import click_table
from pipelines.preferences.firmness import choose_firmness, loosened
from pipelines.signals import exposures

SETTINGS = IntentSettings(max_iterations=15)


@pytest.fixture(scope="module")
def clicks():
    """Users who differ from the design so much that loose priors foretell them better."""
    w = studio(prompts=15, users=30, shown=2000, seed=0)
    ids = pa.array(sorted(w.generations["generation_id"].to_pylist()))
    channels = first_channels(
        read_answers(None, ids), {}, items=len(ids), classes=SETTINGS.classes,
        settings=SETTINGS.ratings,
    )  # fmt: skip
    shown = exposures(w.events, w.generations).table
    return click_table(shown, ids, first_examined=0.95), channels


def test_without_a_margin_the_better_of_two_figures_is_taken_however_close(clicks):
    chosen, scores = choose_firmness(*clicks, settings=SETTINGS)
    assert scores["loose"] > scores["firm"]
    assert chosen == loosened(SETTINGS.clicks)


def test_a_gain_within_the_margin_keeps_the_designed_priors(clicks, monkeypatch):
    _, scores = choose_firmness(*clicks, settings=SETTINGS)
    gain = scores["loose"] - scores["firm"]
    for error, kept in ((gain / 1.9, True), (gain / 2.1, False)):
        monkeypatch.setattr(firmness, "_gain_error", lambda *_, e=error, **__: e)
        chosen, same = choose_firmness(*clicks, settings=replace(SETTINGS, firmness_margin=2.0))
        assert same == scores
        assert (chosen == SETTINGS.clicks) is kept


def test_the_error_of_a_gain_is_that_of_its_folds(clicks, monkeypatch):
    """Folds of equal size and independent gains g: the error is sd(g) sqrt(folds) / exposures."""
    table, _ = clicks
    held = table.item % 2 == 1
    gains = np.random.default_rng(0).normal(3.0, 2.0, firmness.FOLDS)
    fold = table.item // 2 % firmness.FOLDS
    sizes = np.array([(held & (fold == n)).sum() for n in range(firmness.FOLDS)])
    told = iter(np.repeat(gains, 2) * np.tile([0.0, 1.0], firmness.FOLDS))
    monkeypatch.setattr(firmness, "_foretold", lambda *_, **__: next(told))
    error = firmness._gain_error(table, {"firm": None, "loose": None}, held, settings=SETTINGS)
    spread = gains - sizes * gains.sum() / sizes.sum()
    expected = spread.std(ddof=0) * firmness.FOLDS / np.sqrt(firmness.FOLDS - 1) / held.sum()
    # The residuals' mean is not nought where folds differ in size, so within a few percent.
    assert error == pytest.approx(expected, rel=0.1)
