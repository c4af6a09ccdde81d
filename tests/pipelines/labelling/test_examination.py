"""The desk's doctor, without a server: what it finds, and that it makes nothing."""

import json

import pytest
from seated import PEOPLE, answer_everything, questions

from annotation.server.secrets import read_or_make_secrets
from pipelines.cli import run
from pipelines.labelling.examination import examine_desk
from pipelines.labelling.ledger import ANSWERS, record_server
from pipelines.labelling.planning import plan_assignments
from pipelines.labelling.service import server_folder
from pipelines.stores.catalogue_tables import transaction


def findings(root):
    return {each.subject: each for each in examine_desk(root)}


def test_before_anybody_was_seated_it_says_so_and_makes_nothing(tmp_path):
    found = findings(tmp_path / "zone")
    assert found["desk"].state == "note"
    assert "annotate up" in found["desk"].says
    assert not (tmp_path / "zone").exists()


def test_keys_that_others_can_read_are_bad_and_named_by_file_alone(ledger, tmp_path):
    folder = server_folder(tmp_path)
    known = read_or_make_secrets(folder)
    assert findings(tmp_path)["keys"].state == "ok"
    (folder / "secrets.json").chmod(0o640)
    told = findings(tmp_path)["keys"]
    assert told.state == "bad"
    assert "chmod 600" in told.says
    assert known.lead_token not in told.says


def test_a_server_that_is_down_is_told_once_and_not_asked(ledger, tmp_path):
    folder = server_folder(tmp_path)
    read_or_make_secrets(folder)
    (folder / "server.log").write_text("it stopped")
    found = findings(tmp_path)
    assert found["server"].state == found["door"].state == "bad"
    assert "annotate up" in found["server"].says
    assert "token" not in found


def test_a_server_elsewhere_without_a_token_names_the_variable(ledger, tmp_path, monkeypatch):
    monkeypatch.delenv("FLYWHEEL_LABEL_STUDIO_TOKEN", raising=False)
    record_server(ledger, "http://127.0.0.1:9")
    found = findings(tmp_path)
    assert "server" not in found
    assert found["token"].state == "bad"
    assert "FLYWHEEL_LABEL_STUDIO_TOKEN" in found["token"].says


@pytest.mark.parametrize("broken", [0, 2])
def test_answers_are_counted_and_unbelievable_ones_told(ledger, tmp_path, broken):
    plan_assignments(ledger, "turn-001", questions(len(PEOPLE)), overlap=1)
    answer_everything(ledger, lambda task, annotator: 1)
    with transaction(ledger) as connection:
        numbers = connection.execute(ANSWERS.select()).all()[:broken]
        for row in numbers:
            connection.execute(
                ANSWERS.update()
                .where(ANSWERS.c.server_annotation == row.server_annotation)
                .values(state="quarantined", reason="planted", rows=[])
            )
    found = findings(tmp_path)
    total = len(PEOPLE)
    assert found["answers"].says.startswith(f"{total - broken} of {total} tasks")
    assert ("quarantine" in found) == bool(broken)


def test_the_command_ends_with_one_where_something_is_bad(ledger, tmp_path, capsys):
    folder = server_folder(tmp_path)
    read_or_make_secrets(folder)
    (folder / "secrets.json").chmod(0o604)
    assert run(["annotate", "doctor", "--root", str(tmp_path), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert {"keys"} <= {each["subject"] for each in told["findings"] if each["state"] == "bad"}
