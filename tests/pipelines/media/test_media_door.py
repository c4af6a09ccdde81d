"""The door: media go to who was given them, for minutes, and to nobody else."""

import json

import httpx
import pytest
from starlette.testclient import TestClient

from pipelines.labelling.ledger import open_ledger, record_people
from pipelines.labelling.planning import Question, Shown, plan_assignments
from pipelines.media import build_door, signed_path
from pipelines.media.signing import zone_key
from pipelines.stores import open_stores

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(200))
MP4 = b"\x00\x00\x00\x18ftypmp42" + bytes(500)
NOW = 1_800_000_000.0
COOKIES = ["sessionid=one; Path=/", "b=2; Path=/"]


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


class Told(httpx.AsyncByteStream):
    """A body that arrives bit by bit, as from a network."""

    def __init__(self, content):
        self.content = content

    async def __aiter__(self):
        yield self.content[:5]
        yield self.content[5:]


def label_studio(request):
    """A Label Studio that knows two sessions and says what it was asked."""
    users = {"sessionid=one": 11, "sessionid=two": 12}
    if request.url.path == "/api/current-user/whoami":
        user = users.get(request.headers.get("cookie", ""))
        return httpx.Response(401) if user is None else httpx.Response(200, json={"id": user})
    if request.url.path == "/api/projects/1/":
        assert request.headers["cookie"] == "sessionid=one"
        return httpx.Response(200, json={"task_number": 12, "num_tasks_with_annotations": 5})
    said = {"path": request.url.path, "query": request.url.query.decode(),
            "host": request.headers["host"], "body": request.content.decode(),
            "cookie": request.headers.get("cookie")}  # fmt: skip
    headers = [("set-cookie", each) for each in COOKIES]
    return httpx.Response(418, content=Told(json.dumps(said).encode()), headers=headers)


@pytest.fixture
def zone(tmp_path):
    """A zone with two annotators, of whom one was given a picture pair; its door and clock."""
    stores, ledger, clock = open_stores(tmp_path), open_ledger(tmp_path), Clock()
    digests = stores.blobs.put_many([PNG, MP4, b"<html><script>alert(1)</script>"])
    record_people(
        ledger,
        [{"annotator_id": f"ann-{n}", "user_id": 10 + n, "address": f"{n}"} for n in (1, 2)],
        [{"project_id": 1, "annotator_id": "ann-1", "interface": "pair_image"}],
    )
    question = Question(
        task_id="t", prompt="p",
        first=Shown(generation_id="g1", modality="image", blob=digests[0]),
        other=Shown(generation_id="g2", modality="image", blob=digests[1]),
    )  # fmt: skip
    plan_assignments(ledger, "turn-0", [question], overlap=1)
    door = build_door(
        stores.blobs, ledger, zone_key(tmp_path), upstream="http://studio.invalid",
        transport=httpx.MockTransport(label_studio), clock=clock,
    )  # fmt: skip
    with TestClient(door, base_url="http://127.0.0.1:8080", follow_redirects=False) as browser:
        yield browser, digests, clock, zone_key(tmp_path), ledger


def test_pages_ask_for_our_keys_and_nothing_else_is_changed(tmp_path):
    """HTML that a browser opens gets one script of ours; what a script asks for stays as it is."""
    page = b"<html><head><title>x</title></head><body>y</body></html>"
    asked = []

    def upstream(request):
        asked.append(request.headers["accept-encoding"])
        kind = {"content-type": "text/html; charset=utf-8", "set-cookie": COOKIES[0]}
        return httpx.Response(200, content=Told(page), headers=kind)

    door = build_door(
        open_stores(tmp_path).blobs, open_ledger(tmp_path), zone_key(tmp_path),
        upstream="http://studio.invalid", transport=httpx.MockTransport(upstream),
    )  # fmt: skip
    with TestClient(door, base_url="http://127.0.0.1:8080") as browser:
        opened = browser.get("/projects/1/data", headers={"accept": "text/html,*/*"})
        fetched = browser.get("/projects/1/data", headers={"accept": "application/json"})
        script = browser.get("/flywheel-keys.js")
    tag = b'<script src="/flywheel-keys.js"></script>'
    assert opened.content == page.replace(b"</head>", tag + b"</head>")
    assert opened.headers["content-length"] == str(len(opened.content))
    assert opened.headers["set-cookie"] == COOKIES[0]
    assert fetched.content == page
    assert asked[0] == "identity" != asked[1]
    assert script.headers["content-type"].startswith("text/javascript")
    assert "addEventListener" in script.text


def address_of(ledger, side):
    from pipelines.labelling.ledger import ASSIGNMENTS
    from pipelines.stores.catalogue_tables import transaction

    with transaction(ledger, writes=False) as connection:
        [row] = connection.execute(ASSIGNMENTS.select()).all()
    return row.data[side]


