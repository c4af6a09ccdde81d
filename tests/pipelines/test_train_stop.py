"""A training that is killed, stopped or waiting: nothing half-written, and the same end later."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import dagster as dg
import psutil
import pytest

from pipelines.orchestrator import (
    POOL,
    PROCESS_TAG,
    dagster_home,
    free_dead_runs,
    holder,
    process_tag,
)
from pipelines.settings import read_resolved, write_resolved
from pipelines.stores import open_stores

TURN = "turn-001"
JOB = """kind = "dpo"
wheel = "{wheel}"
turn = "turn-001"
[settings]
max_steps = {steps}
batch_size = 4
save_every = 2
"""


@pytest.fixture(scope="module")
def wheels(nano_wheel, tmp_path_factory):
    """Return what copies a wheel whose trainings are processes of their own."""

    def copied(name):
        root = tmp_path_factory.mktemp(name) / "wheel"
        shutil.copytree(nano_wheel, root)
        settings = read_resolved(root).model_copy(update={"own_processes": True})
        write_resolved(settings, root)
        shutil.rmtree(root / "dagster", ignore_errors=True)  # a home of another configuration
        return root

    return copied


def started(root, *, steps=14):
    """Start `flywheel train` in a session of its own."""
    file = root.parent / "job.toml"
    file.write_text(JOB.format(wheel=root, steps=steps))
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli", "train", "--job", str(file), "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def finished(process):
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    return json.loads(out)


def until(condition, *, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"nothing within {seconds} s")


def steps_done(root):
    files = (root / "jobs").glob(f"{TURN}-dpo_policy-*.progress.json")
    told = [json.loads(f.read_text()) for f in files]
    return max((t["done"] for t in told if t["total"] == 14), default=0)


def family(process):
    top = psutil.Process(process.pid)
    return [top, *top.children(recursive=True)]


def offspring(process):
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(process.pid).children(recursive=True)
    return []


def trainers(processes):
    return [p for p in processes if "pipelines.training" in words_of(p)]


def words_of(process):
    """Return what started a process; nothing of one that has ended."""
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


def stands_at(root):
    stores = open_stores(root)
    return stores.catalogue.pointer(f"finetune/dpo_policy/{TURN}"), stores.checkpoints.ids()


@pytest.fixture(scope="module")
def undisturbed(wheels):
    """What the same job gives when nobody disturbs it."""
    return finished(started(wheels("undisturbed")))


def test_a_killed_training_goes_on_and_ends_with_the_same_checkpoint(wheels, undisturbed):
    """SIGKILL to every process of it in the middle; nothing stored, nothing blocked, one digest."""
    root = wheels("killed")
    before = stands_at(root)
    process = started(root)
    until(lambda: steps_done(root) >= 6)
    for each in family(process):
        each.kill()
    process.wait()
    assert stands_at(root) == before
    kept = sorted((root / "unfinished").glob("*/checkpoint-*/whole-0"))
    assert kept
    again = finished(started(root))
    assert again["checkpoint"] == undisturbed["checkpoint"]
    assert again["digest"] == undisturbed["digest"]
    assert list((root / "unfinished").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_training_leaves_its_state_and_says_so(wheels, undisturbed, told):
    """Buys that a cancelled run is one sentence, code 130, and no checkpoint; two runs each."""
    root = wheels(f"stopped{told.value}")
    before = stands_at(root)
    process = started(root)
    until(lambda: steps_done(root) >= 5)
    everyone = family(process)
    process.send_signal(told)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert "dpo stopped after step" in err
    assert "the same command goes on from there" in err
    assert trainers(everyone) == []
    assert stands_at(root) == before
    assert finished(started(root))["checkpoint"] == undisturbed["checkpoint"]


@pytest.mark.slow
def test_a_training_without_its_orchestrator_ends_by_itself(wheels, undisturbed):
    """Buys that a killed command leaves no process that trains on; the next run takes over."""
    root = wheels("orphan")
    process = started(root)
    until(lambda: steps_done(root) >= 4)
    (trainer,) = trainers(family(process))
    process.kill()
    process.wait()
    assert finished(started(root))["checkpoint"] == undisturbed["checkpoint"]
    assert not trainer.is_running()


@pytest.mark.slow
def test_two_trainings_take_turns_on_the_accelerator(wheels):
    """Buys the limit: the second waits, says for whom, and then trains; two runs at once.

    The first is held where it stands until the second has said so: how fast a machine trains
    must not decide whether they meet.
    """
    root = wheels("turns")
    one = started(root)
    until(lambda: steps_done(root) >= 1)
    (trainer,) = trainers(family(one))
    trainer.suspend()
    told = root.parent / "told.txt"
    with told.open("w") as stderr:
        other = subprocess.Popen(
            [sys.executable, "-m", "pipelines.cli", "train", "--job", str(reward_job(root)),
             "--json"], stdout=subprocess.DEVNULL, stderr=stderr,
        )  # fmt: skip
    until(lambda: "which has the GPU" in told.read_text())
    assert trainers(offspring(other)) == []
    trainer.resume()
    together = 0
    while one.poll() is None:
        together = max(together, len(trainers([*offspring(one), *offspring(other)])))
        time.sleep(0.1)
    finished(one)
    assert other.wait(timeout=180) == 0, told.read_text()
    assert together <= 1


def reward_job(root):
    file = root.parent / "reward.toml"
    file.write_text(f'kind = "reward"\nwheel = "{root}"\n[settings]\nmax_steps = 2\n')
    return file


@pytest.fixture
def instance(tmp_path):
    with dg.DagsterInstance.from_config(str(dagster_home(tmp_path))) as opened:
        yield opened


@dg.op
def nothing(): ...


@dg.job
def idle():
    nothing()


def claims(instance, tags):
    """Let a run that is under way claim the pool's place; return its id and whether it got it."""
    run_id, status = str(uuid.uuid4()), dg.DagsterRunStatus.STARTED
    instance.create_run_for_job(idle, run_id=run_id, tags=tags, status=status)
    storage = instance.event_log_storage
    storage.initialize_concurrency_limit_to_default(POOL)
    return run_id, storage.claim_concurrency_slot(POOL, run_id, "train").is_claimed


