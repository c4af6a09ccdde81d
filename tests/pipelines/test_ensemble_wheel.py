"""Several reward models are one job, one checkpoint and one scorer, which the gate loads."""

import json
import shutil

from data_contracts.ids import CheckpointId
from pipelines.cli import run as flywheel
from pipelines.stores import open_stores
from reward_models.aspect_scorer import load_scorer
from reward_models.ensemble import EnsembleScorer

TURN = "turn-001"


def test_members_and_lower_bound_are_settings_of_a_job(nano_wheel, tmp_path, capsys):
    root, job = tmp_path / "wheel", tmp_path / "job.toml"
    shutil.copytree(nano_wheel, root)
    told = "max_steps = 1\nmembers = 2\nlower_bound = 0.5\n"
    job.write_text(f'kind = "aspects"\nwheel = "{root}"\n[settings]\n{told}')
    assert flywheel(["train", "--job", str(job), "--dry-run"]) == 0
    assert "2; one was rehearsed, time and memory are for all" in capsys.readouterr().out
    assert flywheel(["train", "--job", str(job), "--json"]) == 0
    checkpoint = CheckpointId(json.loads(capsys.readouterr().out)["checkpoint"])
    stores = open_stores(root)
    stores.checkpoints.verify(checkpoint)
    scorer = load_scorer(stores.checkpoints.path(checkpoint), device="cpu")
    assert isinstance(scorer, EnsembleScorer)
    assert (len(scorer.members), scorer.doubt) == (2, 0.5)
    result = json.loads((root / "jobs" / f"{TURN}-aspect_model.result.json").read_text())
    assert result["ensemble"]["members"] == 2
    assert {"loss", "loss of 2"} <= set(result["curves"])

    # The gate asks them.
    dpo, base = (
        stores.catalogue.pointer(f"{asset}/{TURN}")
        for asset in ("finetune/dpo_policy", "backbone/backbone")
    )
    asked = ["evaluate", dpo, "--against", base, "--root", str(root), "--json"]
    assert flywheel([*asked, "--reward-model", checkpoint, "--out", str(tmp_path)]) in {0, 3}
    answer = json.loads(capsys.readouterr().out)
    assert answer["reward_model"] == checkpoint
    assert 0 <= answer["measured"]["win_rate"]["mean"] <= 1
