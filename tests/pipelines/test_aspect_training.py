"""A reward model of aspects is a job like any other, has a page, and is asked only where wanted."""

import json
import shutil
from dataclasses import asdict

import dagster as dg
import numpy as np
import pytest
import yaml
from scipy.special import expit

from data_contracts.ids import CheckpointId
from pipelines.cli import run as flywheel
from pipelines.definitions import build_definitions
from pipelines.judging.page import report_table, write_report
from pipelines.post_training import ASSETS, dagster_job
from pipelines.settings import WheelSettings, write_resolved
from pipelines.stores import open_stores
from reward_models.aspect_calibration import AspectCalibration
from reward_models.aspect_report import JudgedPairs, aspect_figures
from reward_models.aspect_scorer import AspectRewardScorer, load_scorer

TURN = "turn-001"
KEYS = {
    "reward": dg.AssetKey(["reward_models", "reward_model"]),
    "aspects": dg.AssetKey(["reward_models", "aspect_model"]),
}


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
    # Those that the simulated annotators were asked about: nobody asks them if a disc is harmless.
    judged = ("aesthetics", "overall", "physical_plausibility", "prompt_alignment")
    assert scorer.aspects == judged
    result = json.loads((root / "jobs" / f"{TURN}-aspect_model.result.json").read_text())
    assert sorted(result["calibrations"]) == list(judged)
    page = tmp_path / "page.html"
    write_report(page, result, names={"turn": TURN, "checkpoint": "c"}, real=False)
    # So few prompts leave none to validate on, and the page does not pretend.
    assert "nothing is known of this model" in page.read_text()
    assert report_table(result) == "there were no validation pairs"


def figures_of(slope):
    """Return the result of a model whose log-odds are *slope* times what they should be."""
    rng = np.random.default_rng(0)
    lead = rng.normal(0, 2, 4000)
    # Turned so that the preferred one comes first: it leads as often as the log-odds say.
    lead = np.where(rng.random(4000) < expit(lead), lead, -lead)
    pairs = JudgedPairs(
        margin=slope * lead, longer=np.zeros(4000),
        masses=np.tile([1.0, 0.0], (4000, 1)), weight=np.ones(4000),
        prompts=(np.arange(4000) // 8).astype(str),
    )  # fmt: skip
    found = aspect_figures(pairs, calibrated=(AspectCalibration(),), rng=rng, resamples=100)
    return {
        "aspects": {"prompt_alignment": asdict(found)},
        "calibrations": {"prompt_alignment": AspectCalibration().model_dump()},
    }


def test_the_page_says_whether_its_odds_can_be_believed(tmp_path):
    page = tmp_path / "page.html"
    names = {"turn": TURN, "checkpoint": "c"}
    write_report(page, figures_of(1.0), names=names, real=False)
    assert "can be believed" in page.read_text()
    assert "simulated evidence" in page.read_text()
    write_report(page, figures_of(3.0), names=names, real=True)
    assert "cannot be taken at their word" in page.read_text()
    assert "simulated" not in page.read_text()
    assert "| prompt alignment | 4000 (0) | 0." in report_table(figures_of(1.0))


@pytest.mark.parametrize("scorer", KEYS)
def test_a_turn_trains_only_the_one_that_the_gate_asks(scorer, tmp_path):
    write_resolved(WheelSettings(scorer=scorer), tmp_path)
    job = build_definitions(tmp_path).resolve_job_def("turn")
    asked = {kind for kind, key in KEYS.items() if key in job.asset_layer.selected_asset_keys}
    assert asked == {scorer}


def test_post_training_trains_what_the_gate_asks_and_another_job_the_rest(tmp_path):
    names = {"reward": "reward_model", "aspects": "aspect_model"}
    policies = {"sft_policy", "dpo_policy", "policy_report", "released_policy"}
    for scorer, other in (("reward", "aspects"), ("aspects", "reward")):
        root = tmp_path / scorer
        root.mkdir()
        write_resolved(WheelSettings(scorer=scorer), root)
        made = {
            job: {
                key.path[-1]
                for key in build_definitions(root)
                .resolve_job_def(job)
                .asset_layer.selected_asset_keys
            }
            for job in ("post_training", "other_reward_model")
        }
        assert made["post_training"] == policies | {names[scorer], f"{names[scorer]}_report"}
        assert made["other_reward_model"] == {names[other], f"{names[other]}_report"}
        for kind, asset in ASSETS.items():
            assert asset.split("/")[-1] in made[dagster_job(kind, scorer)]


def test_the_launchpad_of_the_other_job_takes_it_and_post_training_does_not(
    nano_wheel, tmp_path, capsys
):
    job = tmp_path / "job.toml"
    job.write_text(f'kind = "reward"\nwheel = "{nano_wheel}"\n[settings]\nmax_steps = 3\n')
    assert flywheel(["train", "--job", str(job), "--launchpad"]) == 0
    told = capsys.readouterr().out
    assert "job other_reward_model" in told
    jobs = build_definitions(nano_wheel)
    dg.validate_run_config(jobs.resolve_job_def("other_reward_model"), yaml.safe_load(told))
    with pytest.raises(dg.DagsterInvalidConfigError):
        dg.validate_run_config(jobs.resolve_job_def("post_training"), yaml.safe_load(told))
