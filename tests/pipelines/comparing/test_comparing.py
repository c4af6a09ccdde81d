"""From a candidate's samples to a release that people, reports and labels had a say in."""

import json
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import sqlalchemy as sa

from data_contracts.ids import CheckpointId
from data_contracts.labels import GENERAL
from data_contracts.schemas import ANNOTATION, EVENT
from finetune.measured import Comparison
from pipelines.cli import DONE, MISTAKE, REFUSED
from pipelines.cli import run as flywheel
from pipelines.comparing.questions import (
    ASSET,
    add_questions,
    blind_questions,
    questions_about,
    read_answers,
)
from pipelines.comparing.standing import label_faults, standing_of, vetoes
from pipelines.preferences.splits import split_prompts
from pipelines.settings import read_resolved, write_resolved
from pipelines.stores import open_stores, read_asset_table

TURN = "turn-001"
AT = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def root(nano_wheel, tmp_path):
    """A wheel whose evidence counts as people's, with the candidate of its turn unreleased."""
    folder = tmp_path / "wheel"
    shutil.copytree(nano_wheel, folder)
    settings = read_resolved(folder)
    gate = settings.gate.model_copy(update={"min_prompts": 10, "min_human_prompts": 10})
    write_resolved(settings.model_copy(update={"evidence": "real", "gate": gate}), folder)
    stores = open_stores(folder)
    if stores.catalogue.release("policy") == candidate_of(stores):
        stores.catalogue.rollback("policy", reason="for a test", by="test", at=AT)
    return folder


def candidate_of(stores):
    return CheckpointId(stores.catalogue.pointer(f"finetune/dpo_policy/{TURN}"))


def champion_of(stores):
    return stores.catalogue.pointer(f"backbone/backbone/{TURN}")


def asked(stores):
    return questions_about(stores, candidate_of(stores), champion_of(stores))


def ten_asked(stores):
    """Ask about ten prompts more than the turn, which is too small for people to decide by."""
    names = [f"p_more{n}" for n in range(10)]
    pair = {"candidate": candidate_of(stores), "champion": champion_of(stores)}
    add_questions(stores, comparison_of(10), prompt_ids=names, parents=[], at=AT, **pair)
    return asked(stores).to_pylist()


def answer(question, value, *, who="ann", number=0, **changes):
    row = {
        "annotation_id": f"{question['task_id']}_{who}_{number}",
        "task_id": question["task_id"],
        "annotator_id": who,
        "kind": "comparison",
        "generation_id": question["generation_id"],
        "other_generation_id": question["other_generation_id"],
        "aspect": "overall",
        "value": value,
        "updated_at": AT.replace(second=number),
    }
    return row | changes


def say(stores, rows):
    stores.append.append(
        "annotations", pa.Table.from_pylist(rows, schema=ANNOTATION), batch=f"blind-{len(rows)}"
    )


def event(generation, kind, *, user="u1"):
    return {
        "event_id": f"ev_{kind}_{user}", "tenant_id": "t", "project_id": "p", "user_id": user,
        "session_id": "s", "turn": 0, "kind": kind, "generation_id": generation,
        "surface": "grid", "occurred_at": AT, "received_at": AT,
    }  # fmt: skip


def promote(root, *words):
    name = candidate_of(open_stores(root))
    return flywheel(["promote", name, "--root", str(root), "--reason", "for a test", *words])


def test_the_questions_are_about_held_out_prompts_and_hide_who_made_what(root):
    stores = open_stores(root)
    table = asked(stores)
    questions = blind_questions(stores, candidate_of(stores), champion_of(stores))
    prompts = read_asset_table(stores, "artifacts/prompts", clearance=GENERAL, partition=TURN).table
    split = dict(
        zip(*(split_prompts(prompts)[c].to_pylist() for c in ("prompt_id", "split")), strict=True)
    )
    assert table.num_rows
    assert "train" not in {split[p] for p in table["prompt_id"].to_pylist()}
    assert [q.interface for q in questions] == ["blind_image"] * table.num_rows
    hidden = (candidate_of(stores), champion_of(stores))
    assert not any(name[:8] in repr(q) for q in questions for name in hidden)
    for row in table.to_pylist():
        assert stores.blobs.get(row["blob"]).startswith(b"\x89PNG")
    assert questions_about(stores, champion_of(stores), candidate_of(stores)) is None