def test_who_was_given_it_gets_it_by_an_address_that_expires(zone):
    browser, _, clock, _, ledger = zone
    first = browser.get(address_of(ledger, "left"), headers={"cookie": "sessionid=one"})
    assert first.status_code == 302
    found = browser.get(first.headers["location"])
    assert found.status_code == 200
    assert found.headers["content-type"] in ("image/png", "video/mp4")
    assert found.headers["x-content-type-options"] == "nosniff"
    clock.now += 301
    late = browser.get(first.headers["location"])
    assert late.status_code == 403
    assert "expired" in late.text
    assert late.text.count("\n") == 1


@pytest.mark.parametrize(
    ("cookie", "says"),
    [("sessionid=two", "not given to you"), ("sessionid=three", "session has ended"),
     ("", "nobody is signed in")],
)  # fmt: skip
def test_nobody_else_does(zone, cookie, says):
    browser, *_, ledger = zone
    answer = browser.get(address_of(ledger, "left"), headers={"cookie": cookie})
    assert answer.status_code == 403
    assert says in answer.text


def test_the_door_keeps_no_visitors_cookies_for_the_next_one(zone):
    """Label Studio sets cookies when somebody signs in; who comes after must not carry them."""
    browser, *_ = zone
    assert browser.post("/user/login/").headers.get_list("set-cookie") == COOKIES
    browser.cookies.clear()
    assert browser.get("/projects/").json()["cookie"] is None


def test_an_annotators_own_page_says_what_is_left_and_where_to_begin(zone):
    browser, *_ = zone
    page = browser.get("/progress", headers={"cookie": "sessionid=one"})
    assert page.status_code == 200
    assert "7 left for you" in page.text
    assert "You have answered 5" in page.text
    assert 'href="/projects/1/data?labeling=1"' in page.text
    assert "script" not in page.headers["content-security-policy"]
    idle = browser.get("/progress", headers={"cookie": "sessionid=two"})
    assert "Nothing waits for you" in idle.text
    assert "/projects/1/" not in idle.text, "nobody sees another's work"


def test_who_is_not_signed_in_is_asked_to_and_comes_back(zone):
    browser, *_ = zone
    answer = browser.get("/progress", headers={"cookie": ""})
    assert (answer.status_code, answer.headers["location"]) == (302, "/user/login/?next=/progress")


def test_an_address_says_nothing_of_what_it_leads_to(zone):
    _, digests, *_, ledger = zone
    address = address_of(ledger, "left") + address_of(ledger, "right")
    assert not any(word in address for word in (*digests, "g1", "g2"))


def test_forged_addresses_are_refused(zone):
    browser, digests, _, key, _ = zone
    good = signed_path(key, digests[0], now=NOW)
    assert browser.get(good).status_code == 200
    longer = good.replace(f"expires={int(NOW) + 300}", f"expires={int(NOW) + 90_000}")
    other = good.replace(digests[0], digests[1])
    unsigned = good.split("&")[0]
    foreign = signed_path(b"another zone's key", digests[0], now=NOW)
    twisted = good[:-1] + ("0" if good[-1] != "0" else "1")
    odd = good.replace("expires=", "expires=x").replace("signature=", "signature=ü")
    statuses = {browser.get(each).status_code
                for each in (longer, other, unsigned, foreign, twisted, odd)}  # fmt: skip
    assert statuses == {403}


def test_ranges_work(zone):
    browser, digests, _, key, _ = zone
    address = signed_path(key, digests[1], now=NOW)
    part = browser.get(address, headers={"range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")
    assert part.headers["content-range"] == f"bytes 4-7/{len(MP4)}"
    assert browser.get(address, headers={"range": "bytes=9999-"}).status_code == 416


def test_what_could_run_in_a_browser_is_never_given_out(zone):
    browser, digests, _, key, _ = zone
    answer = browser.get(signed_path(key, digests[2], now=NOW))
    assert answer.status_code == 415
    assert "script" not in answer.text


def test_no_zone_serves_anothers_media(zone, tmp_path):
    """Another zone's door has another key and other blobs; even our own key names nothing there."""
    _, digests, clock, key, ledger = zone
    away = open_stores(tmp_path / "sensitive")
    secret = away.blobs.put(PNG + b"secret")
    browser = zone[0]
    assert browser.get(signed_path(key, secret, now=NOW)).status_code == 404
    door = build_door(
        away.blobs, ledger, zone_key(tmp_path / "sensitive"), upstream="http://studio.invalid",
        transport=httpx.MockTransport(label_studio), clock=clock,
    )  # fmt: skip
    with TestClient(door) as other:
        assert other.get(signed_path(key, digests[0], now=NOW)).status_code == 403


def test_everything_else_is_label_studios(zone):
    browser, *_ = zone
    answer = browser.post("/api/tasks/?page=2&q=a%2Fb", content=b"words")
    assert answer.status_code == 418
    assert answer.json() == {"path": "/api/tasks/", "query": "page=2&q=a%2Fb",
                             "host": "127.0.0.1:8080", "body": "words", "cookie": None}  # fmt: skip
    assert answer.headers.get_list("set-cookie") == COOKIES


def test_keys_are_kept_and_readable_by_us_alone(tmp_path):
    assert zone_key(tmp_path) == zone_key(tmp_path)
    assert (tmp_path / "media" / "media.key").stat().st_mode & 0o077 == 0
