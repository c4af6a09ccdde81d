"""Public sets end in agreement, pairs that passed their contract, small models, and a page."""

import json
import math
import shutil
from datetime import UTC, datetime

import pytest
from small_sets import SECRET, dsg_set, hh_set

from data_contracts.ids import SnapshotId
from data_contracts.labels import GENERAL
from finetune.config import DpoConfig, SftConfig
from pipelines.cli import MISTAKE, run
from pipelines.importing import ImportOptions, run_import
from pipelines.stores import open_snapshot, open_stores, read_asset_table
from reward_models.config import RewardConfig

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def silent(_title):
    return lambda done, total: None


def options(name, path, tmp_path, **more):
    return ImportOptions(
        name=name, path=path, root=tmp_path / "zone", reports=tmp_path / "reports", **more
    )


def test_real_people_agree_on_dsg_as_published(public_data, tmp_path):
    """Figures of issue 2: 3 995 answers, 5 annotators, ordinal alpha .685 from raw answers."""
    made = run_import(options("dsg_tifa160", public_data / "dsg_tifa160", tmp_path), now=NOW,
                      bar=silent)  # fmt: skip
    [alpha] = made.figures["agreement"]
    assert made.figures["accepted"] == 3995
    assert (alpha["answers"], alpha["annotators"]) == (3995, 5)
    assert math.isclose(alpha["alpha"], 0.685, abs_tol=0.005)
    assert alpha["low"] < alpha["alpha"] < alpha["high"]
    assert made.figures["learned"] is None


def test_hh_keeps_every_judgement_as_it_was_made(public_data, tmp_path):
    path = public_data / "hh_rlhf"
    made = run_import(options("hh_rlhf", path, tmp_path, train=False), now=NOW, bar=silent)
    assert made.figures["snapshot"]["pairs"] == made.figures["notes"]["pairs"] == 2312
    stores = open_stores(tmp_path / "zone")
    pairs = open_snapshot(
        stores, SnapshotId(made.figures["snapshot"]["snapshot_id"]), GENERAL
    ).pairs
    answers = stores.append.read("annotations").to_pylist()
    won = {
        (a["generation_id"], a["other_generation_id"])[:: 1 if a["value"] > 0 else -1]
        for a in answers
    }
    assert (
        set(zip(*(pairs[c].to_pylist() for c in ("chosen_id", "rejected_id")), strict=True)) == won
    )


def test_ratings_end_in_reliabilities_labels_and_a_snapshot_that_opens(tmp_path):
    made = run_import(options("dsg_tifa160", dsg_set(tmp_path / "set"), tmp_path), now=NOW,
                      bar=silent)  # fmt: skip
    stores = open_stores(tmp_path / "zone")
    reliability = read_asset_table(stores, "annotation/annotator_reliability", clearance=GENERAL)
    assert reliability.table.num_rows == 5
    labels = read_asset_table(stores, "annotation/aspect_labels", clearance=GENERAL)
    assert labels.table.num_rows == 60 == made.figures["aspect_labels"]
    snapshot = SnapshotId(made.figures["snapshot"]["snapshot_id"])
    opened = open_snapshot(stores, snapshot, GENERAL)
    assert opened.pairs.num_rows == made.figures["snapshot"]["pairs"] > 0
    assert opened.manifest.card["agreement"].keys() == {"prompt_alignment"}


def test_the_same_set_again_is_the_same_snapshot_and_stores_nothing_twice(tmp_path):
    wanted = options("dsg_tifa160", dsg_set(tmp_path / "set"), tmp_path)
    first, second = (run_import(wanted, now=NOW, bar=silent) for _ in range(2))
    assert {**first.figures, "time": 0} == {**second.figures, "time": 0}
    assert open_stores(tmp_path / "zone").append.read("annotations").num_rows == 300


