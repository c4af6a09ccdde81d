"""A policy is loaded once a process, verified each time, and stays what it was."""

import hashlib
import json
import shutil

import pytest

from backbone.emu3 import Emu3Backbone
from data_contracts.errors import FlywheelError
from pipelines import policies
from pipelines.assets.backbone import first_release
from pipelines.policies import stored_policy
from pipelines.stores import open_stores
from pipelines.training import run_file
from reward_models.config import RewardConfig


def state(policy) -> dict[str, object]:
    """Return everything of *policy* that a training could leave changed."""
    model = policy.model
    weights = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        weights.update(name.encode() + value.numpy().tobytes())
    return {
        "weights": weights.hexdigest(),
        "trainable": [name for name, p in model.named_parameters() if p.requires_grad],
        "gradients": [name for name, p in model.named_parameters() if p.grad is not None],
        "training": [name for name, m in model.named_modules() if m.training],
        "overlaid": sorted({"forward", "_original_forward"} & set(vars(model))),
        "hooks": [name for name, m in model.named_modules() if m._forward_hooks],
        "generation": model.generation_config.to_dict(),
        "configuration": model.config.to_dict(),
        "tokenizer": json.loads(policy.tokenizer.backend_tokenizer.to_str()),
        "padding": (policy.tokenizer.padding_side, policy.tokenizer.pad_token),
    }


@pytest.fixture
def stores(tmp_path, monkeypatch):
    monkeypatch.setattr(policies, "_kept", type(policies._kept)())
    return open_stores(tmp_path)


def test_asking_again_gives_the_same_policy_without_loading(stores, monkeypatch):
    release = first_release(stores)
    policy = stored_policy(stores, release)
    monkeypatch.setattr(Emu3Backbone, "load", None)
    assert stored_policy(stores, release) is policy


def test_a_changed_file_is_refused_though_the_policy_was_loaded(stores):
    release = first_release(stores)
    stored_policy(stores, release)
    weights = next(stores.checkpoints.path(release).glob("*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(FlywheelError, match="damaged"):
        stored_policy(stores, release)


def test_large_policies_are_not_held(stores, monkeypatch):
    monkeypatch.setattr(policies, "_KEPT_BYTES", 1000)
    release = first_release(stores)
    assert stored_policy(stores, release) is not stored_policy(stores, release)
    assert not policies._kept


def test_trainings_leave_a_kept_policy_as_it_came(nano_wheel, monkeypatch, tmp_path):
    """Every training of a turn again, on policies that the test holds as they were loaded."""
    monkeypatch.setattr(policies, "_kept", type(policies._kept)())
    root = tmp_path / "wheel"
    shutil.copytree(nano_wheel, root)
    stores = open_stores(root)
    jobs = {}
    for file in sorted((root / "jobs").glob("turn-001-*.json")):
        told = json.loads(file.read_text())
        if told.get("kind") in ("sft", "dpo", "aspects"):
            jobs[told["kind"]] = told | {"root": str(root)}
    assert set(jobs) == {"sft", "dpo", "aspects"}
    number = RewardConfig(max_steps=2, batch_size=8).model_dump()  # the one a turn does not train
    jobs["reward"] = jobs["aspects"] | {
        "kind": "reward", "configuration": number, "pointer": "reward_models/reward_model/turn-001",
    }  # fmt: skip
    named = {job[what] for job in jobs.values() for what in ("policy", "reference") if job[what]}
    held = {name: stored_policy(stores, name) for name in sorted(named)}
    before = {name: state(policy) for name, policy in held.items()}
    for kind in ("sft", "reward", "aspects", "dpo"):
        file = tmp_path / f"{kind}.json"
        file.write_text(json.dumps(jobs[kind]))
        found = run_file(file, lambda *_, **__: None)
        again = stores.catalogue.pointer(jobs[kind]["pointer"])
        assert found["checkpoint"] == again
        assert {name: state(policy) for name, policy in held.items()} == before, kind
