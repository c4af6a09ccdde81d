"""What an engineer sees while a run trains: a file, TensorBoard, a line."""

import io
import json
import time

from rich.console import Console
from rich.progress import Progress, TextColumn
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pipelines.commands.live import LiveBar
from pipelines.metrics import (
    LiveMetrics,
    metrics_line,
    progress_file,
    silent,
    tensorboard_folder,
)

VALUES = {"loss": 0.5, "rewards/margins": 0.25, "learning_rate": 3e-4, "grad_norm": 1.0}
LINE = "loss 0.5000  margin 0.250  rate 3.0e-04"


def test_the_line_shows_what_there_is():
    assert metrics_line(VALUES) == LINE
    assert metrics_line({"loss": 0.5, "margin": 0.1}) == "loss 0.5000  margin 0.100"
    assert metrics_line({}) == ""


def test_a_resumed_run_has_each_step_once(tmp_path):
    """Steps 1 .. 3, killed; goes on from the state of step 2."""
    job = tmp_path / "turn-001-dpo_policy-1.json"
    for steps in (range(1, 4), range(3, 6)):
        live = LiveMetrics(job, silent)
        for step in steps:
            live.progress(step, 5)
            live.measured(step, VALUES | {"loss": step / 10 + steps.start})
        live.close()
        time.sleep(1)  # files of one second are read in the order of their names: "10" before "9"
    read = EventAccumulator(str(tensorboard_folder(job))).Reload()
    assert {"loss", "rewards/margins", "learning_rate", "grad_norm"} <= set(read.Tags()["scalars"])
    found = [(e.step, round(e.value, 3)) for e in read.Scalars("loss")]
    assert found == [(1, 1.1), (2, 1.2), (3, 3.3), (4, 3.4), (5, 3.5)]


def test_the_last_step_is_told_with_its_own_values(tmp_path):
    live = LiveMetrics(tmp_path / "job.json", silent)
    live.progress(1, 2)
    live.measured(1, {"loss": 9.0})
    live.progress(2, 2)
    live.measured(2, VALUES)
    told = json.loads(progress_file(tmp_path / "job.json").read_text())
    assert told == {"done": 2, "total": 2, "values": VALUES}


def test_a_log_gets_a_line_each_tenth_and_a_waiting_run_says_for_whom():
    written = io.StringIO()
    console = Console(file=written, width=100)
    with Progress(TextColumn("{task.description}"), console=console, disable=True) as progress:
        bar = LiveBar("dpo", progress, progress.add_task("dpo", total=None, says=""))
        bar.waits("0123456789abcdef")
        bar.waits("0123456789abcdef")
        for step in range(1, 41):
            bar.say(step, 40, VALUES)
    lines = written.getvalue().splitlines()
    assert lines[0] == "dpo  waits for run 01234567, which has the GPU"
    assert lines[1] == f"dpo  1/40  {LINE}"
    assert lines[-1] == f"dpo  40/40  {LINE}"
    assert len(lines) == 12
