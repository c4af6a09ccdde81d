"""The report of the demo shows quality skill by skill, and nothing where there are no skills."""

import numpy as np
import pytest
from fake_demo import fake_demo

from data_contracts.errors import ContractError
from pipelines.demo_report import _skills
from pipelines.report import render_report


def outcome(prompts):
    """Under night all pictures follow, without a skill half of each prompt's two do."""
    return {
        "turn": 1,
        "skills": [
            {"skill_id": None, "overall": [[60.0, 70.0]] * prompts,
             "followed": {"at_night": [[1, 0]] * prompts}},
            {"skill_id": "at_night", "overall": [[80.0, 90.0]] * prompts,
             "followed": {"at_night": [[1, 1]] * prompts}},
        ],
    }  # fmt: skip


def rows(prompts=12):
    return _skills([("ours", 7, outcome(prompts)), ("base", 7, {"turn": 0})])


def test_rows_hold_means_over_prompts_with_intervals():
    plain, night = rows()
    assert (plain["skill_id"], night["skill_id"], night["prompts"]) == (None, "at_night", 12)
    assert night["quality"] == {"mean": 85.0, "low": 85.0, "high": 85.0}
    assert plain["followed"]["at_night"]["mean"] == 0.5
    wide = outcome(12)
    wide["skills"][1]["followed"]["at_night"] = np.tile([[1, 1], [0, 0]], (6, 1)).tolist()
    found = _skills([("ours", 7, wide)])[1]["followed"]["at_night"]
    assert found["low"] < 0.5 < found["high"]


def test_the_page_shows_a_row_a_skill_and_ids_as_they_are():
    page = render_report(fake_demo() | {"skills": rows()})
    assert "Follow <code>at_night</code>" in page
    assert "no skill" in page
    assert "85.0" in page
    assert "100" in page


def test_too_few_prompts_have_a_sentence_instead_of_an_interval():
    page = render_report(fake_demo() | {"skills": rows(prompts=9)})
    assert "too few prompts for an interval: 9" in page
    assert "too few prompts" not in render_report(fake_demo() | {"skills": rows()})


def test_without_skills_the_page_says_nothing_of_them():
    page = render_report(fake_demo())
    assert "guidance" not in page
    assert render_report(fake_demo() | {"skills": []}) == page


def test_hostile_ids_stay_text():
    hostile = rows()
    for row in hostile:
        row["followed"] = {"<b>": row["followed"]["at_night"]}
    assert "<code><b></code>" not in render_report(fake_demo() | {"skills": hostile})


def test_an_interval_the_wrong_way_round_is_refused():
    bad = rows()
    bad[0]["quality"] |= {"low": 99.0}
    with pytest.raises(ContractError, match="low is above high"):
        render_report(fake_demo() | {"skills": bad})
