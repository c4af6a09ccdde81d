"""Ties after Rao and Kupper: chances that sum to one, losses that are their logarithms."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reward_models.ties import (
    closed_margins,
    outcome_chances,
    outcome_masses,
    tie_losses,
)

margins = st.floats(-20, 20)
widths = st.floats(1e-3, 5)


def test_worked_by_hand():
    """k = e^width = 3, lead 0: win 1 / (1 + 3) = .25, tie the half that is left."""
    np.testing.assert_allclose(outcome_chances(np.array(0.0), np.log(3.0)), [0.25, 0.5, 0.25])


@given(margins, widths)
def test_outcomes_sum_to_one_and_mirror(margin, width):
    chances = outcome_chances(np.array(margin), width)
    assert chances.sum() == pytest.approx(1)
    assert (chances >= -1e-12).all()
    np.testing.assert_allclose(outcome_chances(np.array(-margin), width), chances[::-1], atol=1e-12)


@given(st.floats(-8, 8), st.floats(0.01, 3))
def test_losses_are_the_chances_logarithms(margin, width):
    chances = outcome_chances(np.array(margin), width)
    masses = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    told = torch.full((2,), margin, dtype=torch.float64)
    losses = tie_losses(told, torch.full((2,), width, dtype=torch.float64), masses)
    np.testing.assert_allclose(np.exp(-losses.numpy()), chances[:2], rtol=1e-9)


def test_a_narrow_width_is_plain_logistic():
    loss = tie_losses(torch.tensor([1.5]), torch.tensor([1e-6]), torch.tensor([[1.0, 0.0]]))
    assert loss.item() == pytest.approx(np.log1p(np.exp(-1.5)), abs=1e-5)


def test_a_split_answer_is_a_win_and_a_tie_in_parts():
    np.testing.assert_allclose(outcome_masses(np.array([0.8])), [[0.6, 0.4]])


def test_doubt_flattens_the_lead_as_sampling_does():
    """Monte Carlo over a million draws of both scores: the closed form is within a hundredth."""
    mean, log_sigma = torch.tensor([[1.0], [-0.4]]), torch.log(torch.tensor([[0.8], [1.3]]))
    closed = torch.sigmoid(closed_margins(mean, log_sigma)).item()
    rng = np.random.default_rng(0)
    draws = rng.normal(1.0, 0.8, 1_000_000) - rng.normal(-0.4, 1.3, 1_000_000)
    assert closed == pytest.approx((1 / (1 + np.exp(-draws))).mean(), abs=0.01)
    sure = torch.full((2, 1), -10.0)
    assert closed_margins(mean, sure).item() == pytest.approx(1.4, abs=1e-6)
