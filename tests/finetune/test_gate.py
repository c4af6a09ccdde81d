"""The gate blocks what it does not know, and says which rule did."""

from dataclasses import fields, replace

import pytest
from pydantic import ValidationError

from finetune.gate import SIMULATED, ReleaseGate, judge_release
from finetune.measured import Measured
from finetune.standing import HumanComparison, Standing
from reward_models.interval import Interval

NAN = float("nan")
GOOD = Measured(
    prompts=300,
    samples=2,
    modality="image",
    win_rate=Interval(mean=0.6, low=0.55, high=0.65),
    aspects={"overall": Interval(mean=0.6, low=0.55, high=0.65)},
    score_gain=Interval(mean=0.3, low=0.1, high=0.5),
    candidate_validity=0.98,
    champion_validity=0.99,
    validity_gain=Interval(mean=-0.01, low=-0.02, high=0.0),
    candidate_diversity=0.45,
    champion_diversity=0.50,
    diversity_gain=Interval(mean=-0.05, low=-0.06, high=-0.04),
    kl=0.2,
    kl_interval=Interval(mean=0.2, low=0.1, high=0.3),
)
LIKED = HumanComparison(
    prompts=40,
    answers=120,
    win_share=Interval(mean=0.6, low=0.52, high=0.68),
    tie_share=0.25,
    decided_prompts=36,
    overstatement=Interval(mean=0.05, low=-0.02, high=0.12),
    calibration_error=0.08,
)
REAL = Standing(real=True, human=LIKED, vetoes=(), label_faults=())


def failed(measured, gate=None, standing=SIMULATED):
    verdict = judge_release(measured, gate, standing)
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
        ({"prompts": 9}, "prompts"),
        ({"diversity_gain": Interval(mean=-0.051, low=-0.06, high=-0.04)}, "diversity"),
    ],
)
def test_each_rule_blocks_alone(change, rule):
    assert failed(replace(GOOD, **change)) == {rule}


def test_the_paired_change_of_diversity_is_judged_not_two_means():
    """Other prompts for each policy can make .539 against .490 of a paired fall of .1."""
    fell = Interval(mean=-0.1, low=-0.15, high=-0.05)
    odd = replace(GOOD, candidate_diversity=0.539, champion_diversity=0.49, diversity_gain=fell)
    assert failed(odd) == {"diversity"}
    assert failed(odd, ReleaseGate(max_diversity_drop=0.21)) == set()


def test_a_change_of_diversity_that_was_not_measured_blocks():
    unknown = Interval(mean=NAN, low=NAN, high=NAN)
    assert failed(replace(GOOD, diversity_gain=unknown)) == {"diversity", "measured"}


def test_a_cap_on_distance_blocks_only_when_set():
    far = replace(GOOD, kl=3.0)
    assert failed(far) == set()
    assert failed(far, ReleaseGate(max_kl=1.0)) == {"kl"}


@pytest.mark.parametrize(
    "name",
    [
        f.name
        for f in fields(Measured)
        if f.name not in ("prompts", "samples", "modality", "aspects")
        and not f.name.endswith(("_gain", "_interval"))
    ],
)
def test_what_was_not_measured_blocks(name):
    unknown = Interval(mean=NAN, low=NAN, high=NAN) if name == "win_rate" else NAN
    verdict = judge_release(replace(GOOD, **{name: unknown}))
    assert not verdict.passed
    assert name in verdict.findings[-1].detail


def test_a_score_gain_that_was_not_measured_blocks():
    unknown = Interval(mean=NAN, low=NAN, high=NAN)
    assert failed(replace(GOOD, score_gain=unknown)) == {"measured"}


def test_an_aspect_that_surely_lost_blocks_alone():
    worse = GOOD.aspects | {"safety": Interval(mean=0.48, low=0.44, high=0.52)}
    assert failed(replace(GOOD, aspects=worse)) == {"quality of safety"}
    assert failed(replace(GOOD, aspects=worse), ReleaseGate(max_aspect_loss=0.06)) == set()


def test_an_aspect_that_nobody_could_judge_is_said_and_blocks_only_where_named():
    """Nothing was measured of safety: the verdict says why, and blocks if the gate names it."""
    why = {"safety": "the snapshot has no pairs of it"}
    verdict = judge_release(GOOD, unjudged=why)
    (said,) = [f for f in verdict.findings if f.rule == "quality of safety"]
    assert (said.passed, said.asked, verdict.passed) == (True, False, True)
    assert said.detail == "not judged in image: the snapshot has no pairs of it"
    named = ReleaseGate(aspects=("overall", "safety"))
    assert not judge_release(GOOD, named, unjudged=why).passed


