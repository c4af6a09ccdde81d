"""Training on several processes is the same training."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = """
import os, sys
sys.path.insert(0, sys.argv[1])
from toy_pictures import ToyBundle, pair, small_backbone
from finetune.config import DpoConfig
from finetune.dpo_trainer import train_dpo

backbone = small_backbone()
bundle = ToyBundle(train=[pair(i, weight=w) for i, w in enumerate([1, .1, .5, .9, .3, .7])])
config = DpoConfig(
    max_steps=4, batch_size=4, learning_rate=1e-3, device="cpu",
    expected_world_size=int(os.environ.get("WORLD_SIZE", "1")),
)
run = train_dpo(bundle, policy=backbone, reference=backbone, config=config)
if os.environ.get("RANK", "0") == "0":
    print("LOSS", *(value for _, value in run.curves["loss"]))
"""


def losses(script: Path, *launcher: str) -> list[float]:
    root = Path(__file__).parents[2]
    result = subprocess.run(
        [sys.executable, *launcher, str(script), str(root / "tests" / "reward_models")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)},
    )
    return [float(v) for v in result.stdout.split("LOSS ")[1].split()]


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path):
    """Buys the proof that a step's weights are summed over processes; two launches, 30 s."""
    script = tmp_path / "train_toy.py"
    script.write_text(SCRIPT, encoding="utf-8")
    one = losses(script)
    two = losses(script, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    np.testing.assert_allclose(two, one, atol=1e-5)
