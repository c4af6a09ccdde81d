"""With Label Studio down the door says so, wherever somebody knocks."""

import httpx
import pytest
from starlette.testclient import TestClient

from pipelines.labelling.ledger import open_ledger, record_people
from pipelines.media import build_door
from pipelines.media.signing import entry_path, zone_key
from pipelines.stores import open_stores

NOW = 1_800_000_000.0


class Broken(httpx.AsyncByteStream):
    """A body that ends in the middle, as when a server is stopped."""

    async def __aiter__(self):
        yield b"<html>"
        raise httpx.ReadError("cut off")


def down(request):
    raise httpx.ConnectError("refused", request=request)


def dying(_request):
    return httpx.Response(200, content=Broken(), headers={"content-type": "text/html"})


def opened(root, label_studio):
    ledger = open_ledger(root)
    person = {"annotator_id": "ann-1", "user_id": 11, "address": "a"}
    record_people(ledger, [person], [])
    door = build_door(
        open_stores(root).blobs, ledger, zone_key(root), upstream="http://studio.invalid",
        password_of=lambda _: "x", transport=httpx.MockTransport(label_studio), clock=lambda: NOW,
    )  # fmt: skip
    browser = TestClient(door, follow_redirects=False, raise_server_exceptions=False)
    browser.headers = {"cookie": "sessionid=one", "accept": "text/html"}
    return browser


@pytest.mark.parametrize("where", ["/start", "/progress", "/media/asg_1/left", "enter", "/user/"])
def test_a_server_that_is_down_is_one_sentence_everywhere(tmp_path, where):
    entry = entry_path(zone_key(tmp_path), "ann-1", now=NOW)
    told = opened(tmp_path, down).get(entry if where == "enter" else where)
    assert told.status_code == 502
    assert told.text == "Label Studio is down; run `flywheel annotate up`\n"
    assert told.headers["cache-control"] == "no-store"


def test_a_server_that_dies_within_a_page_is_the_same_sentence(tmp_path):
    told = opened(tmp_path, dying).get("/projects/1/data")
    assert (told.status_code, told.text) == (
        502, "Label Studio is down; run `flywheel annotate up`\n",
    )  # fmt: skip
