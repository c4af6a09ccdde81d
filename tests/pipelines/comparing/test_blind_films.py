"""Films are compared blindly as pictures are: asked, played, answered, counted by the gate."""

import json

import pytest
import sqlalchemy as sa
from blind_pair import AT, blind_pair, film
from small_server import SmallServer

from backbone.films import film_timing
from data_contracts.ids import Digest
from pipelines.cli import DONE, MISTAKE
from pipelines.cli import run as flywheel
from pipelines.comparing.asking import ask_people, round_name, take_answers, tasks_to_give
from pipelines.comparing.questions import blind_questions, questions_about
from pipelines.comparing.standing import standing_of
from pipelines.labelling.ledger import ASSIGNMENTS, open_ledger, record_people
from pipelines.stores import open_stores
from pipelines.stores.catalogue_tables import transaction

PROMPTS = [f"p{n}" for n in range(4)]
PEOPLE = ("ann-1", "ann-2")


@pytest.fixture
def stores(tmp_path):
    return open_stores(tmp_path / "zone")


@pytest.fixture
def pair(stores):
    return blind_pair(stores, PROMPTS, drawn_by=film)


def seat(stores, interface, first=0):
    record_people(
        open_ledger(stores.root),
        [{"annotator_id": who, "user_id": int(who[-1]), "address": who} for who in PEOPLE],
        [{"project_id": first + int(who[-1]), "annotator_id": who, "interface": interface}
         for who in PEOPLE],
    )  # fmt: skip


def given(stores, pair):
    with transaction(open_ledger(stores.root), writes=False) as connection:
        query = sa.select(ASSIGNMENTS).where(ASSIGNMENTS.c.turn == round_name(*pair))
        return connection.execute(query).all()


def test_films_are_given_to_who_compares_films(stores, pair, capsys):
    """Whoever compares pictures gets none: the refusal names the interface that is missing."""
    assert {q.interface for q in blind_questions(stores, *pair)} == {"blind_video"}
    seat(stores, "blind_image")
    words = ["annotate", "blind", pair[0][:12], "--root", str(stores.root), "--dry-run"]
    assert flywheel(words) == MISTAKE
    assert "--interface blind_video" in capsys.readouterr().err
    seat(stores, "blind_video", first=10)
    assert flywheel([*words, "--overlap", "2", "--json"]) == DONE
    assert json.loads(capsys.readouterr().out)["new_tasks"] == dict.fromkeys(PEOPLE, 4)
    assert tasks_to_give(stores, *pair, overlap=1).keys() <= set(PEOPLE)


def test_a_film_goes_out_with_its_timing_and_its_answers_reach_the_gate(stores, pair):
    """Two people prefer the candidate in all four: 8 answers, a win share of 1."""
    seat(stores, "blind_video")
    server = SmallServer()
    assert ask_people(stores, *pair, server, overlap=2) == 8
    blob = questions_about(stores, *pair)["blob"][0].as_py()
    frames, rate = film_timing(stores.blobs.get(Digest(blob)))
    assert frames == 4
    for task in server.tasks.values():
        assert (task["data"]["frames"], task["data"]["fps"]) == (frames, rate)
        assert {task["data"][side].rsplit("/", 1)[1] for side in ("left", "right")} == {
            "left", "right",
        }  # fmt: skip
    mine = set(questions_about(stores, *pair)["generation_id"].to_pylist())
    for row in given(stores, pair):
        said = "left_much" if row.left_id in mine else "right_much"
        verdict = {"id": "v", "from_name": "overall", "to_name": "left", "type": "choices",
                   "origin": "manual", "value": {"choices": [said]}}  # fmt: skip
        server.answer(row.server_task, int(row.annotator_id[-1]), [verdict])
    found = take_answers(stores, *pair, server, by="test", at=AT)
    assert (found.answered, found.quarantined) == (8, 0)
    human = standing_of(stores, pair[0], champion=pair[1], real=True).human
    assert (human.answers, human.prompts, human.win_share.mean) == (8, 4, 1.0)
