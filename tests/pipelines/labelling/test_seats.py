"""Who only starts the server again seats nobody new, and changes nobody's work."""

import pytest
from seated import PEOPLE

from data_contracts.errors import FlywheelError
from pipelines.cli import run
from pipelines.labelling.ledger import record_people
from pipelines.labelling.service import seats_of


@pytest.fixture
def zone(tmp_path, ledger):
    """Six annotators of text pairs, of whom one edits as well."""
    edits = {"project_id": 9, "annotator_id": "ann-2", "interface": "edit_text"}
    record_people(ledger, [], [edits])
    return tmp_path


def test_without_names_it_is_who_is_seated_with_what_they_have(zone):
    found = seats_of(zone, [], [])
    assert list(found) == list(PEOPLE)
    assert found["ann-2"] == ["pair_text", "edit_text"]
    assert found["ann-3"] == ["pair_text"]


def test_a_name_alone_keeps_what_they_have_and_a_newcomer_gets_the_usual(zone):
    found = seats_of(zone, ["ann-2", "new"], [])
    assert found == {"ann-2": ["pair_text", "edit_text"], "new": ["pair_image", "pair_text"]}
    assert seats_of(zone, ["ann-2"], ["pair_image"]) == {"ann-2": ["pair_image"]}


def test_an_interface_alone_is_for_everybody_seated(zone):
    assert seats_of(zone, [], ["edit_text"]) == {name: ["edit_text"] for name in PEOPLE}


def test_an_empty_zone_gets_one_annotator_and_is_not_made(tmp_path):
    root = tmp_path / "zone"
    assert seats_of(root, [], []) == {"annotator-1": ["pair_image", "pair_text"]}
    assert not root.exists()


@pytest.mark.parametrize("names", [["ann-1", "ann-1"], ["Ann"], ["a b"]])
def test_names_that_cannot_be_are_one_sentence(zone, names):
    with pytest.raises(FlywheelError, match="name each once"):
        seats_of(zone, names, [])


def test_the_dry_run_names_them(zone, capsys):
    assert run(["annotate", "up", "--root", str(zone), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert f"{', '.join(PEOPLE)} with pair_text, edit_text" in said
    assert "annotator-1" not in said