def test_the_pool_has_one_place(instance):
    first, got = claims(instance, process_tag())
    second, too = claims(instance, process_tag())
    assert got
    assert not too
    assert holder(instance, besides=second) == first
    assert holder(instance, besides=first) is None


def test_only_runs_whose_process_is_gone_lose_their_place(instance):
    dead, got = claims(instance, {PROCESS_TAG: f"{os.getpid()} 1.0"})  # its number was reused
    assert got
    others = [claims(instance, tags)[0] for tags in (process_tag(), {})]
    assert free_dead_runs(instance) == [dead]
    assert instance.get_run_by_id(dead).status == dg.DagsterRunStatus.FAILURE
    for run in others:
        assert instance.get_run_by_id(run).status == dg.DagsterRunStatus.STARTED
    assert holder(instance, besides="") != dead


def test_a_step_of_the_clock_ends_no_run(instance, monkeypatch):
    """Seconds since 1970 of a birth are ticks since boot added to when the clock says boot was."""
    run, got = claims(instance, process_tag())
    assert got
    boot = psutil.boot_time()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: boot + 60)
    assert free_dead_runs(instance) == []
    assert holder(instance, besides="") == run


def test_a_process_is_told_from_others_with_its_number(instance, monkeypatch, tmp_path):
    """One of this number before the last boot, one that is gone, and any name of a program."""
    now = process_tag()[PROCESS_TAG]
    number, ticks, boot = now.split()
    assert (int(number), ticks.isdigit()) == (os.getpid(), True)
    other_boot = f"{number} {ticks} {'0' * len(boot)}"
    never = f"{2**22 + 1} {ticks} {boot}"
    dead = [claims(instance, {PROCESS_TAG: tag})[0] for tag in (other_boot, never)]
    assert free_dead_runs(instance) == sorted(dead)
    stat = Path(f"/proc/{number}/stat").read_text()
    (tmp_path / number).mkdir()
    (tmp_path / number / "stat").write_text(re.sub(r"\(.*\)", "(a) b (c d)", stat))
    monkeypatch.setattr("annotation.server.birth._PROCESSES", tmp_path)
    assert process_tag()[PROCESS_TAG] == now
