"""The doctor finds what is broken and says what to do."""

from test_release import checkpoint

from pipelines.stores import open_stores


def findings(answer):
    return {each["subject"]: each for each in answer.json["findings"]}


def test_a_sound_machine_without_a_zone_passes(flywheel, tmp_path):
    answer = flywheel("doctor", "--root", tmp_path / "none", "--json")
    found = findings(answer)
    assert answer.code == 0
    assert found["python"]["state"] == "ok"
    assert found["packages"]["state"] in ("ok", "note")
    assert found["zone"]["state"] == "note"


def test_a_sound_zone_passes(flywheel, root):
    stores = open_stores(root)
    policy = checkpoint(stores, "dpo", 1.0)
    flywheel("promote", policy, "--root", root, "--reason", "r")
    answer = flywheel("doctor", "--root", root, "--json")
    found = findings(answer)
    assert answer.code == 0
    assert found["checkpoints"]["says"].startswith("1 verified")
    assert policy[:12] in found["release"]["says"]


def test_a_damaged_checkpoint_is_found(flywheel, root):
    policy = checkpoint(open_stores(root), "dpo", 1.0)
    (root / "checkpoints" / policy / "model.safetensors").write_bytes(b"")
    answer = flywheel("doctor", "--root", root, "--json")
    assert answer.code == 1
    assert findings(answer)["checkpoints"]["state"] == "bad"


def test_a_release_whose_checkpoint_is_gone_is_found(flywheel, root):
    policy = checkpoint(open_stores(root), "dpo", 1.0)
    flywheel("promote", policy, "--root", root, "--reason", "r")
    (root / "checkpoints" / policy).rename(root / "elsewhere")
    answer = flywheel("doctor", "--root", root, "--json")
    assert answer.code == 1
    assert "is gone" in findings(answer)["release"]["says"]


def test_a_catalogue_that_does_not_open_is_found(flywheel, root):
    open_stores(root)
    (root / "catalogue.sqlite").write_bytes(b"not a database" * 100)
    answer = flywheel("doctor", "--root", root, "--json")
    assert answer.code == 1
    assert findings(answer)["zone"]["state"] == "bad"


def test_folders_of_public_sets_are_listed(flywheel, tmp_path):
    (tmp_path / "sets" / "hh_rlhf").mkdir(parents=True)
    words = ("doctor", "--root", tmp_path / "none", "--json", "--sets")
    assert findings(flywheel(*words, tmp_path / "sets"))["public sets"]["says"] == "hh_rlhf"
    assert flywheel(*words, tmp_path / "gone").code == 1
