"""A candidate that only lacks people's word is given to them once, and its standing is shown."""

import json

import dagster as dg
import pytest
import sqlalchemy as sa
from blind_pair import AT, blind_pair
from small_server import SmallServer

from data_contracts.errors import FlywheelError
from pipelines.comparing import blind_sensor as module
from pipelines.comparing.asking import round_name
from pipelines.comparing.blind_sensor import SENSOR, blind_sensor, candidate_due
from pipelines.comparing.questions import questions_about
from pipelines.comparing.standing import standing_of
from pipelines.definitions import build_definitions
from pipelines.labelling.ledger import ASSIGNMENTS, open_ledger, record_people
from pipelines.settings import GateConfig, QueueConfig, WheelSettings, write_resolved
from pipelines.stores import open_stores
from pipelines.stores.catalogue_tables import transaction

TURN = "turn-001"
PROMPTS = [f"p{n:02d}" for n in range(12)]
PEOPLE = ("ann-1", "ann-2", "ann-3")


@pytest.fixture
def root(tmp_path):
    settle(tmp_path / "zone")
    return tmp_path / "zone"


def settle(root, **how):
    told = {"desk": "label_studio", "evidence": "real", "queue": QueueConfig(blind=30),
            "gate": GateConfig(min_human_prompts=10)}  # fmt: skip
    write_resolved(WheelSettings(**(told | how)), root)


@pytest.fixture
def stores(root):
    return open_stores(root)


@pytest.fixture
def pair(stores):
    """A candidate that lacks nothing but people's word, and the champion."""
    candidate, champion = blind_pair(stores, PROMPTS)
    train(stores, candidate, TURN)
    report(stores, candidate, champion, failed=("human", "calibration"))
    return candidate, champion


def train(stores, candidate, turn):
    """Let the asset of *turn* stand at the candidate."""
    stores.catalogue.swap_pointer(
        f"finetune/dpo_policy/{turn}", expected=None, new=candidate, reason="", by="test", at=AT
    )


def report(stores, candidate, champion, *, failed, turn=TURN):
    rules = ("win_rate", "human", "calibration", "vetoes")
    findings = [{"rule": rule, "passed": rule not in failed} for rule in rules]
    found = {"candidate": candidate, "champion": champion, "findings": findings}
    (stores.root / "jobs").mkdir(exist_ok=True)
    file = stores.root / "jobs" / f"{turn}-policy_report.result.json"
    file.write_text(json.dumps(found))


@pytest.fixture
def server(stores, monkeypatch):
    """A small Label Studio with three people seated before blind comparisons."""
    made = SmallServer()
    monkeypatch.setattr(module, "client_of", lambda root: made)
    record_people(
        open_ledger(stores.root),
        [{"annotator_id": who, "user_id": int(who[-1]), "address": who} for who in PEOPLE],
        [{"project_id": int(who[-1]), "annotator_id": who, "interface": "blind_image"}
         for who in PEOPLE],
    )  # fmt: skip
    return made


def look(root, cursor=None):
    with dg.build_sensor_context(cursor=cursor) as context:
        return blind_sensor(root)(context)


def given(stores, pair):
    with transaction(open_ledger(stores.root), writes=False) as connection:
        query = sa.select(ASSIGNMENTS).where(ASSIGNMENTS.c.turn == round_name(*pair))
        return connection.execute(query).all()


def let_answer(server, stores, pair):
    """Everybody prefers the candidate's picture."""
    mine = set(questions_about(stores, *pair)["generation_id"].to_pylist())
    for row in given(stores, pair):
        said = "left_much" if row.left_id in mine else "right_much"
        verdict = {"id": "v", "from_name": "overall", "to_name": "left", "type": "choices",
                   "origin": "manual", "value": {"choices": [said]}}  # fmt: skip
        server.answer(row.server_task, int(row.annotator_id[-1]), [verdict])


def told(result):
    [seen] = result.asset_events
    assert (seen.asset_key.path, seen.partition) == (["finetune", "policy_report"], TURN)
    return {name: value.value for name, value in seen.metadata.items()}


