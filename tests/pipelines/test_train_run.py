"""An engineer's run: a job file, the launchpad and a turn of the wheel resolve to the same."""

import json
import os
import re
import shutil
from pathlib import Path

import dagster as dg
import pytest
import yaml

from data_contracts.errors import FlywheelError
from finetune.config import DpoConfig, SftConfig
from pipelines.assets.launchpad import AspectChanges, DpoChanges, RewardChanges, SftChanges
from pipelines.cli import run as flywheel
from pipelines.definitions import build_definitions
from pipelines.post_training import newest_turn, read_job
from pipelines.stores import open_stores
from reward_models.config import AspectConfig, RewardConfig

TURN = "turn-001"
CHANGES = "beta = 0.2\nmax_steps = 3\nlearning_rate = 1e-4\n"


@pytest.fixture
def wheel(nano_wheel, tmp_path):
    root = tmp_path / "wheel"
    shutil.copytree(nano_wheel, root)
    return root


def job_file(folder: Path, wheel: Path, *, kind="dpo", changes=CHANGES, turn="") -> Path:
    file = folder / "job.toml"
    file.write_text(f'kind = "{kind}"\nwheel = "{wheel}"\nturn = "{turn}"\n[settings]\n{changes}')
    return file


def answer(capsys, *words):
    code = flywheel([str(w) for w in words])
    told = capsys.readouterr()
    assert code == 0, told.err
    return told.out


def test_file_and_launchpad_give_the_same_run(wheel, tmp_path, capsys):
    """Same digest from a dry run, the command and Dagster; same weights from both that train."""
    file = job_file(tmp_path, wheel)
    planned = json.loads(answer(capsys, "train", "--job", file, "--dry-run", "--json"))
    told = json.loads(answer(capsys, "train", "--job", file, "--json"))
    pasted = answer(capsys, "train", "--job", file, "--launchpad")
    comments = dict(re.findall(r"^# (\w+): (.*)$", pasted, flags=re.MULTILINE))
    config = yaml.safe_load(pasted)
    before = open_stores(wheel).catalogue.pointer(f"finetune/dpo_policy/{TURN}")
    assert told["checkpoint"] == before

    os.environ["DAGSTER_HOME"] = str(wheel / "dagster")
    result = (
        build_definitions(wheel)
        .resolve_job_def("post_training")
        .execute_in_process(
            instance=dg.DagsterInstance.get(),
            partition_key=comments["partition"],
            run_config=config,
            asset_selection=[dg.AssetKey(["finetune", "dpo_policy"])],
        )
    )
    (made,) = result.asset_materializations_for_node("finetune__dpo_policy")
    assert made.metadata["configuration_digest"].value == told["digest"] == planned["digest"]
    assert comments["digest"] == told["digest"]
    assert made.metadata["checkpoint"].value == told["checkpoint"]
    assert planned["pairs"]["train"] > 0
    assert planned["memory_mb"] > 100
    assert planned["seconds"] > planned["seconds_a_step"] > 0


def test_a_dry_run_stores_nothing(wheel, tmp_path, capsys):
    def held():
        files = [f for f in wheel.rglob("*") if f.is_file() and "scratch" not in f.parts]
        return {f: f.stat().st_mtime_ns for f in files if ".lock" not in f.name}

    checkpoints, before = open_stores(wheel).checkpoints.ids(), held()
    answer(capsys, "train", "--job", job_file(tmp_path, wheel), "--dry-run")
    assert open_stores(wheel).checkpoints.ids() == checkpoints
    touched = {f.name for f, changed in held().items() if before.get(f) != changed}
    assert touched <= {"catalogue.sqlite", "catalogue.sqlite-wal", "catalogue.sqlite-shm"}


def test_a_run_over_several_processes_is_rehearsed_by_its_share(wheel, tmp_path, capsys):
    changes = CHANGES + "expected_world_size = 8\nbatch_size = 16\n"
    file = job_file(tmp_path, wheel, changes=changes)
    planned = json.loads(answer(capsys, "train", "--job", file, "--dry-run", "--json"))
    assert planned["processes"] == 8
    assert planned["rows_seen"] == 3 * 16
    assert planned["seconds_a_step"] > 0


def test_a_candidate_that_was_not_measured_is_not_released(wheel, tmp_path, capsys):
    """A new DPO run must not ride on the report of the one before."""
    answer(capsys, "train", "--job", job_file(tmp_path, wheel))
    os.environ["DAGSTER_HOME"] = str(wheel / "dagster")
    result = (
        build_definitions(wheel)
        .resolve_job_def("post_training")
        .execute_in_process(
            instance=dg.DagsterInstance.get(),
            partition_key=TURN,
            asset_selection=[dg.AssetKey(["finetune", "released_policy"])],
            raise_on_error=False,
        )
    )
    assert not result.success
    (failed,) = result.get_step_failure_events()
    assert "materialise policy_report again" in str(failed.event_specific_data.error)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ("beta = -1\n", "beta"),
        ("learning_rat = 1\n", "learning_rat"),
        ("batch_size = 7\nexpected_world_size = 2\n", "multiple"),
    ],
)
def test_a_wrong_setting_is_one_sentence(tmp_path, changes, told):
    with pytest.raises(FlywheelError, match=told) as error:
        read_job(job_file(tmp_path, tmp_path, changes=changes))
    assert "\n" not in str(error.value)


def test_a_turn_that_never_was_is_one_sentence(wheel, tmp_path, capsys):
    assert flywheel(["train", "--job", str(job_file(tmp_path, wheel, turn="turn-099"))]) == 2
    assert "never materialised" in capsys.readouterr().err
    words = ["train", "--job", str(job_file(tmp_path, wheel, turn="turn-099")), "--launchpad"]
    assert flywheel(words) == 2
    told = capsys.readouterr()
    assert "never materialised" in told.err
    assert told.out == ""
    assert newest_turn(open_stores(wheel)) == TURN
    with pytest.raises(FlywheelError, match="no snapshot stands"):
        newest_turn(open_stores(tmp_path / "empty"))


@pytest.mark.parametrize(
    ("changes", "config"),
    [
        (SftChanges, SftConfig),
        (DpoChanges, DpoConfig),
        (RewardChanges, RewardConfig),
        (AspectChanges, AspectConfig),
    ],
)
def test_the_launchpad_offers_every_setting(changes, config):
    assert set(changes.model_fields) == set(config.model_fields)


@pytest.mark.parametrize("name", ["reward", "aspects", "sft", "dpo"])
def test_the_shipped_jobs_are_read(name):
    job = read_job(Path(__file__).parents[2] / "conf" / "jobs" / f"{name}.toml")
    assert job.kind == name
