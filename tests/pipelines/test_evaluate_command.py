"""An engineer measures any policy against any other, as the gate would, and releases nothing."""

import json
import re
import shutil

import pytest

from pipelines.cli import DONE, MISTAKE, REFUSED
from pipelines.cli import run as flywheel
from pipelines.comparing.questions import blind_questions, questions_about
from pipelines.evaluation_run import EvaluationRequest, resolved
from pipelines.post_training import stands
from pipelines.settings import read_resolved
from pipelines.stores import open_stores

TURN = "turn-001"


@pytest.fixture
def wheel(nano_wheel, tmp_path):
    root = tmp_path / "wheel"
    shutil.copytree(nano_wheel, root)
    return root


@pytest.fixture
def named(nano_wheel):
    """The start of the id of each checkpoint of the turn."""
    stores = open_stores(nano_wheel)
    assets = {"base": "backbone/backbone", "sft": "finetune/sft_policy",
              "dpo": "finetune/dpo_policy", "aspects": "reward_models/aspect_model"}  # fmt: skip
    return {name: stands(stores, asset, TURN)[:12] for name, asset in assets.items()}


def evaluated(capsys, wheel, *words):
    code = flywheel(["evaluate", *map(str, words), "--root", str(wheel)])
    told = capsys.readouterr()
    answer = json.loads(told.out) if "--json" in words else {}
    refused = answer.get("passed") is False or "the gate would refuse it" in told.out
    assert code == (REFUSED if refused else DONE), told.err
    return told.out


def test_it_measures_what_the_gate_measured_and_releases_nothing(wheel, named, capsys):
    """The turn's own candidate against its own champion: the same figures, findings and samples."""
    before = open_stores(wheel).catalogue.pointers()
    words = (named["dpo"], "--against", named["base"], "--json")
    told = json.loads(evaluated(capsys, wheel, *words))
    gate = json.loads((wheel / "jobs" / f"{TURN}-policy_report.result.json").read_text())
    for name in ("candidate", "champion", "measured", "standing", "findings", "passed"):
        assert told[name] == gate[name], name
    report = json.loads((wheel / "reports" / told["report"]).read_text())
    assert report == {name: value for name, value in told.items() if name != "run"}
    after = open_stores(wheel).catalogue.pointers()
    assert after == before, "the questions were asked before, and nothing else may move"
    page = (wheel / "reports" / told["card"]).read_text("utf-8")
    assert page.count('<img src="data:image/png;base64,') >= 2
    assert not re.search(r'(?:src|href)="(?!data:)', page)


def test_another_pair_gets_a_card_and_questions_of_its_own(wheel, named, tmp_path, capsys):
    """The turn's questions stay; the answer for people names every rule and both files."""
    stores = open_stores(wheel)
    asked = questions_about(stores, stands(stores, "finetune/dpo_policy", TURN),
                            stands(stores, "backbone/backbone", TURN))  # fmt: skip
    out = tmp_path / "out"
    words = (named["sft"], "--against", named["dpo"], "--samples", 3, "--seed", 5, "--out", out)
    planned = json.loads(evaluated(capsys, wheel, *words, "--dry-run", "--json"))
    assert not out.exists()
    lines = evaluated(capsys, wheel, *words)
    for rule in ("win rate", "diversity", "labels"):
        assert re.search(rf"^{rule} +(passed|failed) ", lines, re.MULTILINE)
    assert re.search(r"^human +not asked for ", lines, re.MULTILINE)
    assert "nothing was released" in lines
    report = json.loads(next(out.glob("*.json")).read_text())
    assert report["digest"] == planned["digest"]
    assert report["measured"]["samples"] == planned["samples"] == 3
    assert planned["pictures"] == 2 * 3 * planned["prompts"]
    assert planned["prompts"] <= planned["held_out"]
    assert planned["seconds"] > 0
    assert (report["card"], report["report"]) == (planned["card"], planned["report"])
    fresh = blind_questions(stores, report["candidate"], report["champion"])
    assert len(fresh) == report["measured"]["prompts"]
    assert not {q.task_id for q in fresh} & set(asked["task_id"].to_pylist())


def test_what_is_left_out_is_what_the_gate_would_do(wheel, named):
    settings, stores = read_resolved(wheel), open_stores(wheel)
    job = resolved(EvaluationRequest(root=wheel, candidate=named["sft"], against=named["base"]))
    assert job.gate == settings.gate
    assert job.seed == settings.seed
    assert job.turn == TURN
    assert job.reward_model == stands(stores, "reward_models/aspect_model", TURN)
    told = EvaluationRequest(
        root=wheel, candidate=named["sft"], against=named["base"], prompts=3, seed=1,
        reward_model=named["aspects"],
    )  # fmt: skip
    changed = resolved(told)
    assert (changed.gate.prompts, changed.gate.samples) == (3, settings.gate.samples)
    assert changed.digest != job.digest


def test_the_champion_is_the_policy_released_last(wheel, named):
    released = open_stores(wheel).catalogue.release("policy")
    other = named["sft"]
    assert resolved(EvaluationRequest(root=wheel, candidate=other)).champion == released


@pytest.mark.parametrize(
    ("candidate", "words", "said"),
    [
        ("feedfacefeed", [], "no checkpoint feedfacefeed in this zone"),
        ("aspects", [], "is of kind aspects, which is no policy"),
        ("dpo", ["--against", "dpo"], "compared with itself"),
        ("dpo", ["--against", "base", "--reward-model", "sft"], "which is no reward model"),
        ("dpo", ["--against", "base", "--turn", "turn-900"], "turn-900, was never materialised"),
        ("dpo", ["--against", "base", "--samples", "1"], "samples"),
    ],
)
@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_a_mistake_is_one_sentence(nano_wheel, named, capsys, candidate, words, said, dry):
    full = [named.get(word, word) for word in (candidate, *words)]
    assert flywheel(["evaluate", *full, "--root", str(nano_wheel), *dry]) == MISTAKE
    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err
    assert told.err.count("\n") == 1


def test_a_folder_that_is_no_zone_is_one_sentence(tmp_path, capsys):
    assert flywheel(["evaluate", "feedfacefeed", "--root", str(tmp_path / "typo")]) == MISTAKE
    assert "no stores there" in capsys.readouterr().err
    assert not (tmp_path / "typo").exists()
