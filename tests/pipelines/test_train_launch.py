"""Launching: the answer of a process counts, whatever becomes of its last message."""

import json
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest

from pipelines.piped import answer_file
from pipelines.train_launch import launch

NOTHING = dg.GraphDefinition(name="j")


class Silent:
    """A Pipes client whose reader stopped before the last message."""

    def __init__(self, answer):
        self._answer = answer

    def run(self, *, command, context, env):
        if self._answer is not None:
            answer_file(Path(command[-1])).write_text(json.dumps(self._answer))


def launched(root, answer):
    wheel = SimpleNamespace(
        stores=SimpleNamespace(root=root), settings=SimpleNamespace(own_processes=True)
    )
    with dg.DagsterInstance.ephemeral() as instance:
        run_id = instance.create_run_for_job(dg.JobDefinition(name="j", graph_def=NOTHING)).run_id
        context = SimpleNamespace(partition_key="turn-001", instance=instance, run_id=run_id)
        return launch(
            context, Silent(answer), wheel, module="pipelines.training", name="x", job={"a": 1}
        )


def test_the_answer_is_read_from_its_file(tmp_path):
    assert launched(tmp_path, {"checkpoint": "c"}) == {"checkpoint": "c"}
    result = tmp_path / "jobs" / "turn-001-x.result.json"
    assert json.loads(result.read_text()) == {"checkpoint": "c"}


def test_an_old_answer_is_never_taken_for_a_new_one(tmp_path):
    launched(tmp_path, {"checkpoint": "c"})
    with pytest.raises(dg.Failure, match="without an answer"):
        launched(tmp_path, None)
