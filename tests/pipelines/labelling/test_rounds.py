"""Rounds of comparisons: what was answered decides who is asked next, within the budget."""

from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa
from seated import PEOPLE, answer_everything, questions

from annotation.next_questions import QueueRules
from data_contracts.errors import FlywheelError
from pipelines.labelling.ledger import ASSIGNMENTS, open_assignments, open_ledger
from pipelines.labelling.planning import Question, plan_assignments
from pipelines.labelling.rounds import Budget, plan_round
from pipelines.stores.catalogue_tables import transaction

RULES = QueueRules(exploration=0.0, settled=0.9, most=6, per_prompt=9)
BUDGET = Budget(answers=3, each=4)


def overlap(ledger):
    with transaction(ledger, writes=False) as connection:
        rows = connection.execute(sa.select(ASSIGNMENTS.c.task_id, ASSIGNMENTS.c.annotator_id))
        given = [tuple(row) for row in rows]
    assert len(set(given)) == len(given), "nobody is asked the same twice"
    tasks = [task for task, _ in given]
    return {task: tasks.count(task) for task in tasks}


def turn_out(ledger, asked, say, *, rules=RULES, budget=BUDGET):
    """Ask round after round until nothing more is asked; return the rounds' sizes."""
    plan_assignments(ledger, "turn", asked, overlap=1)
    sizes = []
    rng = np.random.default_rng(0)
    while True:
        answer_everything(ledger, say)
        assert open_assignments(ledger, "turn") == 0
        sizes.append(plan_round(ledger, "turn", asked, rules=rules, budget=budget, rng=rng))
        if not sizes[-1]:
            return sizes


def test_people_who_split_are_asked_more_than_people_who_agree(ledger):
    """On half of the pairs all agree, on the others half of the annotators say the opposite."""
    asked = questions(16)

    def say(task, annotator):
        split = int(task[1:]) % 2 == 1
        return -1 if split and int(annotator[-1]) % 2 == 1 else 1

    turn_out(ledger, asked, say, rules=replace(RULES, settled=0.8))
    count = overlap(ledger)
    agreed = np.mean([count[q.task_id] for q in asked[::2]])
    split = np.mean([count[q.task_id] for q in asked[1::2]])
    assert split > agreed + 0.5
    assert max(count.values()) <= RULES.most


def test_a_turn_never_costs_more_than_its_budget(ledger):
    def say(task, annotator):
        return 1 if int(task[1:] + annotator[-1]) % 3 else -1

    sizes = turn_out(ledger, questions(10), say, budget=Budget(answers=1.5, each=4))
    assert 10 + sum(sizes) <= 15
    assert sizes[-1] == 0


def test_nobody_gets_more_in_a_round_than_their_share(ledger):
    asked = questions(30)
    plan_assignments(ledger, "turn", asked, overlap=1)
    answer_everything(ledger, lambda _task, _who: 1)
    with transaction(ledger, writes=False) as connection:
        before = set(connection.execute(sa.select(ASSIGNMENTS.c.assignment_id)).scalars())
    rng = np.random.default_rng(0)
    assert plan_round(ledger, "turn", asked, rules=RULES, budget=Budget(answers=3, each=2), rng=rng)
    with transaction(ledger, writes=False) as connection:
        new = [row.annotator_id for row in connection.execute(sa.select(ASSIGNMENTS))
               if row.assignment_id not in before]  # fmt: skip
    assert max(new.count(name) for name in PEOPLE) <= 2


def test_critiques_are_left_alone(ledger):
    rated = Question(task_id="c", prompt="p", first=questions(1)[0].first)
    rng = np.random.default_rng(0)
    assert plan_round(ledger, "turn", [rated], rules=RULES, budget=BUDGET, rng=rng) == 0


def test_nobody_to_ask_is_one_sentence(tmp_path):
    rng = np.random.default_rng(0)
    with pytest.raises(FlywheelError, match="nobody answers pair_text") as refused:
        plan_round(open_ledger(tmp_path), "t", questions(1), rules=RULES, budget=BUDGET, rng=rng)
    assert "\n" not in str(refused.value)
