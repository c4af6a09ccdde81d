"""With people at the desk a turn is asked, waited for and learned from; nothing else starts it."""

import dagster as dg
import pytest

from data_contracts.errors import FlywheelError
from pipelines.definitions import build_definitions
from pipelines.demo import DemoOptions, demo_settings
from pipelines.labelling import answers_sensor as module
from pipelines.labelling.answers_sensor import answers_sensor
from pipelines.labelling.desk import LabelStudioDesk
from pipelines.labelling.sync import Synced
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
    left = {"more": [0], "open": 0}
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
    assert f"{TURN}: 3" in look(root, instance).skip_message
    server["open"] = 0
    assert f"{TURN}: 7" in look(root, instance).skip_message, "another round was asked"
    [request] = look(root, instance).run_requests
    assert request.partition_key == TURN


def test_a_server_that_is_down_is_waited_for(root, instance, server, monkeypatch):
    def away(_root, _client):
        raise FlywheelError("Label Studio does not answer")

    monkeypatch.setattr(module, "sync_answers", away)
    materialise(instance, "annotation_tasks")
    assert look(root, instance).skip_message == "Label Studio does not answer"
