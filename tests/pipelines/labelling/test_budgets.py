"""Budgets: nobody has more before them than a day's work, and the rest goes on other days."""

from datetime import timedelta
from itertools import count

import pytest
import sqlalchemy as sa
from seated import NOON, answer_everything, questions

from data_contracts.errors import FlywheelError
from pipelines.labelling.budgets import allowance, budgets_of, set_budget
from pipelines.labelling.ledger import ASSIGNMENTS
from pipelines.labelling.planning import plan_assignments
from pipelines.labelling.push import push_assignments
from pipelines.stores.catalogue_tables import transaction


class Server:
    """A Label Studio that takes every task and numbers it."""

    def __init__(self):
        self.tasks, self._numbers = {}, count(1)

    def request(self, method, path, **more):
        if method == "GET":
            named = [int(each) for each in more["params"]["ids"].split(",")]
            counts = [{"id": n, "task_number": len(self.tasks.get(n, []))} for n in named]
            return {"results": counts}
        project = int(path.split("/")[2])
        taken = [next(self._numbers) for _ in more["json"]]
        self.tasks.setdefault(project, []).extend(taken)
        return {"task_ids": taken}


def sent(ledger):
    with transaction(ledger, writes=False) as connection:
        rows = connection.execute(
            sa.select(ASSIGNMENTS.c.annotator_id, sa.func.count())
            .where(ASSIGNMENTS.c.server_task.is_not(None))
            .group_by(ASSIGNMENTS.c.annotator_id)
        ).all()
    return dict(rows)


def test_a_day_is_spent_answered_and_begun_anew(tmp_path, ledger):
    server = Server()
    plan_assignments(ledger, "one", questions(20), overlap=6)
    assert set_budget(ledger, ["ann-0"], 5) == ["ann-0"]

    def push(hours):
        return push_assignments(tmp_path, server, now=NOON + timedelta(hours=hours))

    assert push(0) == 5 * 20 + 5
    assert sent(ledger)["ann-0"] == 5
    assert push(24) == 0, "what was not answered yesterday is today's work"
    answer_everything(ledger, lambda *_: 1, moment=NOON, arrived=True)
    assert push(1) == 0
    assert allowance(ledger, now=NOON)["ann-0"] == 0
    assert push(24) == 5
    assert push(25) == 0
    set_budget(ledger, [], None)
    assert push(25) == 10
    assert sent(ledger) == {f"ann-{n}": 20 for n in range(6)}


def test_everybody_gets_one_when_nobody_is_named(ledger):
    assert len(set_budget(ledger, [], 40)) == 6
    set_budget(ledger, ["ann-1"], 10)
    assert budgets_of(ledger) == {f"ann-{n}": 10 if n == 1 else 40 for n in range(6)}


@pytest.mark.parametrize(("names", "per_day", "says"), [(["eve"], 5, "no annotator eve"),
                                                        ([], -1, "at least 0")])  # fmt: skip
def test_a_budget_for_nobody_or_of_nothing_is_one_sentence(ledger, names, per_day, says):
    with pytest.raises(FlywheelError, match=says):
        set_budget(ledger, names, per_day)
