"""The page: complete for any arms, closed to the network, deaf to hostile text."""

import base64
import itertools
import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from fake_demo import ARMS, fake_demo, fake_png

from data_contracts.errors import ContractError
from pipelines.report import parse_demo, render_report, report_figures, write_report

_LOADING = ("src", "srcset", "href", "action", "data", "poster", "xlink:href")
_SUBSETS = [(arm,) for arm in ARMS] + list(itertools.combinations(("base", "naive", "ours"), 2))


class _Reader(HTMLParser):
    """Collect tags, loaded addresses and text; check that tags close in order."""

    _VOID = ("meta", "img", "source", "br", "link", "input", "hr")

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.loads: list[str] = []
        self.pictures_without_words = 0
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open += [] if tag in self._VOID else [tag]
        self.loads += [value or "" for name, value in attrs if name in _LOADING]
        self.pictures_without_words += tag == "img" and not dict(attrs).get("alt")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def _read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def _with_prompt(prompt: str) -> dict[str, Any]:
    demo = fake_demo(("base", "ours"))
    demo["pictures"][0]["prompt"] = prompt
    return demo


@pytest.mark.parametrize("arms", [*_SUBSETS, ARMS], ids="+".join)
def test_any_arms_make_a_whole_page(arms):
    reader = _read(render_report(fake_demo(arms)))
    assert reader.pictures_without_words == 0
    assert "SIMULATED" in reader.text


def test_several_seeds_make_a_whole_page():
    _read(render_report(fake_demo(("base", "ours"), seeds=(7, 8, 9))))


@pytest.mark.parametrize("part", sorted(set(fake_demo(("base", "ours"))) - {"arms"}))
def test_any_part_but_the_arms_may_be_absent(part):
    demo = fake_demo(("base", "ours"))
    del demo[part]
    _read(render_report(demo))


def test_one_bare_arm_is_enough():
    assert "was not measured" in _read(render_report({"arms": [{"name": "ours"}]})).text


def test_nothing_is_loaded_from_anywhere():
    reader = _read(render_report(fake_demo()))
    assert {load.split(":")[0].split("#")[0] for load in reader.loads} == {"data", ""}
    assert not {"script", "link", "iframe", "object", "embed"} & set(reader.tags)


def test_plots_load_nothing_either():
    page = render_report(fake_demo())
    plots = re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", page)
    drawn = [base64.b64decode(plot).decode() for plot in plots]
    addresses = {hit for svg in drawn for hit in re.findall(r'(?:href|src)="([^"]*)"', svg)}
    assert len(drawn) >= 20
    assert all(address.startswith("#") for address in addresses)
    assert not any("url(http" in svg or "<script" in svg for svg in drawn)


@pytest.mark.parametrize(
    "prompt",
    [
        "<script>alert(1)</script>",
        '"><img src=http://evil.example/x onerror=alert(1)>',
        "{{ 7 * 7 }}{% include '/etc/passwd' %}",
        "</style></textarea><iframe src='//evil.example'>",
    ],
)
def test_hostile_prompts_stay_text(prompt):
    reader = _read(render_report(_with_prompt(prompt)))
    assert prompt in reader.text
    assert not {"script", "iframe"} & set(reader.tags)
    assert not any("evil" in load for load in reader.loads)


@pytest.mark.parametrize("hostile", ["<b>[1, 2]</b>", "$\\nosuch{$", "a_b^c $x$"])
def test_hostile_titles_stay_text(hostile):
    demo = fake_demo(("base", "ours"))
    demo["arms"][1]["title"] = hostile
    assert hostile in _read(render_report(demo)).text


def test_a_picture_must_be_a_picture():
    demo = fake_demo(("base", "ours"))
    demo["pictures"][0]["arms"][0]["images"][0] = base64.b64encode(b"<svg/>").decode()
    with pytest.raises(ContractError, match=r"pictures\.0\.arms\.0\.images\.0.*not a PNG"):
        render_report(demo)


def test_every_refused_field_is_named_and_none_is_shown():
    demo = fake_demo(("base", "ours"))
    demo["arms"][0]["turns"][0]["quality"]["aesthetics"]["mean"] = "a secret"
    demo["mockery"] = 3
    demo["surprise"] = "a secret"
    with pytest.raises(ContractError) as caught:
        parse_demo(demo)
    assert "3 fields" in str(caught.value)
    assert "arms.0.turns.0.quality.aesthetics.mean" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_aspects_out_of_100_are_refused():
    demo = fake_demo(("ours",))
    demo["arms"][0]["turns"][0]["quality"]["aesthetics"] = {"mean": 80, "low": 79, "high": 81}
    with pytest.raises(ContractError, match="aesthetics runs from 0 to 1"):
        parse_demo(demo)