def test_texts_train_three_models_and_appear_nowhere(tmp_path, caplog, capfd):
    few = {"batch_size": 4, "max_steps": 2, "max_length": 48}
    wanted = options(
        "hh_rlhf", hh_set(tmp_path / "set"), tmp_path, resamples=200,
        reward=RewardConfig(**few, resamples=100), sft=SftConfig(**few), dpo=DpoConfig(**few),
    )  # fmt: skip
    made = run_import(wanted, now=NOW, bar=silent)
    learned = made.figures["learned"]
    assert {each["judge"] for each in learned["ranked_as_people_did"]} == {
        "shorter", "reward", "base_likelihood", "dpo_likelihood", "implicit_before",
        "implicit_after",
    }  # fmt: skip
    assert all(
        0 <= e["low"] <= e["mean"] <= e["high"] <= 1 for e in learned["ranked_as_people_did"]
    )
    stores = open_stores(tmp_path / "zone")
    kinds = sorted(stores.checkpoints.verify(each).kind for each in stores.checkpoints.ids())
    assert kinds == ["backbone", "dpo", "reward", "sft"]
    told = [made.page.read_text(), made.page.with_suffix(".json").read_text(), caplog.text]
    told += [*capfd.readouterr()]
    assert [text for text in told if SECRET in text] == []
    assert "weak on real text" in told[0]


@pytest.mark.parametrize("make", [dsg_set, hh_set])
def test_the_page_needs_no_other_file(tmp_path, make):
    name = {dsg_set: "dsg_tifa160", hh_set: "hh_rlhf"}[make]
    made = run_import(options(name, make(tmp_path / "set"), tmp_path, train=False), now=NOW,
                      bar=silent)  # fmt: skip
    page = made.page.read_text()
    assert "<script" not in page
    assert "src=" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert SECRET not in page
    assert json.loads(made.page.with_suffix(".json").read_text())["set"] == name


def said(capsys, *words):
    code = run([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_command_says_what_it_found(capsys, tmp_path):
    code, out, err = said(
        capsys, "import", "dsg_tifa160", dsg_set(tmp_path / "set"), "--root", tmp_path / "zone",
        "--reports", tmp_path / "reports",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "received 300 = accepted 300 + quarantined 0" in out
    assert "prompt_alignment: alpha 0." in out
    assert out.splitlines()[-1].endswith("import-dsg_tifa160.html")


def test_a_dry_run_stores_nothing(capsys, tmp_path):
    code, out, _ = said(
        capsys, "import", "hh_rlhf", hh_set(tmp_path / "set"), "--root", tmp_path / "zone",
        "--reports", tmp_path / "reports", "--dry-run",
    )  # fmt: skip
    assert code == 0
    assert "nothing was stored" in out
    assert not (tmp_path / "zone").exists()
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize("name", ["dsg_tifa160", "hh_rlhf", "no_such_set"])
def test_an_empty_folder_or_unknown_set_is_one_sentence(capsys, tmp_path, name):
    (tmp_path / "empty").mkdir()
    code, out, err = said(capsys, "import", name, tmp_path / "empty", "--root", tmp_path / "zone")
    assert (code, out) == (MISTAKE, "")
    assert err.startswith("flywheel: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "zone").exists()


def test_a_set_with_a_column_missing_stores_nothing(capsys, tmp_path):
    folder = dsg_set(tmp_path / "set")
    file = folder / "tifa160-likert-anns.csv"
    file.write_text(file.read_text().replace("worker_id", "who", 1))
    code, _, err = said(capsys, "import", "dsg_tifa160", folder, "--root", tmp_path / "zone")
    assert code == MISTAKE
    assert "column worker_id missing" in err
    assert not (tmp_path / "zone").exists()


def test_an_answer_off_the_scale_is_quarantined(tmp_path):
    folder = dsg_set(tmp_path / "set")
    file = folder / "tifa160-likert-anns.csv"
    lines = file.read_text().splitlines()
    lines[1] = lines[1].rsplit(",", 1)[0] + ",9"
    file.write_text("\n".join(lines) + "\n")
    shutil.rmtree(tmp_path / "zone", ignore_errors=True)
    made = run_import(options("dsg_tifa160", folder, tmp_path), now=NOW, bar=silent)
    assert made.figures["quarantined"] == {"off_scale": 1}
    assert made.figures["received"] == 300
