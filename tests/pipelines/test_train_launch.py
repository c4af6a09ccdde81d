"""Launching: the answer of a process counts, whatever becomes of its last message."""

import json
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest
from blind_pair import AT, policy

from pipelines.assets.reward_models import aspect_model_report, reward_model_report
from pipelines.assets.turns import TURNS
from pipelines.piped import answer_file
from pipelines.resources import Wheel
from pipelines.stores import open_stores
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


def test_a_result_is_replaced_whole(tmp_path):
    """Who reads the old one while the new one is written reads all of it."""
    launched(tmp_path, {"checkpoint": "old"})
    with (tmp_path / "jobs" / "turn-001-x.result.json").open() as reading:
        launched(tmp_path, {"checkpoint": "new"})
        assert json.load(reading) == {"checkpoint": "old"}


@pytest.mark.parametrize("asset", [aspect_model_report, reward_model_report])
@pytest.mark.parametrize("figures", [None, "of another"])
def test_a_report_refuses_the_figures_of_another_model(tmp_path, asset, figures):
    """A training stores its model, and is killed before it says what it reached."""
    name = asset.key.path[-1].removesuffix("_report")
    stores = open_stores(tmp_path)
    model, other = policy(stores, 1.0), policy(stores, 2.0)
    stores.catalogue.swap_pointer(f"reward_models/{name}/turn-001", expected=None, new=model,
                                  reason="trained", by="test", at=AT)  # fmt: skip
    told = {"checkpoint": other, "validation": {"mean": 0.9, "low": 0.8, "high": 1.0}}
    (tmp_path / "jobs").mkdir()
    if figures:
        (tmp_path / "jobs" / f"turn-001-{name}.result.json").write_text(json.dumps(told))
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(TURNS.name, ["turn-001"])
        with pytest.raises(dg.Failure, match=f"{name} stands at {model[:12]}, but its figures"):
            dg.materialize([asset], partition_key="turn-001", instance=instance,
                           resources={"wheel": Wheel(root=str(tmp_path))})  # fmt: skip


def test_an_old_answer_is_never_taken_for_a_new_one(tmp_path):
    launched(tmp_path, {"checkpoint": "c"})
    with pytest.raises(dg.Failure, match="without an answer"):
        launched(tmp_path, None)
