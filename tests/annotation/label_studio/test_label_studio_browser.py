"""Each interface as an annotator meets it: labelled by keyboard in Chromium, read back exactly.

Screenshots are kept under reports/interfaces.
"""

from pathlib import Path

import pytest
from answering import assignments, questions, rows_in
from browsing import FRAMES, RATE, SUBMIT, Seat, film, picture, png
from real_server import ANNOTATORS, EVERY_INTERFACE, MORE_INTERFACES, silent

from pipelines.labelling.edits import edited_generations
from pipelines.labelling.ledger import (
    ANNOTATORS as ANNOTATORS_KNOWN,
)
from pipelines.labelling.ledger import (
    ANSWERS,
    ASSIGNMENTS,
    LOOKS,
    PROJECTS,
    READS,
    open_ledger,
    projects_of,
)
from pipelines.labelling.planning import (
    Original,
    Question,
    Shown,
    assign,
    people_of,
    plan_assignments,
)
from pipelines.labelling.push import push_assignments
from pipelines.labelling.service import bring_up, client_of
from pipelines.labelling.sync import sync_answers
from pipelines.labelling.waking import woken_at
from pipelines.stores import open_stores
from pipelines.stores.catalogue_tables import transaction

# A browser and a real server: minutes. It buys what no other test sees, what an annotator meets.
pytestmark = [pytest.mark.slow, pytest.mark.browser]
SHOTS = Path(__file__).resolve().parents[3] / "reports" / "interfaces"
KEYS = {
    "pair_image": ["1", "a", "x", "l"],
    "pair_video": ["5", "d", "x", "j", "o"],
    "pair_text": ["6", "Control+z", "3", "a", "z"],
    "blind_image": ["7"],
    "blind_video": ["2", "s"],
    "blind_text": ["0"],
    "critique_image": ["1", "1", "1", "2", "3", "3", "5"],
    "critique_video": ["1", "2", "2", "6", "6", "6", "6", "6"],
    "critique_text": ["7"],
    # Into the field and to its end, words that are keys as well, out of it; then why.
    "edit_text": ["w", "Control+End", *"So as w.", "Escape", "x", "j", "a", "Control+z"],
}
# Left against right by aspect, and stars by aspect, that these keys must end as.
SAID = {
    "pair_image": {"overall": 2, "prompt_alignment": 1, "physical_plausibility": 0,
                   "aesthetics": -1},
    "pair_video": {"overall": -1, "prompt_alignment": -1, "physical_plausibility": 0,
                   "aesthetics": 1, "temporal_consistency": 0},
    "pair_text": {"overall": 0, "prompt_alignment": 1, "aesthetics": 1},
    "blind_image": {"overall": None},
    "blind_video": {"overall": 1, "prompt_alignment": 0},
    "blind_text": {None: None},
    "critique_image": {"prompt_alignment": 3, "physical_plausibility": 1, "aesthetics": 2,
                       "overall": 1},
    "critique_video": {"prompt_alignment": 1, "physical_plausibility": 2, "overall": 5},
    "critique_text": {None: None},
    "edit_text": {"overall": None, "aesthetics": None},
}  # fmt: skip
DECLINED = {"blind_text": None, "critique_text": "cannot_judge"}


@pytest.fixture(scope="session")
def tasks(studio_root):
    """One question for each interface, with real media in the zone's store."""
    bring_up(studio_root, ANNOTATORS[:1], MORE_INTERFACES, port=1, url=None, bars=silent)
    blobs, ledger = open_stores(studio_root).blobs, open_ledger(studio_root)
    shown = {
        # As small as the studio's own, and as large as a product's.
        "image": blobs.put_many([png(picture(0, size=32)), png(picture(90))]),
        "video": [blobs.put(film())] * 2,
        "text": [None, None],
    }

    def question(form, modality):
        name = f"{form}_{modality}"
        text = "The disc rests on the floor. " * 12 if modality == "text" else None
        sides = [Shown(generation_id=f"gb_{name}_{n}", modality=modality, blob=digest, text=text,
                       frames=FRAMES, fps=RATE)
                 for n, digest in enumerate(shown[modality])]  # fmt: skip
        return Question(
            task_id=f"tb_{name}", prompt="a red disc on the floor", first=sides[0],
            other=None if form in ("critique", "edit") else sides[1], blind=form == "blind",
            warning="May show a rolling disc." if name in ("pair_image", "edit_text") else "",
            original=Original(tenant_id="studio", project_id="film", prompt_id="pb")
            if form == "edit" else None,
        )  # fmt: skip

    asked = [question(*name.split("_")) for name in EVERY_INTERFACE]
    plan_assignments(ledger, "browser", asked, overlap=1)
    push_assignments(studio_root, client_of(studio_root))
    return {row.interface: row for row in assignments(ledger, "browser")}


