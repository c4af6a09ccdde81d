"""Every example runs as its page says."""

import importlib.util
import os
import re
import tomllib
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.settings import WheelSettings, write_resolved

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def loaded(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_click_log_is_read_better_by_intent_than_as_praise(capsys):
    loaded("read_a_click_log").main()
    said = [float(share) for share in re.findall(r"(\d+(?:\.\d+)?)%", capsys.readouterr().out)]
    ours, praise, mockers, others = said
    assert ours > praise + 3
    assert mockers > 5 * others


def test_an_asset_of_ones_own_hangs_on_the_wheels(tmp_path, monkeypatch):
    write_resolved(WheelSettings(), tmp_path)
    monkeypatch.setitem(os.environ, "FLYWHEEL_ROOT", str(tmp_path))
    example = loaded("own_code_location")
    graph = example.defs.resolve_asset_graph()
    node = graph.get(example.pairs_by_aspect.key)
    assert {key.to_user_string() for key in node.parent_keys} == {"preferences/preference_pairs"}
    pairs = pa.table({"pair_id": ["a", "b"], "aspect": ["overall"] * 2, "probability": [0.7, 0.9]})
    [row] = example.pairs_by_aspect(pairs).value.to_pylist()
    assert row == {
        "aspect": "overall", "pair_id_count": 2, "probability_mean": pytest.approx(0.8),
    }  # fmt: skip


def test_eight_gpus_are_three_lines_away():
    ours = tomllib.loads((EXAMPLES / "eight_gpus.toml").read_text("utf-8"))
    demo = tomllib.loads((EXAMPLES.parent / "conf/jobs/dpo.toml").read_text("utf-8"))
    assert set(ours["settings"]) - set(demo["settings"]) == {
        "expected_world_size", "batch_size", "device",
    }  # fmt: skip
    assert demo["settings"].items() <= ours["settings"].items()
    assert {k: v for k, v in ours.items() if k != "settings"} == {
        k: v for k, v in demo.items() if k != "settings"
    }


def test_each_example_is_on_the_page():
    page = (EXAMPLES / "README.md").read_text("utf-8")
    named = set(re.findall(r"^\| `([\w.]+)`", page, re.MULTILINE))
    assert named == {f.name for f in EXAMPLES.iterdir() if f.is_file()} - {"README.md"}
