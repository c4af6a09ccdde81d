"""`flywheel demo` passes on what it was asked for; what it makes is tested with the wheel."""

from pathlib import Path

import pytest
from deliveries import assert_one_sentence

import pipelines.demo
from data_contracts.errors import FlywheelError
from pipelines.cli import MISTAKE


@pytest.fixture
def asked(monkeypatch):
    heard = []

    def listen(options):
        heard.append(options)
        return Path("reports/demo.html")

    monkeypatch.setattr(pipelines.demo, "run_demo", listen)
    return heard


def test_every_option_arrives(flywheel, asked, tmp_path):
    words = ["--root", tmp_path, "--reports", tmp_path / "r", "--seed", 1, "--seed", 2, "--nano"]
    words += ["--mockery", 0.3, "--all-arms", "--turns", 3, "--settings", tmp_path / "s.toml"]
    answer = flywheel("demo", *words)
    assert answer.out == "report: reports/demo.html\n"
    [options] = asked
    assert (options.root, options.reports) == (tmp_path, tmp_path / "r")
    assert (options.seeds, options.mockery, options.turns) == ([1, 2], 0.3, 3)
    assert options.nano
    assert options.all_arms
    assert options.settings == tmp_path / "s.toml"


def test_the_defaults_are_the_demo_as_described(flywheel, asked):
    flywheel("demo")
    assert asked == [pipelines.demo.DemoOptions()]


@pytest.mark.parametrize("words", [["--mockery", "2"], ["--turns", "0"], ["--seed", "-1"]])
def test_an_option_out_of_range_is_one_sentence(flywheel, asked, words):
    answer = flywheel("demo", *words)
    assert answer.code == MISTAKE
    assert_one_sentence(answer)
    assert asked == []


def test_wrong_settings_are_one_sentence(flywheel, tmp_path):
    (tmp_path / "wrong.toml").write_text("[studio]\nprompts = 'many'\n")
    words = ["--settings", tmp_path / "wrong.toml", "--root", tmp_path / "root"]
    answer = flywheel("demo", *words)
    assert answer.code == MISTAKE
    assert_one_sentence(answer)
    assert "studio.prompts" in answer.err


def test_an_arm_that_failed_is_one_sentence(flywheel, monkeypatch):
    def fail(_options):
        raise FlywheelError("ours (seed 7) ended early; see wheel.log")

    monkeypatch.setattr(pipelines.demo, "run_demo", fail)
    assert_one_sentence(flywheel("demo"))
