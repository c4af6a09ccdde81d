"""The house itself: walls that hold, rooms of a bearable size, a wheel of exactly our packages."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from data_contracts.contract import load_contract
from data_contracts.schemas import SCHEMAS
from pipelines.code_version import PACKAGES
from pipelines.commands.contract_reference import contract_reference
from pipelines.commands.reference import command_line_reference

HOUSE = Path(__file__).resolve().parents[1]
LIMIT = 400  # lines; we aim at 300


def tracked(*patterns):
    command = ["git", "ls-files", "-z", *patterns]
    listed = subprocess.run(command, cwd=HOUSE, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    names = listed.stdout.decode().split("\0")
    return [HOUSE / name for name in names if name and (HOUSE / name).is_file()]


PLANTED = {
    "data_contracts/planted.py": ("import torch", "Contracts stay light"),
    "annotation/planted.py": ("import finetune.config", "Annotation and training never meet"),
    "annotation/heavy.py": ("import torch", "Annotation knows neither torch nor Dagster"),
    "annotation/rewarded.py": (
        "import reward_models.config",
        "Annotation is not known to reward models, nor they to it",
    ),
    "backbone/planted.py": ("import trl", "The backbone knows neither Dagster nor TRL"),
    "finetune/planted.py": ("import duckdb", "Training packages know neither Dagster nor stores"),
    "reward_models/planted.py": ("import pipelines.cli", "The house: data flows left to right"),
    "pipelines/stores/planted.py": ("import pipelines.signals", "The floors of pipelines"),
}


def walls(folder):
    """Check the walls of a copy of the house."""
    environment = {n: v for n, v in os.environ.items() if n != "PYTHONPATH"}
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder, capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip


def test_a_planted_wrong_import_is_refused(tmp_path):
    """In a copy, one wrong import for each wall; without them the same copy passes."""
    for package in PACKAGES:
        shutil.copytree(
            HOUSE / package,
            tmp_path / package,
            ignore=shutil.ignore_patterns("__pycache__", "tiny"),
        )
    shutil.copy(HOUSE / "pyproject.toml", tmp_path)
    sound = walls(tmp_path)
    assert sound.returncode == 0, sound.stdout
    for name, (line, _) in PLANTED.items():
        (tmp_path / name).write_text(f"{line}\n")
    refused = walls(tmp_path)
    assert refused.returncode == 1
    for name, (_, wall) in PLANTED.items():
        assert f"{wall} BROKEN" in refused.stdout, name


def test_the_wheel_holds_exactly_our_packages(tmp_path):
    """Top-level names of an installed wheel are shared with everybody else's: no strays."""
    if find_spec("hatchling") is None:
        project = tomllib.loads((HOUSE / "pyproject.toml").read_text())
        packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
        assert sorted(packages) == sorted(PACKAGES)
        return
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps",
               "--no-build-isolation", "--wheel-dir", tmp_path, HOUSE]  # fmt: skip
    subprocess.run(command, check=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as held:
        top = {name.split("/")[0] for name in held.namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == set(PACKAGES)


def test_no_file_outgrows_one_idea():
    long = {
        path.relative_to(HOUSE).as_posix(): lines
        for path in tracked("*.py")
        if (lines := len(path.read_text("utf-8").splitlines())) >= LIMIT
    }
    assert long == {}


def test_no_tracked_file_names_a_machine():
    """A path of somebody's machine works nowhere else."""
    homes = "|".join(["home", "Users", "work", "mnt", "opt"])
    path = re.compile(rf"(?<![\w.}}/-])/(?:{homes})/[A-Za-z0-9_]")
    found = []
    for file in tracked():
        content = file.read_bytes()
        if b"\0" in content[:8000]:
            continue
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
            if path.search(line):
                found.append(f"{file.relative_to(HOUSE)}:{number}")
    assert found == []


def test_the_command_line_reference_is_fresh():
    written = (HOUSE / "docs" / "reference" / "command-line.md").read_text("utf-8")
    assert written == command_line_reference(), (
        "run `python -m pipelines.commands.reference > docs/reference/command-line.md`"
    )


def test_the_reference_of_the_contracts_is_fresh_and_whole():
    written = (HOUSE / "docs" / "reference" / "contracts.md").read_text("utf-8")
    assert written == contract_reference(), (
        "run `python -m pipelines.commands.contract_reference > docs/reference/contracts.md`"
    )
    for name, schema in SCHEMAS.items():
        section = written.split(f"\n## {name}\n")[1].split("\n## ")[0]
        assert load_contract(name).version in section
        assert all(f"| `{column}` | " in section for column in schema.names)


def test_links_between_pages_lead_somewhere():
    link = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)")
    dead = [
        f"{page.relative_to(HOUSE)} -> {target}"
        for page in tracked("*.md")
        for target in link.findall(page.read_text("utf-8"))
        if not (page.parent / target).exists()
    ]
    assert dead == []
