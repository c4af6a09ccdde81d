"""`flywheel skills` checks files as the door does, and shows no text."""

import json

import pytest
from deliveries import assert_one_sentence

from pipelines.cli import MISTAKE

TOML = 'skill_id = "{name}"\ntenant_id = "acme"\nproject_id = "p1"\ntext = "wear the hat"\n'


@pytest.fixture
def files(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.toml").write_text(TOML.format(name=name))
    return [str(tmp_path / f"{name}.toml") for name in ("a", "b")]


def test_skills_are_listed_without_their_texts(flywheel, files):
    answer = flywheel("skills", *files)
    assert answer.code == 0
    assert answer.out.splitlines()[1].split()[:4] == ["a", "acme", "p1", "12"]
    assert "hat" not in answer.out
    told = json.loads(flywheel("skills", *files, "--json").out)["skills"]
    assert [each["skill_id"] for each in told] == ["a", "b"]
    assert "wear the hat" not in json.dumps(told)


def test_one_id_in_two_files_is_refused(flywheel, files):
    answer = flywheel("skills", files[0], files[0])
    assert answer.code == MISTAKE
    assert "skill a" in answer.err


def test_a_missing_file_is_one_sentence(flywheel, tmp_path):
    answer = flywheel("skills", str(tmp_path / "none.toml"))
    assert answer.code == MISTAKE
    assert_one_sentence(answer)
