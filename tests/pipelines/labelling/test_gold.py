"""Gold: marked by a lead or settled by people, mixed in at its rate, told apart by nothing."""

import json

import numpy as np
import pytest
import sqlalchemy as sa
from scipy import stats
from seated import PEOPLE, answer_everything, questions

from annotation.gold import gold_accuracy
from data_contracts.errors import FlywheelError
from pipelines.labelling.gold import Known, gold_of, marked_gold, mix_gold, record_gold
from pipelines.labelling.ledger import ASSIGNMENTS, GOLD, open_ledger, record_people
from pipelines.labelling.planning import Question, plan_assignments
from pipelines.labelling.rounds import settled_questions
from pipelines.labelling.sync import annotations_of
from pipelines.stores.catalogue_tables import transaction


def better(asked, value=-1.0, source="file"):
    """Gold that says of every question that its second is better."""
    return [Known(question=q, answers={"overall": value}, source=source) for q in asked]


def assigned(ledger, turn=None):
    with transaction(ledger, writes=False) as connection:
        rows = connection.execute(sa.select(ASSIGNMENTS).order_by(ASSIGNMENTS.c.assignment_id))
        return [row for row in rows if turn in (None, row.turn)]


def test_gold_makes_up_its_rate_is_new_to_everybody_and_is_not_mixed_in_twice(ledger):
    every = questions(400)
    record_gold(ledger, better(every[300:]))
    plan_assignments(ledger, "one", every[:300], overlap=2)
    new = mix_gold(ledger, "one", rate=0.1)
    assert new == pytest.approx(600 / 9, abs=len(PEOPLE))
    assert mix_gold(ledger, "one", rate=0.1) == 0
    plan_assignments(ledger, "two", every[:300], overlap=2)
    mix_gold(ledger, "two", rate=0.1)
    given = [(row.annotator_id, row.task_id) for row in assigned(ledger) if row.is_gold]
    assert len(set(given)) == len(given), "nobody meets the same gold twice"
    for who in PEOPLE:
        mine = [row.is_gold for row in assigned(ledger, "one") if row.annotator_id == who]
        assert np.mean(mine) == pytest.approx(0.1, abs=0.02)


def test_nothing_that_the_server_is_sent_tells_gold_from_the_rest(ledger):
    """The same fields of the same forms; order on the server follows the identity, a hash."""
    every = questions(900)
    record_gold(ledger, better(every[600:]))
    plan_assignments(ledger, "one", every[:600], overlap=2)
    mix_gold(ledger, "one", rate=0.15)
    rows = assigned(ledger)
    kinds = {
        gold: {(tuple(row.data), len(row.assignment_id), row.data["warning"])
               for row in rows if row.is_gold is gold}
        for gold in (True, False)
    }  # fmt: skip
    assert kinds[True] == kinds[False]
    told = {"gold", "known", "turn", "source"}
    assert not any(told & set(json.loads(json.dumps(row.data))) for row in rows)
    places = [at / len(rows) for at, row in enumerate(rows) if row.is_gold]
    assert stats.kstest(places, "uniform").pvalue > 0.01
    sides = [row.left_id.endswith("a") for row in rows if row.is_gold]
    assert 0.4 < np.mean(sides) < 0.6


def test_small_rounds_hold_gold_by_chance_and_no_gold_comes_alone(ledger):
    every = questions(60)
    record_gold(ledger, better(every[30:]))
    assert mix_gold(ledger, "empty", rate=0.3) == 0
    plan_assignments(ledger, "small", every[:6], overlap=3)
    few = mix_gold(ledger, "small", rate=0.2)
    assert 1 <= few <= len(PEOPLE)


def test_without_gold_or_rate_nothing_is_mixed_in(ledger):
    plan_assignments(ledger, "one", questions(20), overlap=2)
    assert mix_gold(ledger, "one", rate=0.2) == 0
    record_gold(ledger, better(questions(30)[20:]))
    assert mix_gold(ledger, "one", rate=0.0) == 0
    with pytest.raises(FlywheelError, match="share in"):
        mix_gold(ledger, "one", rate=1.0)


