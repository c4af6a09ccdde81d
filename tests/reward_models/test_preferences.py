"""The weighted logistic loss, and the order in which pairs are seen."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reward_models.preferences import logistic_sum, training_order


def test_loss_worked_by_hand():
    """d = log 3: sigma = 3/4. w=2, p=1: 2 log(4/3). w=1, p=.25: .25 log(4/3) + .75 log 4."""
    loss = logistic_sum(
        torch.tensor([math.log(3)] * 2), torch.tensor([1.0, 0.25]), torch.tensor([2.0, 1.0])
    )
    assert loss.item() == pytest.approx(2.25 * math.log(4 / 3) + 0.75 * math.log(4), abs=1e-6)


def test_swapping_a_pair_with_its_target_changes_nothing():
    d, p, w = torch.rand(3, 50, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(logistic_sum(d, p, w), logistic_sum(-d, 1 - p, w))


def test_the_target_is_where_the_loss_is_flat():
    margin = torch.tensor([math.log(0.8 / 0.2)], requires_grad=True)
    logistic_sum(margin, torch.tensor([0.8]), torch.ones(1)).backward()
    assert margin.grad is not None
    assert abs(margin.grad.item()) < 1e-6


@given(st.integers(1, 30), st.integers(1, 10), st.integers(1, 10), st.integers(0, 5))
def test_every_row_is_seen_equally_often(rows, steps, batch_size, seed):
    order = training_order(rows, steps=steps, batch_size=batch_size, seed=seed)
    seen = np.bincount(order.ravel(), minlength=rows)
    assert order.shape == (steps, batch_size)
    assert seen.max() - seen.min() <= 1


def test_the_seed_fixes_the_order():
    first, again, other = (training_order(50, steps=5, batch_size=10, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
