"""The words: never more than the intervals say."""

from typing import Any

import pytest

from pipelines.report.model import Interval, parse_demo
from pipelines.report.standing import standing
from pipelines.report.verdict import give_verdict, number, turns_in_words


def _demo(*, difference: float, low: float, high: float, **more: Any) -> dict[str, Any]:
    comparison = {"arm": "ours", "against": "base", "aspect": "overall",
                  "difference": difference, "low": low, "high": high}  # fmt: skip
    return {
        "arms": [_arm("base", 0, 70.0), _arm("ours", 2, 70.0 + difference)],
        "comparisons": [comparison],
        **more,
    }


def _arm(name: str, turn: int, score: float, *, validity: float = 0.96) -> dict[str, Any]:
    return {
        "name": name,
        "turns": [
            {
                "turn": turn,
                "quality": {"overall": {"mean": score, "low": score - 1, "high": score + 1}},
                "validity": {"share": validity, "low": validity, "high": validity},
            }
        ],
    }


def _plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def test_a_gain_is_told_with_its_interval():
    verdict = give_verdict(parse_demo(_demo(difference=14.2, low=12.1, high=16.0)))
    assert _plain(verdict.headline) == (
        "After two turns of the wheel, ours scores 84.2 [83.2, 85.2] out of 100, "
        "14.2 points above base [12.1, 16.0]."
    )
    assert verdict.tone == "better"


@pytest.mark.parametrize(("low", "high"), [(-1.2, 2.9), (0.0, 2.9), (-1.2, 0.0)])
def test_no_better_when_the_interval_includes_zero(low, high):
    verdict = give_verdict(parse_demo(_demo(difference=0.8, low=low, high=high)))
    assert "no better than base (difference +0.8; [" in verdict.headline
    assert "includes 0" in verdict.headline
    assert "above" not in verdict.headline
    assert verdict.tone == "unclear"


def test_a_loss_is_called_a_loss():
    verdict = give_verdict(parse_demo(_demo(difference=-3.0, low=-4.0, high=-2.0)))
    assert "3.0 points below base [−4.0, −2.0]" in _plain(verdict.headline)
    assert verdict.tone == "worse"


def test_without_a_comparison_nothing_is_claimed():
    demo = _demo(difference=14.2, low=12.1, high=16.0, comparisons=[])
    assert "nothing is claimed" in give_verdict(parse_demo(demo)).headline


@pytest.mark.parametrize(
    ("size", "low", "high", "words"),
    [
        (-5, -7, -4, "5.0 points worse than base"),
        (-1, -7, 2, "no better than base"),
        (5, 1, 9, "gain 5.0 points"),
    ],
)
def test_likes_and_downloads_are_judged_by_their_interval(size, low, high, words):
    naive = {"arm": "naive", "against": "base", "low": low, "high": high, "difference": size}
    demo = _demo(difference=1, low=0.5, high=2)
    verdict = give_verdict(parse_demo({**demo, "comparisons": [*demo["comparisons"], naive]}))
    assert words in verdict.sentences[0]


@pytest.mark.parametrize(("low", "holds"), [(-1.0, True), (0.5, False)])
def test_a_gain_from_shuffled_preferences_is_a_warning(low, holds):
    shuffled = {"arm": "shuffled", "against": "base", "low": low, "high": 3.0, "difference": 1.5}
    demo = _demo(difference=1, low=0.5, high=2)
    verdict = give_verdict(parse_demo({**demo, "comparisons": [*demo["comparisons"], shuffled]}))
    assert [check.holds for check in verdict.checks if "Shuffled" in check.text] == [holds]


@pytest.mark.parametrize(("validity", "holds"), [(0.951, True), (0.949, False)])
def test_validity_may_fall_by_one_point(validity, holds):
    arms = [_arm("base", 0, 70.0), _arm("ours", 2, 84.0, validity=validity)]
    verdict = give_verdict(parse_demo(_demo(difference=14, low=12, high=16, arms=arms)))
    assert [check.holds for check in verdict.checks if "Validity" in check.text] == [holds]


def test_one_seed_is_said_to_be_one():
    verdict = give_verdict(parse_demo(_demo(difference=14, low=12, high=16, seeds=[7])))
    assert any(check.text.startswith("One seed") and not check.holds for check in verdict.checks)


def test_seeds_are_averaged_and_their_intervals_joined():
    rows = [
        {
            "turn": 1,
            "seed": seed,
            "quality": {"overall": {"mean": mean, "low": mean - 2, "high": mean + 1}},
        }
        for seed, mean in ((7, 80.0), (8, 84.0), (9, 85.0))
    ]
    row = standing(parse_demo({"arms": [{"name": "ours", "turns": rows}]}).arms[0])
    assert row is not None
    assert row.quality["overall"] == Interval(mean=83.0, low=78.0, high=86.0)


def test_a_row_for_all_seeds_wins():
    rows = [
        {"turn": 1, "seed": seed, "quality": {"overall": {"mean": mean, "low": mean, "high": mean}}}
        for seed, mean in ((7, 80.0), (8, 84.0), (None, 82.5))
    ]
    row = standing(parse_demo({"arms": [{"name": "ours", "turns": rows}]}).arms[0])
    assert row is not None
    assert row.quality["overall"].mean == 82.5


@pytest.mark.parametrize(
    ("value", "signed", "text"),
    [(-0.04, True, "0.0"), (0.04, True, "0.0"), (-3.0, False, "−3.0"), (1234.5, True, "+1,234.5")],
)
def test_numbers_are_written_for_readers(value, signed, text):
    assert number(value, signed=signed) == text


def test_turns_are_spelled_out():
    assert [turns_in_words(count) for count in (1, 2, 12)] == [
        "one turn of the wheel", "two turns of the wheel", "12 turns of the wheel",
    ]  # fmt: skip
