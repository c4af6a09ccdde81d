"""What is made of copilot_cups before a fit: decisions in order, differences, ranks."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.copilot_evidence import auc, by_user, interval, slope_within, turns


def test_decisions_see_only_what_came_before_and_survival_of_accepted_rows_only():
    rows = pd.DataFrame(
        {
            "session": [0, 0, 0, 0, 0, 1, 1],
            "UserId": [7, 7, 7, 7, 7, 8, 8],
            "StateName": [
                "Shown", "Accepted", "Replay", "Rejected", "Accepted", "Rejected", "Accepted",
            ],
            "lost": [0.9, 0.5, 0.9, 0.9, 0.2, 0.9, 0.1],
        }
    )  # fmt: skip
    found = turns(rows, changed="lost")
    assert found.user.tolist() == [7, 7, 8], "the last decision of a session has no next one"
    assert found.accepted.tolist() == [1, 0, 0]
    assert found.changed.tolist() == [0.5, 0, 0], "a rejected row's number means nothing"
    np.testing.assert_allclose(found.accepted_so_far, [2 / 3, 2 / 4, 1 / 3])
    np.testing.assert_allclose(found.changed_so_far, [0.25, 0.25, 0])
    assert found.next_accepted.tolist() == [0, 1, 1]


def test_the_interval_is_over_users_and_holds_the_ratio():
    sums = by_user(np.array([1.0, 0.0, 1.0]), np.array([3, 3, 9]))
    assert sums.tolist() == [[1, 2], [1, 1]]
    found = interval(sums, np.random.default_rng(0))
    assert found == {"mean": pytest.approx(2 / 3, abs=1e-5), "low": 0.5, "high": 1.0}


def test_a_busy_accepter_is_no_evidence_of_the_turn_before():
    """Two users who never vary within themselves, but differ, and one who does."""
    later = np.array([1.0, 1, 1, 0, 0, 0, 1, 0, 1, 0])
    user = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
    before = np.where(user == 0, 1.0, 0.0)
    assert slope_within(later, before, user, np.random.default_rng(0))["mean"] == 0
    before[user == 2] = later[user == 2]
    assert slope_within(later, before, user, np.random.default_rng(0))["mean"] == 1


def test_ranking_counts_ties_half():
    assert auc(np.array([1.0, 0, 1, 0]), np.array([0.9, 0.5, 0.5, 0.1])) == pytest.approx(3.5 / 4)
