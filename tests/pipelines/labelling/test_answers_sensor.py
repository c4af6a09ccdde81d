"""With people at the desk a turn is asked, waited for and learned from; nothing else starts it."""

import os
import time

import dagster as dg
import pytest
from seated import answer_everything, questions

from data_contracts.errors import FlywheelError
from pipelines.definitions import build_definitions
from pipelines.demo import DemoOptions, demo_settings
from pipelines.labelling import answers_sensor as module
from pipelines.labelling.answers_sensor import answers_sensor
from pipelines.labelling.desk import LabelStudioDesk
from pipelines.labelling.gold import Known, mix_gold, record_gold
from pipelines.labelling.planning import plan_assignments
from pipelines.labelling.sync import Synced
from pipelines.labelling.waking import wake
from pipelines.settings import WheelSettings, write_resolved

TURN = "turn-001"


@pytest.fixture
def root(tmp_path):
    told = demo_settings(DemoOptions(nano=True)).model_dump() | {"desk": "label_studio"}
    write_resolved(WheelSettings.model_validate(told), tmp_path)
    return tmp_path


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        made.add_dynamic_partitions("turn", [TURN])
        yield made


@pytest.fixture
def ledger_of_turn(root, ledger):
    """Two questions that all six annotators answered alike, one of them gold."""
    record_gold(ledger, [Known(question=questions(2)[1], answers={"overall": -1.0},
                               source="file")])  # fmt: skip
    plan_assignments(ledger, TURN, questions(1), overlap=6)
    mix_gold(ledger, TURN, rate=0.5)
    answer_everything(ledger, lambda *_: 1)


def materialise(instance, name):
    instance.report_runless_asset_event(
        dg.AssetMaterialization(["annotation", name], partition=TURN)
    )


def look(root, instance):
    with dg.build_sensor_context(instance=instance) as context:
        return answers_sensor(root)(context)


@pytest.fixture
def server(monkeypatch):
    """A Label Studio that says what a test wants: rounds still to ask, answers still to come."""
    left = {"more": [0], "open": 0, "pushed": 0}

    def push(_root, _client):
        left["pushed"] += 1

    monkeypatch.setattr(module, "push_assignments", push)
    monkeypatch.setattr(
        module,
        "_observed",
        lambda _root, turns: [
            dg.AssetObservation(["annotation", "annotations"], partition=t, metadata={"answers": 2})
            for t in turns
        ],
    )
    monkeypatch.setattr(module, "client_of", lambda root: None)
    monkeypatch.setattr(module, "sync_answers", lambda root, client: Synced(accepted=2))
    monkeypatch.setattr(LabelStudioDesk, "ask_more", lambda *_: left["more"].pop(0))
    monkeypatch.setattr(module, "open_assignments", lambda *_: left["open"])
    return left


def test_a_turn_is_halved_where_people_answer(root):
    definitions = build_definitions(root)
    asked, learned = (
        set(definitions.resolve_job_def(name).graph.node_dict) for name in ("ask", "learn")
    )
    whole = set(definitions.resolve_job_def("turn").graph.node_dict)
    assert asked | learned == whole
    assert asked & learned == set()
    assert "annotation__annotation_tasks" in asked
    assert "annotation__annotations" in learned


def test_nothing_waits(root, instance, server):
    assert "no turn waits" in look(root, instance).skip_message
    materialise(instance, "annotation_tasks")
    materialise(instance, "annotations")
    assert "no turn waits" in look(root, instance).skip_message


def test_a_turn_goes_on_when_everything_is_answered_and_settled(root, instance, server):
    materialise(instance, "annotation_tasks")
    server.update(more=[0, 7, 0], open=3)
    assert f"{TURN}: 3" in look(root, instance).skip_reason.skip_message
    server["open"] = 0
    again = look(root, instance).skip_reason.skip_message
    assert f"{TURN}: 7" in again, "another round was asked"
    result = look(root, instance)
    [request] = result.run_requests
    assert request.partition_key == TURN
    assert server["pushed"] == 3, "what a day's budget held back is sent"
    [seen] = result.asset_events
    assert (seen.partition, seen.metadata["answers"].value) == (TURN, 2)


def test_what_was_pulled_is_told_in_numbers(root, ledger_of_turn):
    [seen] = module._observed(root, [TURN])
    told = {name: value.value for name, value in seen.metadata.items()}
    assert seen.asset_key.path == ["annotation", "annotations"]
    assert (told["answers"], told["annotators"], told["gold_right"]) == (12, 6, 1.0)
    assert told["agrees_with_others"] == 1.0
    assert "alpha_comparison_overall" not in told, "of one mind throughout: not defined"


def test_a_server_that_is_down_is_waited_for(root, instance, server, monkeypatch):
    def away(_root, _client):
        raise FlywheelError("Label Studio does not answer")

    monkeypatch.setattr(module, "sync_answers", away)
    materialise(instance, "annotation_tasks")
    assert look(root, instance).skip_message == "Label Studio does not answer"


def test_it_pulls_when_somebody_was_heard_and_twice_a_minute_in_any_case(root, instance, server):
    """Polls at 0 s, at 30 s, and at 40 s because of an answer at 38 s; each look costs 5 s."""
    materialise(instance, "annotation_tasks")
    server.update(more=[0] * 20, open=1)
    begin, cursor, pulled = time.time(), None, []
    for after in range(0, 60, 5):
        if after == 40:
            wake(root)
            os.utime(root / "labelling" / ".answered", (begin + 38, begin + 38))
        with dg.build_sensor_context(instance=instance, cursor=cursor) as context:
            before = server["pushed"]
            answers_sensor(root, clock=lambda now=begin + after: now)(context)
            cursor = context.cursor
        if server["pushed"] > before:
            pulled.append(after)
    assert pulled == [0, 30, 40]
