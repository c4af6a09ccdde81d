"""What a lead sees of annotators: agreement, sides, haste, drift, each with its interval."""

import numpy as np
import pytest
from answered import compared, table
from scipy import stats

from annotation.concurrence import share_interval
from annotation.quality import (
    ANNOTATOR_QUALITY,
    ASPECT_AGREEMENT,
    annotator_quality,
    aspect_agreement,
)
from data_contracts.schemas import ANNOTATION


def by_name(rows):
    found = annotator_quality(table(rows))
    assert found.schema == ANNOTATOR_QUALITY
    return {row["annotator_id"]: row for row in found.to_pylist()}


def test_worked_by_hand():
    """Three judge two pairs. On pair 0 x and y say a, z says b: x agrees with one of two others,
    z with none. On pair 1 x says a, y a tie, z a: ties are left out, so x and z agree alone."""
    rows = [compared("x", 0, 2), compared("y", 0, 1, turned=True), compared("z", 0, -1),
            compared("x", 1, 1), compared("y", 1, 0), compared("z", 1, 2, left=False)]  # fmt: skip
    found = by_name(rows)
    assert [found[name]["agrees"] for name in "xyz"] == [0.75, 0.5, 0.5]
    assert [found[name]["shared"] for name in "xyz"] == [2, 1, 2]
    assert [found[name]["sided"] for name in "xyz"] == [2, 1, 2]
    assert [found[name]["left_share"] for name in "xyz"] == [1.0, 1.0, 0.0]
    assert found["x"]["drift"] is None


def test_how_an_answer_is_written_makes_no_difference():
    rng = np.random.default_rng(0)
    said = [(who, pair, int(rng.integers(-2, 3)), bool(rng.integers(2)))
            for who in "xyz" for pair in range(40)]  # fmt: skip
    plain = table([compared(w, p, v, left=s, at=p) for w, p, v, s in said])
    turned = table([compared(w, p, v, left=s, at=p, turned=p % 2 == 0) for w, p, v, s in said])
    assert annotator_quality(turned).equals(annotator_quality(plain))
    assert aspect_agreement(turned, rng=np.random.default_rng(1)).equals(
        aspect_agreement(plain, rng=np.random.default_rng(1))
    )


def test_who_answers_at_random_leans_left_hurries_or_drifts_is_seen():
    """Four are careful; each of the others has one habit, and only that one shows."""
    rng = np.random.default_rng(7)
    rows = []
    for pair in range(400):
        truth, left = int(rng.choice([-1, 1])), {}
        for who in ("c1", "c2", "c3", "c4", "random", "left", "hasty", "drifts"):
            value = truth if rng.random() < 0.9 else -truth
            shown = bool(rng.integers(2))
            if who == "random" or (who == "drifts" and pair >= 200):
                value = int(rng.choice([-1, 1]))
            if who == "left" and rng.random() < 0.5:
                value = 1 if shown else -1
            left[who] = shown
            rows.append(compared(who, pair, value, left=shown, at=pair,
                                 seconds=1.0 if who == "hasty" else 8.0))  # fmt: skip
    found = by_name(rows)
    careful = found["c1"]
    assert found["random"]["agrees_high"] < careful["agrees_low"]
    assert found["left"]["left_low"] > 0.5
    assert abs(careful["left_share"] - 0.5) < 0.08
    assert found["hasty"]["hasty"] == 1.0
    assert careful["hasty"] == 0.0
    assert found["drifts"]["drift_high"] < 0 < careful["drift_high"]


def test_agreement_by_aspect_is_one_where_all_agree_and_nothing_by_chance():
    rng = np.random.default_rng(3)
    rows = []
    for pair in range(200):
        value = int(rng.choice([-1, 1]))
        for who in "xyz":
            rows.append(compared(who, pair, value))
            chance = compared(who, pair, int(rng.choice([-1, 1])), at=1)
            rows.append({**chance, "aspect": "aesthetics"})
    found = aspect_agreement(table(rows), rng=rng)
    assert found.schema == ASPECT_AGREEMENT
    alphas = {row["aspect"]: row for row in found.to_pylist()}
    assert alphas["overall"]["alpha"] == pytest.approx(1.0)
    assert alphas["aesthetics"]["low"] < 0 < alphas["aesthetics"]["high"]
    assert {row["kind"] for row in alphas.values()} == {"comparison"}


def test_the_interval_of_a_share_is_wilsons():
    low, high = share_interval(np.array([0.7]), np.array([40.0]))
    expected = stats.binomtest(28, 40).proportion_ci(method="wilson")
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high))


def test_no_answers_are_no_annotators():
    assert annotator_quality(ANNOTATION.empty_table()).equals(ANNOTATOR_QUALITY.empty_table())
    found = aspect_agreement(ANNOTATION.empty_table(), rng=np.random.default_rng(0))
    assert found.equals(ASPECT_AGREEMENT.empty_table())