def test_people_are_asked_once_within_the_budget_and_their_word_is_shown(
    root, stores, pair, server
):
    first = look(root)
    assert len(server.tasks) == 30, "ten of twelve questions, three annotators each"
    shown = told(first)
    assert (shown["blind_questions"], shown["blind_questions_given"]) == (12, 10)
    assert (shown["blind_given"], shown["blind_answered"]) == (30, 0)
    assert "blind_too_few" not in shown
    again = look(root, first.cursor)
    assert len(server.tasks) == 30
    assert again.asset_events == [], "nothing new to show"
    let_answer(server, stores, pair)
    shown = told(look(root, again.cursor))
    assert (shown["blind_answered"], shown["blind_prompts_answered"]) == (30, 10)
    assert shown["blind_win_share"] == 1.0
    assert shown["blind_next"] == f"flywheel promote {pair[0][:12]}"
    human = standing_of(stores, pair[0], champion=pair[1], real=True).human
    assert (human.answers, human.prompts) == (30, 10), "the gate counts them"


def test_a_task_names_no_policy(root, stores, pair, server):
    look(root)
    sent = json.dumps([task["data"] for task in server.tasks.values()])
    hidden = [*pair, *questions_about(stores, *pair)["generation_id"].to_pylist()]
    assert not [name for name in hidden if name[:12] in sent]


def test_questions_that_come_later_cost_no_more_than_the_budget(root, stores, pair, server):
    look(root)
    settle(root, queue=QueueConfig(blind=33))
    look(root)
    assert len(server.tasks) == 33
    settle(root, queue=QueueConfig(blind=6))
    look(root)
    assert len(server.tasks) == 33, "nothing is taken back"


def test_a_budget_that_cannot_satisfy_the_gate_says_so(root, stores, pair, server):
    settle(root, queue=QueueConfig(blind=6))
    assert "raise [queue] blind" in told(look(root))["blind_too_few"]


def test_nobody_is_asked_without_a_budget(root, stores, pair, server):
    settle(root, queue=QueueConfig(blind=0))
    assert "no candidate waits" in look(root).skip_message
    assert server.tasks == {}


@pytest.mark.parametrize("failed", [("win_rate", "human"), ("vetoes",)])
def test_a_candidate_that_failed_otherwise_costs_people_nothing(stores, pair, failed):
    assert candidate_due(stores) is not None
    report(stores, *pair, failed=failed)
    assert candidate_due(stores) is None


def test_what_the_gate_would_not_count_is_not_asked(stores, pair):
    """A report of before the last release, a candidate that was trained anew, one released."""
    candidate, champion = pair
    report(stores, candidate, "0" * 64, failed=("human",))
    assert candidate_due(stores) is None
    report(stores, champion, champion, failed=("human",))
    assert candidate_due(stores) is None
    report(stores, candidate, champion, failed=("human",))
    assert candidate_due(stores).turn == TURN
    stores.catalogue.promote("policy", candidate, reason="by hand", by="test", at=AT)
    assert candidate_due(stores) is None


def test_an_older_turns_candidate_is_not_asked_about_any_more(stores, pair):
    candidate, champion = pair
    train(stores, candidate, "turn-002")
    assert candidate_due(stores).turn == TURN, "the next turn has no report yet"
    report(stores, candidate, champion, failed=("win_rate",), turn="turn-002")
    assert candidate_due(stores) is None


def test_a_server_that_is_down_or_an_empty_desk_is_waited_for(root, stores, pair, server):
    def away(*_given, **_how):
        raise FlywheelError("Label Studio does not answer")

    server.request = away
    assert look(root).skip_message == "Label Studio does not answer"


def test_it_runs_only_where_people_answer_and_their_word_is_asked_for(root):
    def sensors(**how):
        settle(root, **how)
        return {sensor.name for sensor in build_definitions(root).sensors}

    assert SENSOR in sensors()
    assert SENSOR not in sensors(desk="simulated")
    assert SENSOR not in sensors(evidence="simulated")