def test_same_input_gives_the_same_bytes(tmp_path):
    first = write_report(fake_demo(("base", "ours")), tmp_path / "first")
    second = write_report(fake_demo(("base", "ours")), tmp_path / "second")
    assert first.page.read_bytes() == second.page.read_bytes()
    assert first.figures.read_bytes() == second.figures.read_bytes()


def test_the_figures_come_back_from_disk_unchanged(tmp_path):
    demo = fake_demo(("base", "ours"))
    files = write_report(demo, tmp_path)
    written = json.loads(files.figures.read_text())
    assert written == json.loads(json.dumps(demo))
    assert list(written) == sorted(written)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo.html", "demo.json"]


def test_a_refused_report_leaves_the_old_one(tmp_path):
    files = write_report(fake_demo(("base",)), tmp_path)
    before = files.page.read_bytes()
    with pytest.raises(ContractError):
        write_report({"arms": []}, tmp_path)
    assert files.page.read_bytes() == before


def test_a_full_disk_leaves_the_old_report(tmp_path, monkeypatch):
    files = write_report(fake_demo(("base",)), tmp_path)
    before = files.page.read_bytes(), files.figures.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipelines.report.files.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_report(fake_demo(("base", "ours")), tmp_path)
    assert (files.page.read_bytes(), files.figures.read_bytes()) == before
    assert len(list(tmp_path.iterdir())) == 2


def test_report_figures_leave_clocks_and_machines_out():
    slow = {**fake_demo(("ours",)), "wall_seconds": 999.0, "memory_peak_mb": 1.0, "time": []}
    assert report_figures(slow) == report_figures(fake_demo(("ours",)))


def test_the_callers_demo_is_left_alone():
    demo = fake_demo(("base", "ours"))
    before = json.dumps(demo)
    render_report(demo)
    assert json.dumps(demo) == before


def test_numpy_numbers_are_taken():
    turn = {
        "turn": np.int64(1),
        "quality": {"overall": {"mean": np.float32(50), "low": 40, "high": 60}},
    }
    page = render_report({"arms": [{"name": "ours", "turns": [turn]}]})
    assert "50.0" in _read(page).text


def test_gaps_in_curves_are_drawn_as_gaps():
    curve = {"arm": "ours", "turn": 1, "stage": "dpo", "metric": "loss",
             "steps": [0, 1, 2], "values": [0.7, None, 0.5]}  # fmt: skip
    _read(render_report({"arms": [{"name": "ours"}], "curves": [curve]}))


def test_fake_pictures_are_pictures():
    assert base64.b64decode(fake_png(np.random.default_rng(0))).startswith(b"\x89PNG")


def test_what_was_not_asked_for_is_no_tick():
    demo = fake_demo()
    rules = [
        {"rule": "kl", "passed": True, "detail": "no cap", "asked": False},
        {"rule": "win_rate", "passed": True, "detail": "won"},
        {"rule": "validity", "passed": False, "detail": "fell"},
    ]
    for arm in demo["arms"]:
        for turn in arm["turns"]:
            turn["gate"] = rules
    page = render_report(demo)
    marks = re.findall(r'class="mark (\w+)" aria-label="([a-z ]+)">([^<]+)<', page)
    assert set(marks) == {
        ("idle", "not asked for", "\u2013"),
        ("yes", "passed", "\u2713"), ("no", "failed", "\u2715"),
    }  # fmt: skip


def test_users_read_right_stand_beside_what_a_guess_gets_right():
    demo = fake_demo()
    for row in demo["intents"]:
        row["found_against_truth"] = {
            "rows": ["endorse", "mock"], "columns": ["endorse", "mock"],
            "counts": [[70, 5], [10, 15]],
        }  # fmt: skip
    page = render_report(demo)
    assert "85.0 % of all users were read right" in page
    assert "would be right for 80.0 %" in page


@pytest.mark.parametrize(("alphas", "said"), [((0.1, 0.15, 0.7), True), ((0.1, 0.3, 0.4), False)])
def test_a_crew_that_hardly_agrees_is_said_to(alphas, said):
    demo = fake_demo()
    demo["agreement"] = [
        {"arm": "ours", "turn": 1, "aspect": "overall", "alpha": alpha} for alpha in alphas
    ]
    assert ("hardly agree beyond chance" in render_report(demo)) is said


@pytest.mark.parametrize(("modality", "word"), [("video", "films"), ("image", "pictures")])
def test_a_report_says_what_was_drawn(modality, word):
    demo = fake_demo()
    demo["settings"] = {"studio": {"modality": modality}}
    page = render_report(demo)
    assert f"How good the {word} are" in page
    assert f'class="drawn {word}"' in page
    assert ("its frames from left to right" in page) is (word == "films")