def test_measuring_again_asks_about_new_prompts_and_redraws_none(root):
    """Another seed draws other pictures; only the prompt that was not asked about gets them."""
    stores = open_stores(root)
    candidate, champion = candidate_of(stores), champion_of(stores)
    before = asked(stores)
    [first, *_] = before["prompt_id"].to_pylist()
    rest = dict(candidate=candidate, champion=champion, parents=[], at=AT)
    drawn = replace(comparison_of(2), candidate=[[b"\x89PNGnew"], [b"\x89PNGnew2"]])
    assert add_questions(stores, drawn, prompt_ids=[first, "p_more"], **rest) == 1
    after = asked(stores)
    assert after.num_rows == before.num_rows + 1
    kept = after.filter(pc.not_equal(after["prompt_id"], "p_more"))
    assert kept.sort_by("task_id").equals(before.sort_by("task_id"))
    assert add_questions(stores, drawn, prompt_ids=[first, "p_more"], **rest) == 0


def comparison_of(prompts):
    """One picture of each policy for each prompt, equally good."""
    drawn, scores = [[b"\x89PNG"]] * prompts, np.zeros((prompts, 1))
    return Comparison(measured=None, candidate=drawn, champion=drawn, candidate_scores=scores,
                      champion_scores=scores)  # fmt: skip


def test_answers_are_read_from_either_side_and_the_last_one_counts():
    """Candidate +1, champion +1 told from the other side, a tie, and three that do not count."""
    one, two, three = (
        {"task_id": f"t{n}", "generation_id": f"c{n}", "other_generation_id": f"o{n}"}
        for n in range(3)
    )
    rows = [q | {"prompt_id": f"p{n}", "predicted": 0.5} for n, q in enumerate((one, two, three))]
    swapped = {"generation_id": "o1", "other_generation_id": "c1"}
    told = [
        answer(one, -2.0),
        answer(one, 1.0, number=1),  # changed her mind
        answer(two, 1.0, **swapped),
        answer(three, 0.0),
        answer(three, None, who="bo"),  # cannot judge
        answer(three, 2.0, who="cy", generation_id="elsewhere"),
        answer(three, 2.0, who="di", aspect="aesthetics"),
    ]
    found = read_answers(pa.Table.from_pylist(rows), pa.Table.from_pylist(told, schema=ANNOTATION))
    assert found.wins.tolist() == [1.0, 0.0, 0.5]
    assert found.prompts == ["p0", "p1", "p2"]


def test_real_evidence_is_not_released_before_people_compared_blindly(root, capsys):
    assert promote(root) == REFUSED
    told = capsys.readouterr().err
    assert "nobody compared blindly" in told
    assert told.count("\n") == 1
    stores = open_stores(root)
    say(stores, [answer(q, 2.0, who=w) for q in ten_asked(stores) for w in ("ann", "bo")])
    assert promote(root) == DONE
    assert stores.catalogue.release("policy") == candidate_of(stores)


def test_people_who_preferred_the_champion_keep_it(root, capsys):
    stores = open_stores(root)
    say(stores, [answer(q, -1.0) for q in ten_asked(stores)])
    assert promote(root) == REFUSED
    assert "people preferred the candidate in 0.000" in capsys.readouterr().err
    human = standing_of(stores, candidate_of(stores), champion=champion_of(stores), real=True).human
    predicted = np.mean(asked(stores)["predicted"].to_numpy())
    assert human.overstatement.mean == pytest.approx(predicted)


def test_an_override_needs_a_name_and_is_recorded_with_the_reason(root, capsys):
    assert promote(root, "--override") == REFUSED
    assert "--by NAME" in capsys.readouterr().err
    assert promote(root, "--override", "--by", "Ada Lovelace") == DONE
    move = open_stores(root).catalogue.release_history("policy")[-1]
    assert move.by == "Ada Lovelace"
    assert move.reason == "override of human, calibration: for a test"


def test_one_report_vetoes_what_everybody_likes(root, capsys):
    stores = open_stores(root)
    questions = ten_asked(stores)
    say(stores, [answer(q, 2.0, who=w) for q in questions for w in ("ann", "bo", "cy")])
    reported = questions[0]["generation_id"]
    likes = [event(reported, "like", user=f"fan{n}") for n in range(50)]
    table = pa.Table.from_pylist([*likes, event(reported, "report")], schema=EVENT)
    stores.append.append("events", table, batch="trial")
    assert promote(root) == REFUSED
    assert f"{reported} was reported by 1 of its viewers" in capsys.readouterr().err
    assert promote(root, "--override", "--by", "Ada") == DONE
    assert "override of vetoes" in stores.catalogue.release_history("policy")[-1].reason


