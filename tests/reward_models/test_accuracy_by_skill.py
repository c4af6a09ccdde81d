"""The reward model's report card says for each skill how often pairs are ranked as people did."""

from dataclasses import asdict

import numpy as np

from pipelines.judging.page import TOO_FEW, report_table, skill_rows, write_report
from reward_models.aspect_calibration import AspectCalibration
from reward_models.aspect_pairs import aspect_rows
from reward_models.aspect_report import FEWEST, JudgedPairs, aspect_figures
from reward_models.sequences import read_sequences

from test_guided_sequences import GUIDED  # isort: skip
from toy_pictures import red_beats_blue  # isort: skip


def judged(margins, skills):
    n = len(margins)
    return aspect_figures(
        JudgedPairs(
            margin=np.array(margins, float),
            longer=np.zeros(n),
            masses=np.tile([1.0, 0.0], (n, 1)),
            weight=np.ones(n),
            prompts=np.array([f"p{k}" for k in range(n)]),
            skills=None if skills is None else np.array(skills),
        ),
        calibrated=(AspectCalibration(),),
        rng=np.random.default_rng(0),
        resamples=100,
    )


def test_each_skill_has_its_own_accuracy_and_too_few_have_none():
    """Right on all of night, wrong on all without a skill; of day there are too few."""
    margins = [1] * FEWEST + [-1] * FEWEST + [1]
    found = judged(margins, ["night"] * FEWEST + [""] * FEWEST + ["day"])
    plain, day, night = found.by_skill
    assert (plain.skill_id, plain.accuracy.mean) == ("", 0.0)
    assert (night.skill_id, night.accuracy.mean, night.pairs) == ("night", 1.0, FEWEST)
    assert (day.skill_id, day.accuracy, day.prompts) == ("day", None, 1)


def test_other_figures_do_not_depend_on_skills():
    margins = [1] * FEWEST + [-1] * FEWEST
    guided = asdict(judged(margins, ["night"] * FEWEST + [""] * FEWEST))
    plain = asdict(judged(margins, None))
    assert plain.pop("by_skill") == ()
    guided.pop("by_skill")
    assert guided == plain
    assert judged(margins, [""] * len(margins)).by_skill == ()


def test_pairs_know_the_skill_of_their_answers(backbone):
    from dataclasses import replace

    bundle = replace(red_beats_blue(count=2), skills=GUIDED)
    sequences = read_sequences(bundle, backbone, splits=["train"], max_length=64)
    assert aspect_rows(bundle, sequences, split="train").skills == ("at-night", "")


def test_table_and_page_name_skills_by_id(tmp_path):
    margins = [1] * FEWEST + [1]
    found = judged(margins, ["at_night"] * FEWEST + [""])
    figures = {
        "aspects": {"overall": asdict(found)},
        "calibrations": {"overall": AspectCalibration().model_dump()},
    }
    table = report_table(figures)
    assert f"| at_night | overall | {FEWEST} ({FEWEST}) | 1.000 (1.000 to 1.000) |" in table
    assert f"| no skill | overall | 1 (1) | {TOO_FEW} |" in table
    names = {"turn": "turn-001", "checkpoint": "c" * 12}
    write_report(tmp_path / "page.html", figures, names=names, real=False)
    assert "at_night" in (tmp_path / "page.html").read_text("utf-8")
    figures["aspects"]["overall"].pop("by_skill")  # a result of an earlier version
    assert skill_rows(figures) == []
    assert "skill" not in report_table(figures)
