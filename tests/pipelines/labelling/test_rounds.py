"""Rounds of comparisons: what was answered decides who is asked next, within the budget."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import sqlalchemy as sa

from annotation.next_questions import QueueRules
from data_contracts.errors import FlywheelError
from pipelines.labelling.ledger import (
    ANSWERS,
    ASSIGNMENTS,
    open_assignments,
    open_ledger,
    record_people,
)
from pipelines.labelling.planning import Question, Shown, plan_assignments
from pipelines.labelling.rounds import Budget, plan_round
from pipelines.stores.catalogue_tables import transaction

PEOPLE = tuple(f"ann-{n}" for n in range(6))
RULES = QueueRules(exploration=0.0, settled=0.9, most=6, per_prompt=9)
BUDGET = Budget(answers=3, each=4)


@pytest.fixture
def ledger(tmp_path):
    opened = open_ledger(tmp_path)
    record_people(
        opened,
        [{"annotator_id": name, "user_id": n, "address": name} for n, name in enumerate(PEOPLE)],
        [{"project_id": n, "annotator_id": name, "interface": "pair_text"}
         for n, name in enumerate(PEOPLE)],
    )  # fmt: skip
    return opened


def questions(count):
    """Pairs of prompts of their own; the generation whose name ends in b is the better one."""

    def shown(name):
        return Shown(generation_id=name, modality="text", text=name)

    return [Question(task_id=f"t{n}", prompt=f"p{n}", first=shown(f"g{n}a"), other=shown(f"g{n}b"))
            for n in range(count)]  # fmt: skip


def answer_everything(ledger, say):
    """Let everybody answer what they were given; say(task, annotator) is 1 for b, -1 for a."""
    with transaction(ledger) as connection:
        given = connection.execute(
            sa.select(ASSIGNMENTS).where(ASSIGNMENTS.c.server_task.is_(None))
        ).all()
        numbers = iter(range(connection.execute(
            sa.select(sa.func.count()).select_from(ANSWERS)).scalar_one() + 1, 10_000))  # fmt: skip
        for row, number in zip(given, numbers, strict=False):
            first, other = sorted((row.left_id, row.right_id))
            connection.execute(
                sa.update(ASSIGNMENTS)
                .where(ASSIGNMENTS.c.assignment_id == row.assignment_id)
                .values(server_task=number)
            )
            said = {
                "annotation_id": f"an{number:05d}", "task_id": row.task_id, "kind": "comparison",
                "annotator_id": row.annotator_id, "generation_id": first, "aspect": "overall",
                "other_generation_id": other, "value": -1.0 * say(row.task_id, row.annotator_id),
                "scale": "-2..2", "shown_left": row.left_id,
                "updated_at": datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
            }  # fmt: skip
            connection.execute(
                sa.insert(ANSWERS).values(
                    server_annotation=number,
                    project_id=row.project_id,
                    server_task=number,
                    updated_at="",
                    state="accepted",
                    rows=[said],
                )
            )


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
