"""The simulated annotators before a real server: what `flywheel demo --label-studio` does."""

import shutil

import pyarrow as pa
import pytest

from annotation.server import server_status
from data_contracts.schemas import ANNOTATION
from pipelines.demo import DemoOptions, demo_settings
from pipelines.labelling.desk import tasks_of
from pipelines.labelling.ledger import open_assignments, open_ledger
from pipelines.labelling.seated_desk import SeatedDesk
from pipelines.labelling.service import server_folder, take_down
from pipelines.labelling.sync import quarantined_of
from pipelines.settings import WheelSettings, write_resolved
from pipelines.stores import open_stores

pytestmark = pytest.mark.slow  # a real server and a nano turn; buys the demo's whole way of answers
TURN = "turn-001"


@pytest.fixture
def root(nano_wheel, tmp_path):
    """A wheel that has turned, with people seated at its desk."""
    copy = tmp_path / "wheel"
    shutil.copytree(nano_wheel, copy, symlinks=True)
    told = demo_settings(DemoOptions(nano=True)).model_dump() | {"desk": "seated"}
    write_resolved(WheelSettings.model_validate(told), copy)
    yield copy
    take_down(copy)


def test_every_task_is_answered_through_the_server_and_comes_back(root):
    """Comparisons in rounds, ratings three times; asking and answering again changes nothing."""
    tasks = tasks_of(open_stores(root), TURN)
    desk = SeatedDesk(root=str(root))
    desk.push(TURN, tasks)
    rows = desk.pull(TURN)
    ledger = open_ledger(root)
    assert open_assignments(ledger, TURN) == 0
    assert quarantined_of(ledger) == {}
    assert set(rows.schema.names) == set(ANNOTATION.names)
    said = pa.TableGroupBy(rows, ["kind", "generation_id", "other_generation_id", "aspect"])
    counts = said.aggregate([("annotator_id", "count_distinct")]).to_pylist()
    rated = {(r["generation_id"], r["aspect"]): r["annotator_id_count_distinct"]
             for r in counts if r["kind"] == "rating"}  # fmt: skip
    wanted = tasks.to_pylist()
    assert set(rated) == {(t["generation_id"], t["aspect"]) for t in wanted
                          if t["kind"] == "rating"}  # fmt: skip
    assert set(rated.values()) == {3}
    compared = {(r["generation_id"], r["other_generation_id"]): r["annotator_id_count_distinct"]
                for r in counts if r["kind"] == "comparison"}  # fmt: skip
    assert set(compared) == {(t["generation_id"], t["other_generation_id"]) for t in wanted
                             if t["kind"] == "comparison"}  # fmt: skip
    assert sum(compared.values()) <= 3 * len(compared)
    desk.push(TURN, tasks)
    assert desk.pull(TURN).equals(rows)
    assert server_status(server_folder(root)).state == "up"
