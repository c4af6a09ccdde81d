"""What the pages tell people to type is what the house accepts."""

import re
from pathlib import Path

import dagster as dg
import pytest
import typer
import yaml

from data_contracts.vocabulary import EVENT_KINDS, SURFACES
from pipelines.cli import build_app
from pipelines.definitions import build_definitions
from pipelines.settings import WheelSettings, write_resolved

HOUSE = Path(__file__).resolve().parents[1]
DOCS = HOUSE / "docs"
PAGES = [HOUSE / "README.md", HOUSE / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


def commands_in(page):
    """Return every `flywheel ...` line in a page's code blocks."""
    blocks = re.findall(r"```\w*\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    lines = [line.strip().partition("  #")[0] for block in blocks for line in block.splitlines()]
    return [line for line in lines if re.match(r"(\.venv/bin/)?flywheel ", line)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_on_a_page_exists_with_its_options(page):
    known = typer.main.get_command(build_app()).commands
    wrong = []
    for line in commands_in(page):
        _, name, *words = line.split()
        command = getattr(known[name], "commands", {"": known[name]})
        command = command[words.pop(0) if "" not in command else ""]
        options = {option for each in command.params for option in each.opts}
        wrong += [f"{line}: {word}" for word in words
                  if word.startswith("--") and word not in options]  # fmt: skip
    assert wrong == []


def test_the_launchpad_example_is_accepted_and_a_wrong_name_is_not(tmp_path):
    write_resolved(WheelSettings(), tmp_path)
    job = build_definitions(tmp_path).resolve_job_def("post_training")
    page = (DOCS / "how-to" / "launch-post-training.md").read_text("utf-8")
    [example] = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    config = yaml.safe_load(example)
    dg.validate_run_config(job, config)
    config["ops"]["finetune__dpo_policy"]["config"]["betta"] = 1
    with pytest.raises(dg.DagsterInvalidConfigError):
        dg.validate_run_config(job, config)


def test_the_event_columns_on_the_page_are_those_of_the_contract():
    page = (DOCS / "how-to" / "ingest-your-events.md").read_text("utf-8")
    assert [word for word in (*EVENT_KINDS, *SURFACES) if word not in page] == []