def test_a_rival_tenant_has_no_veto(root):
    stores = open_stores(root)
    table = read_asset_table(
        stores, "artifacts/generations", clearance=GENERAL, partition=TURN,
        columns=["generation_id", "tenant_id"],
    ).table  # fmt: skip
    shown, tenant = table["generation_id"][0].as_py(), table["tenant_id"][0].as_py()
    theirs = event(shown, "report") | {"tenant_id": "rival"}
    stores.append.append("events", pa.Table.from_pylist([theirs], schema=EVENT), batch="rival")
    before = vetoes(stores, {shown})
    own = event(shown, "report", user="u2") | {"tenant_id": tenant}
    stores.append.append("events", pa.Table.from_pylist([own], schema=EVENT), batch="own")
    assert len(vetoes(stores, {shown})) == 1
    assert not any("reported" in each for each in before)


def test_what_vetoes_and_what_does_not(root):
    stores = open_stores(root)
    hidden, unsafe, rated, liked, other = (f"g{n}" for n in range(5))
    rows = [event(hidden, "hide", user="a"), event(hidden, "hide", user="b") | {"event_id": "e2"},
            event(liked, "like"), event(other, "report")]  # fmt: skip
    stores.append.append("events", pa.Table.from_pylist(rows, schema=EVENT), batch="v")
    task = {"task_id": "t", "generation_id": unsafe, "other_generation_id": None}
    say(stores, [
        answer(task, None, kind="region", aspect=None, reason_code="harmful"),
        answer(task, 1.0, who="bo", kind="rating", aspect="safety", generation_id=rated),
        answer(task, 5.0, who="cy", kind="rating", aspect="safety", generation_id=liked),
        answer(task, 1.0, who="di", kind="rating", aspect="aesthetics", generation_id=liked),
    ])  # fmt: skip
    assert vetoes(stores, {hidden, unsafe, rated, liked}) == (
        "g0 was hidden by 2 of its viewers",
        "g1 was called unsafe in 1 annotations",
        "g2 was called unsafe in 1 annotations",
    )
    assert vetoes(stores, set()) == ()


def test_a_label_that_moved_between_training_and_release_refuses_whoever_asks(root, capsys):
    stores = open_stores(root)
    assert label_faults(stores, candidate_of(stores)) == ()
    snapshot = stores.catalogue.pointer(f"preferences/preference_snapshot/{TURN}")
    with sa.create_engine(f"sqlite:///{root / 'catalogue.sqlite'}").begin() as connection:
        connection.execute(
            sa.text("UPDATE objects SET label_epoch = 1 WHERE object_id = :s"), {"s": snapshot}
        )
    (fault,) = label_faults(stores, candidate_of(stores))
    assert "was reclassified (label epoch 1, the policy knows 0)" in fault
    assert promote(root, "--override", "--by", "Ada") == REFUSED
    assert "nobody may override labels" in capsys.readouterr().err
    assert stores.catalogue.release("policy") != candidate_of(stores)


def test_a_dry_run_meets_the_same_gate(root):
    assert promote(root, "--dry-run") == REFUSED


def test_a_policy_is_not_held_against_itself(root):
    """Promoting what is released already changes nothing and asks nobody."""
    released = open_stores(root).catalogue.release("policy")
    assert flywheel(["promote", released, "--root", str(root), "--reason", "r"]) == DONE


def test_the_card_is_one_page_with_pictures_and_every_rule(nano_wheel):
    report = json.loads((nano_wheel / "jobs" / f"{TURN}-policy_report.result.json").read_text())
    page = (nano_wheel / report["card"]).read_text("utf-8")
    assert {f["rule"] for f in report["findings"]} >= {
        "win_rate", "validity", "diversity", "kl", "human", "calibration", "vetoes", "labels",
        "measured",
    }  # fmt: skip
    for finding in report["findings"]:
        assert finding["rule"].replace("_", " ") in page
    assert "simulated evidence" in page
    assert page.count('<img src="data:image/png;base64,') >= 4
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    assert f"{ASSET}/{TURN}" in open_stores(nano_wheel).catalogue.pointers()


def test_promote_without_a_reason_is_a_mistake_not_a_refusal(root):
    name = candidate_of(open_stores(root))
    assert flywheel(["promote", name, "--root", str(root)]) == MISTAKE