@pytest.mark.parametrize("interface", EVERY_INTERFACE)
def test_an_interface_is_labelled_by_keyboard_and_read_back(
    browser, studio_root, lead, tasks, interface
):
    """No script error, nothing asked of any other machine, media shown, all in one view."""
    task = tasks[interface]
    seat = Seat(browser, studio_root, task)
    seat.open_task()
    seat.press(*KEYS[interface])
    SHOTS.mkdir(parents=True, exist_ok=True)
    seat.page.screenshot(path=SHOTS / f"{interface}.png")
    below = [
        box["y"] + box["height"]
        for place in seat.page.locator(".fw-verdict, .fw img, .fw canvas").all()
        if (box := place.bounding_box())
    ]
    seat.submit()
    seat.close()
    sync_answers(studio_root, lead)
    rows = [r for r in rows_in(open_ledger(studio_root)) if r["task_id"] == task.task_id]
    sign = 1 if task.right_id is None or task.left_id < task.right_id else -1
    said = {r["aspect"]: None if r["value"] is None else r["value"] * sign for r in rows}
    assert said == SAID[interface]
    assert [r["reason_code"] for r in rows if r["kind"] == "declined"] == (
        [DECLINED[interface]] if interface in DECLINED else []
    )
    assert seat.errors == []
    assert seat.hosts == {"127.0.0.1"}
    assert set(seat.media) <= {200, 206}
    assert bool(seat.media) == (not interface.endswith("text"))
    assert max(below) <= 900, "media and verdict fit one view, without scrolling"


def test_what_was_written_by_keyboard_is_a_generation(browser, studio_root, tasks, lead):
    """Enter and Shift+Enter are lines, letters are words, and white space stays as it was."""
    ledger, before = open_ledger(studio_root), "  A disc.\n\n  It are red \U0001f4a1. \n"
    shown = Shown(generation_id="gb_written", modality="text", text=before)
    original = Original(tenant_id="studio", project_id="film", prompt_id="pb")
    asked = Question(task_id="tb_written", prompt="a disc", first=shown, original=original)
    plan_assignments(ledger, "written", [asked], overlap=1)
    push_assignments(studio_root, lead)
    [task] = assignments(ledger, "written")
    seat = Seat(browser, studio_root, task)
    seat.open_task()
    seat.press("w", "Control+End", *"So 1.", "Enter", *"w", "Shift+Enter", *"x", "Escape")
    assert seat.page.get_by_text("Pick at least one").is_visible()
    assert seat.submits_nothing(), "Label Studio sends no edit without a reason"
    seat.press("c")
    seat.submit()
    seat.close()
    sync_answers(studio_root, lead)
    [row] = edited_generations(ledger, "written").to_pylist()
    written = open_stores(studio_root).blobs.get(row["blob"]).decode()
    assert written == before + "So 1.\nw\nx"
    assert row["parent_generation_id"] == "gb_written"
    assert seat.errors == []
    assert seat.hosts == {"127.0.0.1"}


def test_the_cursor_goes_into_a_comment_and_out_again_without_a_mouse(
    browser, studio_root, tasks, lead
):
    """Inside it letters are words; outside they answer."""
    ledger = open_ledger(studio_root)
    plan_assignments(ledger, "comment", questions("text", 1, start=7_000), overlap=1)
    push_assignments(studio_root, lead)
    [task] = assignments(ledger, "comment")
    seat = Seat(browser, studio_root, task)
    seat.open_task()
    seat.press("w", *"was 16", "Escape", "2")
    seat.submit()
    seat.close()
    sync_answers(studio_root, lead)
    rows = {row["kind"]: row for row in rows_in(ledger, "comment")}
    assert set(rows) == {"comment", "comparison"}
    assert rows["comment"]["text"] == "was 16"
    assert abs(rows["comparison"]["value"]) == 1
    assert seat.errors == []


def test_a_link_leads_through_sign_in_and_guidelines_to_one_task_after_another(
    browser, studio_root, lead
):
    """From the annotator's own page into the labelling stream; each answer arrives on its own."""
    ledger = open_ledger(studio_root)
    plan_assignments(ledger, "stream", questions("text", 9, start=4_000), overlap=1)
    push_assignments(studio_root, lead)
    given = assignments(ledger, "stream")
    seat = Seat(browser, studio_root, given[0])
    seat.sign_in("progress")
    seat.page.wait_for_selector("text=left for you")
    seat.page.screenshot(path=SHOTS / "progress.png")
    seat.page.click(f"a[href*='/projects/{given[0].project_id}/']")
    seat.wait()
    seat.page.screenshot(path=SHOTS / "guidelines.png")
    seat.close_guidelines()
    before = len(rows_in(ledger))
    seat.press("1")
    seat.submit()
    seat.next_task()
    seat.press("6")
    seat.submit()
    seat.close()
    assert sync_answers(studio_root, lead).accepted == 2
    assert len(rows_in(ledger)) == before + 2
    assert seat.errors == []