def test_an_aspect_that_the_gate_names_must_have_been_measured():
    assert failed(GOOD, ReleaseGate(aspects=("overall", "safety"))) == {"measured"}


def test_real_evidence_needs_people_who_compared_blindly():
    assert failed(GOOD, standing=REAL) == set()
    assert failed(GOOD, standing=replace(REAL, human=None)) == {"human", "calibration"}
    few = replace(LIKED, prompts=29)
    assert failed(GOOD, standing=replace(REAL, human=few)) == {"human", "calibration"}
    level = replace(LIKED, win_share=Interval(mean=0.55, low=0.5, high=0.6))
    assert failed(GOOD, standing=replace(REAL, human=level)) == {"human"}


def test_fewer_prompts_than_an_interval_needs_decide_nothing_on_peoples_evidence():
    """A simulated zone may say two; on real evidence ten stay ten, whatever the settings say."""
    loose, few = ReleaseGate(min_prompts=2, min_human_prompts=2), replace(GOOD, prompts=9)
    assert failed(few, loose) == set()
    assert failed(few, loose, REAL) == {"prompts"}
    answered = replace(LIKED, prompts=9)
    assert failed(GOOD, loose, replace(REAL, human=answered)) == {"human", "calibration"}
    assert failed(GOOD, loose, replace(REAL, human=replace(answered, prompts=10))) == set()


def test_simulated_evidence_does_not_wait_for_people_but_heeds_them():
    disliked = replace(LIKED, win_share=Interval(mean=0.4, low=0.3, high=0.5))
    assert failed(GOOD, standing=replace(REAL, real=False, human=None)) == set()
    assert failed(GOOD, standing=replace(REAL, real=False, human=disliked)) == {"human"}


def test_a_reward_model_that_surely_flatters_the_candidate_blocks():
    flattered = replace(LIKED, overstatement=Interval(mean=0.2, low=0.11, high=0.3))
    assert failed(GOOD, standing=replace(REAL, human=flattered)) == {"calibration"}
    humble = replace(LIKED, overstatement=Interval(mean=-0.2, low=-0.3, high=-0.1))
    assert failed(GOOD, standing=replace(REAL, human=humble)) == set()


def test_one_answer_says_nothing_of_calibration():
    """One prompt gives an interval of no width: .9 expected, .0 said, however honest the model."""
    certain = Interval(mean=0.9, low=0.9, high=0.9)
    one = replace(LIKED, prompts=1, decided_prompts=1, answers=1, overstatement=certain)
    simulated = replace(REAL, real=False, human=one)
    assert failed(GOOD, standing=simulated) == set()
    [said] = [f for f in judge_release(GOOD, None, simulated).findings if f.rule == "calibration"]
    assert not said.asked
    assert "(1 of 30 answered, 1 of 10 not as a tie)" in said.detail
    tied = replace(one, prompts=30)
    assert failed(GOOD, standing=replace(simulated, human=tied)) == set()
    many = replace(tied, decided_prompts=10)
    assert failed(GOOD, standing=replace(simulated, human=many)) == {"calibration"}


def test_calibration_is_unknown_where_everything_is_a_tie():
    tied = replace(LIKED, tie_share=1.0, decided_prompts=0, overstatement=None,
                   calibration_error=None)  # fmt: skip
    assert failed(GOOD, standing=replace(REAL, human=tied)) == {"calibration"}
    assert failed(GOOD, standing=replace(REAL, real=False, human=tied)) == set()


def test_one_report_vetoes_however_well_the_candidate_wins():
    sure = replace(GOOD, win_rate=Interval(mean=1.0, low=1.0, high=1.0))
    vetoed = replace(REAL, vetoes=("gen_1 was reported (1 user)",))
    assert failed(sure, standing=vetoed) == {"vetoes"}
    verdict = judge_release(sure, None, vetoed)
    assert any("gen_1 was reported" in f.detail for f in verdict.findings)


def test_a_label_that_moved_blocks():
    assert failed(GOOD, standing=replace(REAL, label_faults=("snapshot 12",))) == {"labels"}


def test_refuses_a_wrong_gate():
    with pytest.raises(ValidationError):
        ReleaseGate(min_win_rate=2)
    with pytest.raises(ValidationError):
        ReleaseGate(min_winrate=0.5)
