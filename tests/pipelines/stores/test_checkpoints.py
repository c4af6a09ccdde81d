"""Checkpoints: whole or not at all, and never a file that may hold code."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file

from data_contracts.errors import FlywheelError
from pipelines.stores import CheckpointFields

FIELDS = CheckpointFields(
    kind="sft",
    parents=("0" * 64,),
    label=(),
    label_epoch=0,
    code_version="1",
    configuration_digest="c",
    modalities=("text", "image"),
)


def save_weights(folder, value=0.0):
    save_file({"weight": np.full(4, value)}, folder / "model.safetensors")
    (folder / "config.json").write_text("{}")


def stored(checkpoints, *, value=0.0, fields=FIELDS, besides=lambda folder: None):
    with checkpoints.writer(fields) as writer:
        save_weights(writer.folder, value)
        besides(writer.folder)
    return writer.checkpoint_id


def fail(folder):
    raise RuntimeError


def test_a_checkpoint_is_its_files_and_its_manifest(stores):
    name = stored(stores.checkpoints)
    manifest = stores.checkpoints.verify(name)
    assert sorted(manifest.files) == ["config.json", "model.safetensors"]
    assert manifest.modalities == ("text", "image")
    assert stores.checkpoints.ids() == [name]
    assert (stores.checkpoints.path(name) / "model.safetensors").is_file()


def test_the_same_content_is_the_same_checkpoint(stores):
    one, again = stored(stores.checkpoints), stored(stores.checkpoints)
    other = stored(stores.checkpoints, value=1.0)
    cousin = stored(stores.checkpoints, fields=replace(FIELDS, parents=()))
    assert one == again
    assert len({one, other, cousin}) == 3
    digests = [stores.checkpoints.manifest(name).digest for name in (one, cousin, other)]
    assert digests[0] == digests[1] != digests[2]


def test_a_writer_that_fails_leaves_nothing(stores):
    with pytest.raises(RuntimeError):
        stored(stores.checkpoints, besides=fail)
    assert stores.checkpoints.ids() == []
    assert sorted(path.name for path in (stores.root / "checkpoints").rglob("*")) == [
        ".lock",
        ".partial",
    ]


def test_a_checkpoint_has_no_id_while_it_is_written(stores):
    with stores.checkpoints.writer(FIELDS) as writer:
        save_weights(writer.folder)
        with pytest.raises(FlywheelError, match="before its writer closes"):
            _ = writer.checkpoint_id


def test_a_subprocess_folder_is_adopted(stores, tmp_path):
    (tmp_path / "out" / "vq").mkdir(parents=True)
    save_weights(tmp_path / "out")
    save_weights(tmp_path / "out" / "vq")
    name = stores.checkpoints.adopt(tmp_path / "out", FIELDS)
    assert "vq/model.safetensors" in stores.checkpoints.verify(name).files


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("training_args.bin", b"x"),
        ("optimizer.pt", b"x"),
        ("model.pkl", b"x"),
        ("vocabulary.model", pickle.dumps({"a": 1})),
        ("extra.safetensors", pickle.dumps({"a": 1})),
        ("short.safetensors", (1000).to_bytes(8, "little") + b"{}"),
        ("archive.txt", b"PK\x03\x04rest"),
        ("manifest.json", b"{}"),
        ("noending", b"x"),
    ],
)
def test_a_file_that_may_hold_code_is_refused(stores, name, content):
    with pytest.raises(FlywheelError, match=name):
        stored(stores.checkpoints, besides=lambda folder: (folder / name).write_bytes(content))
    assert stores.checkpoints.ids() == []


def test_a_link_is_refused(stores, tmp_path):
    (tmp_path / "secret.json").write_text("{}")
    target = tmp_path / "secret.json"
    with pytest.raises(FlywheelError, match=r"link\.json"):
        stored(stores.checkpoints, besides=lambda folder: (folder / "link.json").symlink_to(target))


def test_a_wrong_folder_is_one_sentence(stores, tmp_path):
    with pytest.raises(FlywheelError, match="is not a checkpoint"):
        stores.checkpoints.adopt(tmp_path / "absent", FIELDS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FlywheelError, match=r"holds no \*\.safetensors"):
        stores.checkpoints.adopt(tmp_path / "empty", FIELDS)
    with pytest.raises(FlywheelError, match="there is no checkpoint"):
        stores.checkpoints.verify("0" * 64)


def test_a_kind_is_one_of_the_known(stores):
    with pytest.raises(FlywheelError, match="cannot be of kind 'lora'"):
        replace(FIELDS, kind="lora")


def test_missing_added_and_changed_files_are_named(stores):
    name = stored(stores.checkpoints)
    folder = stores.checkpoints.path(name)
    (folder / "config.json").unlink()
    (folder / "added.json").write_text("{}")
    save_file({"weight": np.ones(4)}, folder / "model.safetensors")
    with pytest.raises(FlywheelError, match=r"added\.json, config\.json, model\.safetensors"):
        stores.checkpoints.verify(name)
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(FlywheelError, match="manifest no longer matches"):
        stores.checkpoints.manifest(name)