def test_what_a_warning_covers_is_shown_when_asked_for(browser, studio_root, tasks):
    """Covered until q, covered again by q, and the verdict can be given either way."""
    seat = Seat(browser, studio_root, tasks["pair_image"])
    seat.open_task()
    opacity = "getComputedStyle(document.querySelector('.fw-left .fw-shown')).opacity"
    seen = [seat.page.evaluate(opacity)]
    for key in ("q", "q"):
        seat.press(key)
        seen.append(seat.page.evaluate(opacity))
    seat.page.hover(".fw-left")
    seen.append(seat.page.evaluate(opacity))
    seat.close()
    assert seen == ["0", "1", "0", "1"]


def test_nothing_of_a_films_controls_is_cut_off(browser, studio_root, tasks):
    """Keyframes are for moving boxes, which nobody draws here; what is left fits its card."""
    seat = Seat(browser, studio_root, tasks["pair_video"])
    seat.open_task()
    card = seat.page.locator(".fw-left").bounding_box()
    buttons = seat.page.locator(".fw-left .lsf-timeline-controls button:visible").all()
    edges = [box["x"] + box["width"] for each in buttons if (box := each.bounding_box())]
    seat.close()
    assert len(edges) >= 3
    assert max(edges) <= card["x"] + card["width"]


@pytest.fixture
def newcomer(studio_root, lead):
    """Somebody with no task yet, and their link; gone afterwards, for others share the server."""
    made = bring_up(studio_root, ["newcomer"], ["pair_text", "critique_text"], port=1, url=None,
                    bars=silent)  # fmt: skip
    yield made.links[0]
    ledger = open_ledger(studio_root)
    theirs = [p.project_id for p in projects_of(ledger) if p.annotator_id == "newcomer"]
    for project in theirs:
        lead.request("DELETE", f"api/projects/{project}/")
    with transaction(ledger) as connection:
        for table in (READS, LOOKS, ANSWERS, ASSIGNMENTS, PROJECTS):
            connection.execute(table.delete().where(table.c.project_id.in_(theirs)))
        connection.execute(ANNOTATORS_KNOWN.delete().where(
            ANNOTATORS_KNOWN.c.annotator_id == "newcomer"))  # fmt: skip


def test_one_link_leads_to_the_first_answer_and_on_to_the_next_interface_by_keys_alone(
    browser, studio_root, lead, newcomer
):
    """No form, no page to choose on: the link, Escape, 1, Ctrl+Enter, and Enter for the rest."""
    ledger = open_ledger(studio_root)
    plan_for = {"pair_text": questions("text", 1, start=8_800),
                "critique_text": questions("text", 1, start=8_900, critique=True)}  # fmt: skip
    people = people_of(ledger, [each for asked in plan_for.values() for each in asked])
    given = [(asked[0], "newcomer") for asked in plan_for.values()]
    assert all("newcomer" in people[question.interface] for question, _ in given)
    assign(ledger, "newcomer", given)
    push_assignments(studio_root, lead)
    task = next(r for r in assignments(ledger, "newcomer") if r.interface == "pair_text")
    seat = Seat(browser, studio_root, task)
    heard = woken_at(studio_root)
    seat.page.goto(newcomer.url)
    seat.wait()
    assert f"/projects/{task.project_id}/" in seat.page.url, "the quick question first"
    assert "signature" not in seat.page.url
    seat.close_guidelines()
    seat.press("1")
    seat.submit()
    seat.page.wait_for_selector("text=Go on with what is left", timeout=20_000)
    seat.page.screenshot(path=SHOTS / "go-on.png")
    assert woken_at(studio_root) > heard, "the door heard it"
    seat.press("Enter")
    seat.page.wait_for_selector(".fw-critique .fw-verdict", timeout=60_000)
    seat.close()
    assert sync_answers(studio_root, lead).accepted >= 1
    assert [r["value"] is not None for r in rows_in(ledger, "newcomer")] == [True]
    assert seat.errors == []
    assert seat.hosts == {"127.0.0.1"}


def test_space_plays_both_films_together(browser, studio_root, tasks):
    seat = Seat(browser, studio_root, tasks["pair_video"])
    seat.open_task()
    seat.press("Space")
    seat.page.wait_for_function(
        "[...document.querySelectorAll('video')].every(film => film.currentTime > 0.2)"
    )
    seat.press("Space")
    seat.page.wait_for_timeout(200)
    left, right = seat.page.evaluate(
        "[...document.querySelectorAll('video')].map(film => film.currentTime)"
    )
    seat.close()
    assert abs(left - right) < 1.5 / RATE


def test_a_second_visitor_is_not_signed_in_as_the_first(browser, studio_root, tasks):
    seat = Seat(browser, studio_root, tasks["pair_image"])
    seat.open_task()
    stranger = browser.new_context().new_page()
    stranger.goto(seat.page.url)
    assert "/user/login" in stranger.url
    stranger.context.close()
    seat.close()


def test_a_picture_pair_takes_at_most_six_keys():
    """Choice, three ratings, and the two keys that submit."""
    assert len(KEYS["pair_image"]) + len(SUBMIT.split("+")) <= 6
    assert set(KEYS) == set(SAID) == set(EVERY_INTERFACE)