def test_answers_to_gold_are_counted_against_what_is_known(ledger):
    """ann-0 answers the wrong way round, all others are right."""
    every = questions(80)
    record_gold(ledger, better(every[40:]))
    plan_assignments(ledger, "one", every[:40], overlap=6)
    mix_gold(ledger, "one", rate=0.2)
    answer_everything(ledger, lambda _task, who: -1 if who == "ann-0" else 1)
    found = gold_accuracy(annotations_of(ledger, "one"), gold_of(ledger)).to_pylist()
    assert [row["annotator_id"] for row in found] == list(PEOPLE)
    assert [row["accuracy"] for row in found] == [0.0] + [1.0] * 5
    assert all(10 <= row["answers"] <= 11 for row in found)


def test_what_a_lead_marks_is_known_by_side_and_wins_over_what_was_settled(ledger):
    every = questions(8)
    plan_assignments(ledger, "one", every, overlap=1)
    rows = assigned(ledger)
    record_gold(ledger, better(every, value=1.0, source="settled"))
    marks = [f"{row.assignment_id}={'A' if row.left_id.endswith('b') else 'B'}" for row in rows]
    marked = marked_gold(ledger, marks)
    assert record_gold(ledger, marked) == 8
    assert record_gold(ledger, marked) == 0
    assert record_gold(ledger, better(every, value=1.0, source="settled")) == 0
    told = gold_of(ledger).to_pylist()
    assert {(row["value"], row["source"]) for row in told} == {(-1.0, "lead")}
    with transaction(ledger, writes=False) as connection:
        stored = connection.execute(sa.select(GOLD)).first()
    assert stored.question["prompt"].startswith("p")


def test_a_critique_is_marked_aspect_by_aspect(tmp_path):
    ledger = open_ledger(tmp_path)
    record_people(ledger, [{"annotator_id": "ann-1", "user_id": 1, "address": "a"}],
                  [{"project_id": 1, "annotator_id": "ann-1",
                    "interface": "critique_text"}])  # fmt: skip
    asked = Question(task_id="c", prompt="p", first=questions(1)[0].first)
    plan_assignments(ledger, "one", [asked], overlap=1)
    [row] = assigned(ledger)
    said = [f"{row.assignment_id}=aesthetics:4", f"{row.assignment_id}=overall:2"]
    [known] = marked_gold(ledger, said)
    assert known.answers == {"aesthetics": 4.0, "overall": 2.0}
    assert known.question == asked
    for wrong in ("A", "aesthetics", "aesthetics:9", "temporal_consistency:3"):
        with pytest.raises(FlywheelError, match="say ASPECT:LEVEL") as refused:
            marked_gold(ledger, [f"{row.assignment_id}={wrong}"])
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("said", "says"), [("nothing=A", "no assignment"), ("{}=C", "say A, B")])
def test_a_mark_that_means_nothing_is_one_sentence(ledger, said, says):
    plan_assignments(ledger, "one", questions(1), overlap=1)
    with pytest.raises(FlywheelError, match=says) as refused:
        marked_gold(ledger, [said.format(assigned(ledger)[0].assignment_id)])
    assert "\n" not in str(refused.value)


def test_only_what_enough_people_agree_on_settles(ledger):
    """All agree on even questions, half of the people split on odd ones; the last has one judge."""
    every = questions(20)
    plan_assignments(ledger, "one", every[:-1], overlap=6)
    plan_assignments(ledger, "one", every[-1:], overlap=1)

    def say(task, who):
        return -1 if int(task[1:]) % 2 and int(who[-1]) % 2 else 1

    answer_everything(ledger, say)
    known = settled_questions(ledger, "one", every, least=3, sure=0.9)
    named = {int(each.question.task_id[1:]) for each in known}
    assert len(named) >= 8
    assert not any(n % 2 for n in named)
    assert {each.answers["overall"] for each in known} == {-1.0}
    assert settled_questions(ledger, "one", every, least=7, sure=0.9) == []
