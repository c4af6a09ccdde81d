"""An annotator's link signs them in and leads to their next task; a forged one does neither."""

from urllib.parse import parse_qs

import httpx
import pytest
from starlette.testclient import TestClient

from pipelines.labelling.ledger import open_ledger, record_people
from pipelines.media import build_door, signed_path
from pipelines.media.progress import Stream, next_place
from pipelines.media.signing import ENTRY_S, entry_path, zone_key
from pipelines.stores import open_stores

NOW = 1_800_000_000.0
ADDRESS, PASSWORD = "ann-1@annotators.flywheel.local", "known only here"
GIVEN = {1: (4, 4), 2: (9, 3), 3: (2, 0)}  # by labelling project: tasks, answered ones


class Nothing(httpx.AsyncByteStream):
    """An empty body, as from a network."""

    async def __aiter__(self):
        yield b""


def label_studio(request):
    """A Label Studio with one account, three labelling projects of theirs, and a sign-in form."""
    path, cookie = request.url.path, request.headers.get("cookie", "")
    if path == "/user/login/" and request.method == "GET":
        return httpx.Response(200, headers={"set-cookie": "csrftoken=form; Path=/"})
    if path == "/user/login/":
        told = {name: value for name, [value] in parse_qs(request.content.decode()).items()}
        assert cookie == "csrftoken=form"
        right = told == {"csrfmiddlewaretoken": "form", "email": ADDRESS, "password": PASSWORD}
        headers = [("set-cookie", "csrftoken=new; Path=/"),
                   ("set-cookie", "sessionid=one; HttpOnly; Path=/; SameSite=Lax")]  # fmt: skip
        return httpx.Response(302, headers=headers) if right else httpx.Response(200)
    if "sessionid=one" not in cookie:
        return httpx.Response(401, content=Nothing())
    if path == "/api/current-user/whoami":
        return httpx.Response(200, json={"id": 11})
    if path.startswith("/api/projects/"):
        tasks, answered = GIVEN[int(path.split("/")[3])]
        told = {"task_number": tasks, "num_tasks_with_annotations": answered}
        return httpx.Response(200, json=told)
    return httpx.Response(int(request.headers.get("answers-with", 201)), content=Nothing())


@pytest.fixture
def zone(tmp_path):
    """The door of a zone with one annotator; what it heard; the zone's key."""
    ledger, heard = open_ledger(tmp_path), []
    projects = [
        {"project_id": number, "annotator_id": "ann-1", "interface": interface}
        for number, interface in enumerate(("critique_image", "pair_image", "pair_text"), start=1)
    ]
    person = {"annotator_id": "ann-1", "user_id": 11, "address": ADDRESS}
    record_people(ledger, [person], projects)
    known = {ADDRESS: PASSWORD}
    door = build_door(
        open_stores(tmp_path).blobs, ledger, zone_key(tmp_path), upstream="http://studio.invalid",
        password_of=known.get, answered=lambda: heard.append(1),
        transport=httpx.MockTransport(label_studio), clock=lambda: NOW,
    )  # fmt: skip
    with TestClient(door, base_url="http://127.0.0.1:8080", follow_redirects=False) as browser:
        yield browser, zone_key(tmp_path), heard, known


def test_a_link_signs_in_and_leads_to_the_next_task(zone):
    browser, key, *_ = zone
    entered = browser.get(entry_path(key, "ann-1", now=NOW))
    assert (entered.status_code, entered.headers["location"]) == (303, "/start")
    assert browser.cookies["sessionid"] == "one"
    assert "HttpOnly" in "".join(entered.headers.get_list("set-cookie"))
    assert entered.headers["cache-control"] == "no-store"
    assert entered.headers["referrer-policy"] == "no-referrer"
    begun = browser.get("/start")
    assert begun.headers["location"] == "/projects/2/data?labeling=1", "pairs before critiques"


def test_who_is_not_signed_in_is_asked_to_before_they_begin(zone):
    browser, *_ = zone
    assert browser.get("/start").headers["location"] == "/user/login/?next=/start"


def test_forged_foreign_and_expired_links_are_one_sentence_and_sign_nobody_in(zone):
    browser, key, *_ = zone
    good = entry_path(key, "ann-1", now=NOW)
    twisted = good[:-1] + ("0" if good[-1] != "0" else "1")
    longer = good.replace(f"expires={int(NOW) + ENTRY_S}", f"expires={int(NOW) + 9 * ENTRY_S}")
    old = entry_path(key, "ann-1", now=NOW - ENTRY_S - 1)
    others = good.replace("ann-1", "ann-2")
    foreign = entry_path(b"another zone's key", "ann-1", now=NOW)
    digest = "a" * 64
    # An address that reads a medium must not sign anybody in, whatever the medium is called.
    medium = signed_path(key, digest, now=NOW).replace(f"/blob/{digest}", "/enter/ann-1")
    forged = (twisted, longer, old, others, foreign, medium, "/enter/ann-1")
    refused = [browser.get(each) for each in forged]
    assert {each.status_code for each in refused} == {403}
    assert {each.text.count("\n") for each in refused} == {1}
    assert all("flywheel annotate up" in each.text for each in refused)
    assert "expired" in refused[2].text
    assert "sessionid" not in browser.cookies


@pytest.mark.parametrize("kept", [{}, {ADDRESS: "changed since"}])
def test_who_changed_their_password_signs_in_by_hand(zone, kept):
    browser, key, _, known = zone
    known.clear()
    known.update(kept)
    entered = browser.get(entry_path(key, "ann-1", now=NOW))
    assert entered.headers["location"] == "/user/login/?next=/start"
    assert "sessionid" not in browser.cookies


def test_somebody_the_ledger_does_not_know_signs_in_by_hand(zone):
    browser, key, *_ = zone
    entered = browser.get(entry_path(key, "ann-7", now=NOW))
    assert entered.headers["location"] == "/user/login/?next=/start"


def test_every_answer_is_heard_and_nothing_else_is(zone):
    browser, _, heard, _ = zone
    signed_in = {"cookie": "sessionid=one"}
    browser.post("/api/tasks/7/annotations/", headers=signed_in)
    browser.patch("/api/annotations/9/", headers=signed_in)
    browser.delete("/api/annotations/9", headers=signed_in)
    assert len(heard) == 3
    browser.get("/api/tasks/7/annotations/", headers=signed_in)
    browser.post("/api/tasks/7/drafts/", headers=signed_in)
    browser.post("/api/tasks/7/annotations/", headers={**signed_in, "answers-with": "400"})
    browser.post("/api/tasks/7/annotations/")
    assert len(heard) == 3


def test_where_nothing_waits_the_link_leads_to_their_own_page():
    done = Stream(interface="pair_image", project_id=5, given=3, answered=3)
    assert next_place([done]) == next_place([]) == "/progress"
