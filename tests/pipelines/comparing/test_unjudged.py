"""What the gate could not judge is named with its reason, and what it could has a rule."""

import json

import pytest

from data_contracts.errors import FlywheelError
from pipelines.comparing.unjudged import unjudged_aspects

TURN = "turn-001"


def test_each_aspect_of_the_modality_is_judged_or_explained():
    """A film has all six; its snapshot has pairs of two, and the scorer tells one apart."""
    told = unjudged_aspects("video", judged=["overall"], paired=["overall", "aesthetics"])
    assert list(told) == [
        "prompt_alignment", "physical_plausibility", "aesthetics", "temporal_consistency", "safety",
    ]  # fmt: skip
    assert told["aesthetics"] == "the reward model does not tell it apart"
    assert told["prompt_alignment"] == "the snapshot has no pairs of it"
    assert "veto" in told["safety"]


def test_what_does_not_apply_to_the_modality_is_not_missed():
    assert "temporal_consistency" not in unjudged_aspects("image", judged=[], paired=[])
    assert unjudged_aspects("image", judged=_all("image"), paired=[]) == {}
    with pytest.raises(FlywheelError, match="modality song"):
        unjudged_aspects("song", judged=[], paired=[])


def _all(modality):
    return [*unjudged_aspects(modality, judged=[], paired=[])]


def test_by_default_every_aspect_that_people_answered_about_has_a_rule(nano_wheel):
    """Simulated annotators rate three aspects of a picture, and overall; nobody rates safety."""
    report = json.loads((nano_wheel / "jobs" / f"{TURN}-policy_report.result.json").read_text())
    found = {f["rule"]: f for f in report["findings"] if f["rule"].startswith("quality of ")}
    judged = {"quality of aesthetics", "quality of physical_plausibility",
              "quality of prompt_alignment"}  # fmt: skip
    assert {rule for rule, f in found.items() if f["asked"]} == judged
    assert {rule for rule, f in found.items() if not f["asked"]} == {"quality of safety"}
    assert "veto" in found["quality of safety"]["detail"]
    assert report["passed"], "the nano gate must still be able to pass"
