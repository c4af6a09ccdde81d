"""What one policy's log says of another's click rate."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from data_contracts.schemas import EVENT
from pipelines.importing.clicking import event_figures, self_normalised_rate
from pipelines.importing.intervals import mean_interval

AT = datetime(2026, 1, 1, tzinfo=UTC)


def log(project, rows):
    """Impressions (item, clicked) at position 0, each drawn from two items with chance a half."""
    events = []
    for n, (item, clicked) in enumerate(rows):
        event = {
            "tenant_id": "t", "project_id": project, "user_id": f"{project}{n}",
            "session_id": f"{project}{n}", "turn": 0, "generation_id": item, "surface": "feed",
            "occurred_at": AT, "received_at": AT,
        }  # fmt: skip
        seen = {"event_id": f"i{project}{n}", "kind": "impression", "position": 0,
                "propensity": 0.5}  # fmt: skip
        events.append(event | seen)
        events += [event | {"event_id": f"c{project}{n}", "kind": "upscale"}] * clicked
    return events


def test_clicks_are_weighted_by_how_the_other_policy_chooses():
    """The other policy shows a in 3 of 4: weights 1.5 and .5; clicks (1.5 + .5) / (3 + 1)."""
    random = log("random", [("a", 1), ("a", 0), ("b", 1), ("b", 0)])
    other = log("other", [("a", 1), ("a", 1), ("a", 0), ("b", 0)])
    made = pa.table({"generation_id": ["a", "b"], "prompt_id": ["p", "p"]})
    events = pa.Table.from_pylist(random + other, schema=EVENT)
    figures = event_figures(events, made, resamples=200, seed=1)
    [implied] = [e for e in figures["policies"] if e["log"] == "random"]
    assert implied["implied"] == pytest.approx((1.5 + 0.5) / 4)
    assert implied["own_rate"] == 0.5
    assert implied["effective"] == pytest.approx(4**2 / (2 * 1.5**2 + 2 * 0.5**2))
    assert figures["kinds"] == {"impression": 8, "upscale": 4}
    assert implied["warning"] == (
        "hardly an estimate: its weights are worth 3 of 4 impressions, and below 100 neither rate "
        "nor interval can be relied on"
    )


def test_enough_equal_weights_need_no_warning_and_campaigns_go_by_their_name():
    """Both policies show a in half of 100 impressions: all weights are 1, all 100 count."""
    logs = [log(name, [("a", 1), ("b", 0)] * 50) for name in ("random", "other")]
    made = pa.table({"generation_id": ["a", "b"], "prompt_id": ["p", "p"]})
    events = pa.Table.from_pylist(logs[0] + logs[1], schema=EVENT)
    told = event_figures(events, made, resamples=9, seed=1, names={"p": "men"})["policies"]
    assert [each["warning"] for each in told] == ["", ""]
    assert {each["campaign"] for each in told} == {"men"}
    assert {round(each["effective"]) for each in told} == {100}


def test_no_events_are_no_figures():
    assert event_figures(EVENT.empty_table(), pa.table({}), resamples=9, seed=1) is None


def test_the_interval_covers_the_true_rate_as_often_as_it_says():
    """Two items, clicked in .1 and .5; the other policy shows the second in 9 of 10: .46."""
    rng = np.random.default_rng(11)
    covered = []
    for _ in range(200):
        second = rng.random(600) < 0.5
        clicked = (rng.random(600) < np.where(second, 0.5, 0.1)).astype(float)
        weight = np.where(second, 0.9, 0.1) / 0.5
        found = self_normalised_rate(clicked, weight, resamples=200, rng=rng)
        covered.append(found.low <= 0.46 <= found.high)
    assert 0.88 <= np.mean(covered) <= 0.99


def test_equal_weights_give_the_plain_rate():
    clicked = np.array([1.0, 0.0, 0.0, 1.0])
    rng = np.random.default_rng(0)
    assert self_normalised_rate(clicked, np.full(4, 7.0), resamples=9, rng=rng).mean == 0.5


def test_an_interval_over_units_is_as_wide_as_theory_says():
    values = np.repeat([0.0, 1.0], [300, 100])
    found = mean_interval(values, 4000, np.random.default_rng(4))
    half = 1.96 * np.sqrt(0.25 * 0.75 / 400)
    assert found.mean == 0.25
    np.testing.assert_allclose([found.low, found.high], [0.25 - half, 0.25 + half], atol=0.006)


def test_policies_are_compared_campaign_by_campaign():
    parts = [log("random", [("a", 1), ("b", 0)]), log("other", [("a", 0), ("b", 1)])]
    made = pa.table({"generation_id": ["a", "b"], "prompt_id": ["p", "q"]})
    events = pa.Table.from_pylist(parts[0] + parts[1], schema=EVENT)
    figures = event_figures(events, made, resamples=9, seed=1)
    told = pd.DataFrame(figures["policies"])
    assert told.groupby("campaign").size().to_dict() == {"p": 2, "q": 2}
    assert set(told["impressions"]) == {1}
