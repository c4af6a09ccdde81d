"""Blind questions are given out once, and what comes back stands where the gate looks."""

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa
from blind_pair import AT, blind_pair

from pipelines.cli import DONE, MISTAKE
from pipelines.cli import run as flywheel
from pipelines.comparing import asking
from pipelines.comparing.asking import round_name, take_answers, tasks_to_give
from pipelines.comparing.questions import blind_questions, questions_about
from pipelines.comparing.standing import standing_of
from pipelines.labelling.ledger import ANSWERS, ASSIGNMENTS, open_ledger, record_people
from pipelines.labelling.planning import plan_assignments
from pipelines.stores import open_stores
from pipelines.stores.catalogue_tables import transaction

PROMPTS = [f"p{n}" for n in range(6)]


@pytest.fixture
def stores(tmp_path):
    """A zone with a released champion, a candidate, and six questions about them."""
    opened = open_stores(tmp_path / "zone")
    blind_pair(opened, PROMPTS)
    return opened


@pytest.fixture
def pair(stores):
    champion = stores.catalogue.release("policy")
    (candidate,) = set(stores.checkpoints.ids()) - {champion}
    return candidate, champion


def seat(stores, *people):
    """Let these people answer blind questions; return the ledger."""
    ledger = open_ledger(stores.root)
    record_people(
        ledger,
        [{"annotator_id": who, "user_id": int(who[-1]), "address": who} for who in people],
        [{"project_id": int(who[-1]), "annotator_id": who, "interface": "blind_image"}
         for who in people],
    )  # fmt: skip
    return ledger


def given_to(ledger):
    with transaction(ledger, writes=False) as connection:
        rows = connection.execute(sa.select(ASSIGNMENTS)).all()
    return [(row.task_id, row.annotator_id) for row in rows]


def let_answer(ledger, value):
    """Write what the sync would have written: everybody says *value* for the left picture."""
    with transaction(ledger) as connection:
        connection.execute(sa.delete(ANSWERS))
        for number, row in enumerate(connection.execute(sa.select(ASSIGNMENTS)).all(), start=1):
            said = {
                "annotation_id": f"an{number:03d}", "task_id": row.task_id, "kind": "comparison",
                "annotator_id": row.annotator_id, "generation_id": row.left_id,
                "other_generation_id": row.right_id, "aspect": "overall", "value": value(row),
                "scale": "-2..2", "shown_left": row.left_id, "is_gold": False,
                "updated_at": (AT - timedelta(hours=1)).isoformat(),
            }  # fmt: skip
            connection.execute(
                sa.update(ASSIGNMENTS)
                .where(ASSIGNMENTS.c.assignment_id == row.assignment_id)
                .values(server_task=number)
            )
            connection.execute(
                sa.insert(ANSWERS).values(
                    server_annotation=number, project_id=row.project_id, server_task=number,
                    updated_at="2026-01-01T12:00:00Z", state="accepted", rows=[said],
                )
            )  # fmt: skip


def test_who_joins_later_is_given_nothing_that_others_have(stores, pair):
    ledger = seat(stores, "ann-1", "ann-2")
    name, questions = round_name(*pair), blind_questions(stores, *pair)
    assert tasks_to_give(stores, *pair, overlap=2) == {"ann-1": 6, "ann-2": 6}
    assert plan_assignments(ledger, name, questions, overlap=2) == 12
    seat(stores, "ann-3", "ann-4")
    assert tasks_to_give(stores, *pair, overlap=2) == {}
    assert plan_assignments(ledger, name, questions, overlap=2) == 0
    assert plan_assignments(ledger, name, questions, overlap=3) == 6
    given = given_to(ledger)
    assert len(set(given)) == len(given) == 18


def test_answers_stand_as_the_ledger_has_them_now(stores, pair, monkeypatch):
    """All prefer the candidate, whichever side; then all change their mind; then all are gone."""
    monkeypatch.setattr(asking, "sync_answers", lambda root, client, **how: None)
    ledger = seat(stores, "ann-1", "ann-2")
    plan_assignments(ledger, round_name(*pair), blind_questions(stores, *pair), overlap=2)
    mine = set(questions_about(stores, *pair)["generation_id"].to_pylist())

    def pull():
        found = take_answers(stores, *pair, client=None, by="test", at=AT)
        standing = standing_of(stores, pair[0], champion=pair[1], real=True)
        assert standing.human == found.human
        return found

    assert (pull().given, pull().human) == (12, None)
    let_answer(ledger, lambda row: 2.0 if row.left_id in mine else -2.0)
    told = pull()
    assert (told.answered, told.human.answers, told.human.prompts) == (12, 12, 6)
    assert told.human.win_share.mean == 1.0
    assert pull() == told
    let_answer(ledger, lambda row: -1.0 if row.left_id in mine else 1.0)
    assert pull().human.win_share.mean == 0.0
    assert stores.append.read("annotations").num_rows == 12
    with transaction(ledger) as connection:
        connection.execute(sa.delete(ANSWERS))
    assert pull().human is None
    assert stores.append.read("annotations").num_rows == 0


def test_a_dry_run_says_who_would_get_how_many(stores, pair, capsys):
    ledger = seat(stores, "ann-1", "ann-2", "ann-3")
    words = ["annotate", "blind", pair[0][:12], "--root", str(stores.root), "--overlap", "1"]
    assert flywheel([*words, "--dry-run", "--json"]) == DONE
    told = json.loads(capsys.readouterr().out)
    assert sum(told["new_tasks"].values()) == 6
    assert (told["candidate"], told["champion"]) == pair
    assert given_to(ledger) == []


def test_mistakes_are_one_sentence(stores, pair, capsys):
    where = ("--root", str(stores.root))

    def refused(*words):
        assert flywheel(["annotate", "blind", *words, *where]) == MISTAKE
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        return said

    candidate, champion = pair
    assert "run `flywheel annotate up`" in refused(candidate)
    assert "--interface blind_image" in refused(candidate, "--dry-run")
    swapped = refused(champion, "--against", candidate, "--dry-run")
    assert f"flywheel evaluate {champion[:12]} --against {candidate[:12]}" in swapped
    assert "compared with itself" in refused(champion)
