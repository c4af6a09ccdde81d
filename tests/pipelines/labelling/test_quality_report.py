"""The lead's report: whole, self-contained, the same for the same answers; and its commands."""

import json
import re

import numpy as np
import pytest
from seated import answer_everything, questions

from data_contracts.schemas import ANNOTATION
from pipelines.cli import MISTAKE, run
from pipelines.demo import DemoOptions, demo_settings
from pipelines.labelling.gold import Known, gold_of, mix_gold, record_gold
from pipelines.labelling.ledger import ASSIGNMENTS, open_assignments, open_ledger
from pipelines.labelling.planning import plan_assignments
from pipelines.labelling.quality_figures import headline, quality_figures
from pipelines.labelling.quality_report import render_quality
from pipelines.labelling.quality_sources import figures_of_zone
from pipelines.settings import write_resolved
from pipelines.stores.catalogue_tables import transaction


@pytest.fixture
def zone(tmp_path, ledger):
    """Forty questions and gold by six people, one of whom answers the wrong way round."""
    every = questions(60)
    record_gold(ledger, [Known(question=q, answers={"overall": -1.0}, source="file")
                         for q in every[40:]])  # fmt: skip
    plan_assignments(ledger, "one", every[:40], overlap=6)
    mix_gold(ledger, "one", rate=0.25)
    answer_everything(ledger, lambda _task, who: -1 if who == "ann-0" else 1)
    return tmp_path


def flywheel(capsys, *words):
    code = run(["annotate", *map(str, words)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_page_says_who_wants_a_word_and_needs_nothing_else(zone):
    figures = figures_of_zone(zone)
    first, *others = figures["annotators"]
    assert first["annotator_id"] == "ann-0"
    assert {"says the opposite of others", "misses gold more than others"} <= set(first["look_at"])
    assert figures["everybody"]["gold_right"] == pytest.approx(5 / 6, abs=0.02)
    assert all(not each["look_at"] for each in others)
    page = render_quality(figures)
    assert "a word with ann-0" in headline(figures)
    assert headline(figures) in page
    assert not re.findall(r"https?://(?!www\.w3\.org)", re.sub(r"base64,[^\"]*", "", page))
    assert "<script" not in page
    assert page == render_quality(figures_of_zone(zone))
    words = [f"p{n}<" for n in range(60)]
    assert not [each for each in words if each in page], "no prompt is on it"


def test_confusion_against_gold_has_every_answer_once(zone):
    figures = figures_of_zone(zone)
    counted = sum(r["answers"] for r in figures["confusion"] if r["against"] == "gold")
    assert counted == figures["everybody"]["gold"] > 60


def test_no_answers_are_a_page_too():
    figures = quality_figures(ANNOTATION.empty_table(), rng=np.random.default_rng(0))
    assert "No answers yet." in render_quality(figures)


def test_programs_are_called_programs(zone):
    assert "SIMULATED" not in render_quality(figures_of_zone(zone))
    write_resolved(demo_settings(DemoOptions(nano=True)), zone)
    assert "SIMULATED" in render_quality(figures_of_zone(zone))


def test_report_writes_page_and_numbers(zone, tmp_path, capsys):
    out = tmp_path / "reports"
    code, said, _ = flywheel(capsys, "report", "--root", zone, "--out", out, "--dry-run")
    assert (code, out.exists()) == (0, False)
    assert "would write" in said
    code, said, _ = flywheel(capsys, "report", "--root", zone, "--out", out, "--turn", "one")
    assert code == 0
    assert "says the opposite of others" in said
    told = json.loads((out / "quality.json").read_text())
    assert told["scope"] == "one"
    assert "ann-0" in (out / "quality.html").read_text()
    assert sorted(path.name for path in out.iterdir()) == ["quality.html", "quality.json"]


@pytest.mark.parametrize(("words", "says"), [
    (["report", "--root", "nowhere-at-all"], "there is no zone"),
    (["report", "--turn", "turn-999"], "nothing was given out for turn-999"),
    (["gold"], "name a file"),
    (["gold", "--mark", "asg_0=A"], "no assignment"),
    (["budget"], "--lift"),
    (["budget", "3", "--annotator", "eve"], "no annotator eve"),
])  # fmt: skip
def test_mistakes_are_one_sentence(zone, capsys, words, says):
    given = words if "--root" in words else [*words, "--root", zone]
    code, out, err = flywheel(capsys, *given)
    assert code == MISTAKE
    assert says in err
    assert (out, err.count("\n")) == ("", 1)


def test_gold_and_budget_are_set_from_the_command_line(zone, capsys):
    ledger = open_ledger(zone)
    with transaction(ledger, writes=False) as connection:
        row = next(r for r in connection.execute(ASSIGNMENTS.select()) if not r.is_gold)
    before = gold_of(ledger).num_rows
    mark = f"{row.assignment_id}=B"
    assert flywheel(capsys, "gold", "--mark", mark, "--root", zone, "--dry-run")[0] == 0
    assert gold_of(ledger).num_rows == before
    code, out, _ = flywheel(capsys, "gold", "--mark", mark, "--root", zone, "--json")
    assert (code, json.loads(out)["recorded"]) == (0, 1)
    assert gold_of(ledger).num_rows == before + 1
    words = ("budget", "30", "--annotator", "ann-2", "--root", zone)
    assert json.loads(flywheel(capsys, *words, "--json")[1]) == {"budgets": {"ann-2": 30}}
    assert json.loads(flywheel(capsys, "budget", "--lift", "--root", zone, "--json")[1]) == {
        "budgets": {}
    }
    assert open_assignments(ledger, "one") == 0
