"""The gate blocks what it does not know, and says which rule did."""

from dataclasses import fields, replace

import pytest
from pydantic import ValidationError

from finetune.evaluate import Measured
from finetune.gate import ReleaseGate, judge_release
from reward_models.interval import Interval

NAN = float("nan")
GOOD = Measured(
    prompts=300,
    samples=2,
    win_rate=Interval(mean=0.6, low=0.55, high=0.65),
    score_gain=Interval(mean=0.3, low=0.1, high=0.5),
    candidate_validity=0.98,
    champion_validity=0.99,
    candidate_diversity=0.45,
    champion_diversity=0.50,
    kl=0.2,
)


def failed(measured, gate=None):
    verdict = judge_release(measured, gate)
    assert verdict.passed == all(f.passed for f in verdict.findings)
    return {f.rule for f in verdict.findings if not f.passed}


def test_drops_of_exactly_what_is_allowed_pass():
    """Validity .99 -> .98 is one point; diversity .50 -> .45 is a tenth."""
    assert failed(GOOD) == set()


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"win_rate": Interval(mean=0.6, low=0.5, high=0.7)}, "win_rate"),
        ({"candidate_validity": 0.97}, "validity"),
        ({"candidate_diversity": 0.44}, "diversity"),
    ],
)
def test_each_rule_blocks_alone(change, rule):
    assert failed(replace(GOOD, **change)) == {rule}


def test_a_cap_on_distance_blocks_only_when_set():
    far = replace(GOOD, kl=3.0)
    assert failed(far) == set()
    assert failed(far, ReleaseGate(max_kl=1.0)) == {"kl"}


@pytest.mark.parametrize(
    "name", [f.name for f in fields(Measured) if f.name not in ("prompts", "samples")]
)
def test_what_was_not_measured_blocks(name):
    unknown = Interval(mean=NAN, low=NAN, high=NAN) if name in ("win_rate", "score_gain") else NAN
    verdict = judge_release(replace(GOOD, **{name: unknown}))
    assert not verdict.passed
    assert name in verdict.findings[-1].detail


def test_refuses_a_wrong_gate():
    with pytest.raises(ValidationError):
        ReleaseGate(min_win_rate=2)
    with pytest.raises(ValidationError):
        ReleaseGate(min_winrate=0.5)
