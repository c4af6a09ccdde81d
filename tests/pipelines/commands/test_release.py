"""A person promotes and rolls back; a wrong name moves nothing."""

from datetime import UTC, datetime

import numpy as np
import pytest
from deliveries import assert_one_sentence
from safetensors.numpy import save_file

from data_contracts.labels import GENERAL
from pipelines.cli import MISTAKE
from pipelines.settings import WheelSettings, write_resolved
from pipelines.stores import CheckpointFields, open_stores

AT = datetime(2026, 1, 2, tzinfo=UTC)


def checkpoint(stores, kind, value):
    fields = CheckpointFields(
        kind=kind,
        parents=(),
        label=(),
        label_epoch=0,
        code_version="1",
        configuration_digest="c",
        modalities=("image",),
    )
    with stores.checkpoints.writer(fields) as writer:
        save_file({"weight": np.full(4, value)}, writer.folder / "model.safetensors")
    stores.catalogue.register(writer.checkpoint_id, "checkpoint", label=GENERAL)
    return writer.checkpoint_id


@pytest.fixture
def zone(root):
    # A simulated zone: the rules for real evidence are in tests/pipelines/comparing.
    write_resolved(WheelSettings(evidence="simulated"), root)
    stores = open_stores(root)
    return {name: checkpoint(stores, name, n) for n, name in enumerate(("sft", "dpo", "reward"))}


def released(root):
    return open_stores(root).catalogue.release("policy")


def test_promote_then_rollback_returns_and_keeps_the_history(flywheel, root, zone):
    for name in ("sft", "dpo"):
        flywheel("promote", zone[name], "--root", root, "--reason", f"try {name}", "--by", "ada")
    assert released(root) == zone["dpo"]
    answer = flywheel("rollback", "--root", root, "--reason", "six fingers", "--by", "bo", "--json")
    assert answer.json["released"] == zone["sft"] == released(root)
    moves = flywheel("rollback", "--root", root, "--history", "--json").json["history"]
    assert [(m["action"], m["by"], m["reason"]) for m in moves] == [
        ("promote", "ada", "try sft"),
        ("promote", "ada", "try dpo"),
        ("rollback", "bo", "six fingers"),
    ]
    table = flywheel("promote", "--root", root, "--history").out.splitlines()
    assert table[0].split()[:3] == ["at", "(UTC)", "move"]
    assert len(table) == 4


def test_the_start_of_an_id_is_enough(flywheel, root, zone):
    flywheel("promote", zone["dpo"][:12], "--root", root, "--reason", "r")
    assert released(root) == zone["dpo"]


@pytest.mark.parametrize("command", ["promote", "rollback"])
def test_a_dry_run_moves_nothing(flywheel, root, zone, command):
    for name in ("sft", "dpo"):
        flywheel("promote", zone[name], "--root", root, "--reason", "r")
    words = {"promote": [zone["sft"]], "rollback": []}[command]
    answer = flywheel(command, *words, "--root", root, "--reason", "r", "--dry-run")
    assert zone["sft"][:12] in answer.out
    assert released(root) == zone["dpo"]


@pytest.mark.parametrize("name", ["", "0", "feedfacefeed", "../sft", "policy"])
def test_an_unknown_checkpoint_is_one_sentence(flywheel, root, zone, name):
    answer = flywheel("promote", name, "--root", root, "--reason", "r")
    assert answer.code == MISTAKE
    assert_one_sentence(answer)
    assert released(root) is None


def test_a_reward_model_is_no_policy(flywheel, root, zone):
    answer = flywheel("promote", zone["reward"], "--root", root, "--reason", "r")
    assert answer.code == MISTAKE
    assert_one_sentence(answer)
    assert "is of kind reward, which is no policy" in answer.err


def test_a_damaged_checkpoint_is_not_released(flywheel, root, zone):
    file = root / "checkpoints" / zone["dpo"] / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    answer = flywheel("promote", zone["dpo"], "--root", root, "--reason", "r")
    assert answer.code == MISTAKE
    assert_one_sentence(answer)
    assert "is damaged" in answer.err
    assert released(root) is None


@pytest.mark.parametrize("command", ["promote", "rollback"])
def test_a_mistyped_folder_does_not_become_a_zone(flywheel, tmp_path, command):
    words = ["feedfacefeed"] if command == "promote" else []
    answer = flywheel(command, *words, "--root", tmp_path / "typo", "--reason", "r")
    assert answer.code == MISTAKE
    assert_one_sentence(answer)
    assert not (tmp_path / "typo").exists()


def test_nothing_to_roll_back_to_is_one_sentence(flywheel, root, zone):
    assert_one_sentence(flywheel("rollback", "--root", root, "--reason", "r"))
    flywheel("promote", zone["sft"], "--root", root, "--reason", "r")
    assert_one_sentence(flywheel("rollback", "--root", root, "--reason", "r"))
    assert released(root) == zone["sft"]


@pytest.mark.parametrize("command", ["promote", "rollback"])
def test_a_move_needs_a_reason(flywheel, root, zone, command):
    words = [zone["sft"]] if command == "promote" else []
    answer = flywheel(command, *words, "--root", root)
    assert answer.code == MISTAKE
    assert "--reason" in answer.err
