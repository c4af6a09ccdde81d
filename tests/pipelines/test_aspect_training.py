"""A reward model of aspects is a job like any other, has a page, and is asked only where wanted."""

import json
import shutil

import dagster as dg

from data_contracts.ids import CheckpointId
from pipelines.cli import run as flywheel
from pipelines.definitions import build_definitions
from pipelines.judging.page import report_table, write_report
from pipelines.settings import read_resolved, write_resolved
from pipelines.stores import open_stores
from reward_models.aspect_scorer import AspectRewardScorer, load_scorer

TURN = "turn-001"
KEY = dg.AssetKey(["reward_models", "aspect_model"])


def test_its_job_file_trains_a_scorer_with_a_page(nano_wheel, tmp_path, capsys):
    root = tmp_path / "wheel"
    shutil.copytree(nano_wheel, root)
    job = tmp_path / "job.toml"
    job.write_text(f'kind = "aspects"\nwheel = "{root}"\n[settings]\nmax_steps = 2\n')
    code = flywheel(["train", "--job", str(job), "--json"])
    told = capsys.readouterr()
    assert code == 0, told.err
    stores = open_stores(root)
    checkpoint = json.loads(told.out)["checkpoint"]
    assert stores.catalogue.pointer(f"reward_models/aspect_model/{TURN}") == checkpoint
    assert stores.checkpoints.manifest(CheckpointId(checkpoint)).kind == "aspects"
    scorer = load_scorer(stores.checkpoints.path(CheckpointId(checkpoint)), device="cpu")
    assert isinstance(scorer, AspectRewardScorer)
    assert scorer.aspects == ("overall",)
    result = json.loads((root / "jobs" / f"{TURN}-aspect_model.result.json").read_text())
    page = tmp_path / "page.html"
    write_report(page, result, names={"turn": TURN, "checkpoint": "c"}, real=False)
    assert "simulated evidence" in page.read_text()
    assert "overall" in report_table(result)


def test_a_turn_trains_it_only_where_the_gate_asks_it(nano_wheel, tmp_path):
    root = tmp_path / "wheel"
    root.mkdir()
    settings = read_resolved(nano_wheel)
    trained = {}
    for scorer in ("reward", "aspects"):
        write_resolved(settings.model_copy(update={"scorer": scorer}), root)
        job = build_definitions(root).resolve_job_def("turn")
        trained[scorer] = KEY in job.asset_layer.selected_asset_keys
    assert trained == {"reward": False, "aspects": True}
