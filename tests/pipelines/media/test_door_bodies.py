"""The door holds no more of a request than its sender may send, whatever they say of its length."""

import asyncio

import httpx
import pytest

from pipelines.labelling.ledger import open_ledger
from pipelines.media import bodies, build_door
from pipelines.media.signing import zone_key
from pipelines.stores import open_stores

CHUNK = b"\x00" * 65_536
SIGNED_IN = "sessionid=one"


class Nothing(httpx.AsyncByteStream):
    """An empty body, as from a network."""

    async def __aiter__(self):
        yield b""


class Knock:
    """One request that arrives piece by piece; what was taken of it, and what came back."""

    def __init__(self, root, *, chunks, cookie="", stated=False):
        self.taken, self.passed, self.status, self.text = 0, [], None, b""
        self._chunks, self._asked = chunks, 0
        headers = [(b"host", b"door"), (b"cookie", cookie.encode())]
        if stated:
            headers.append((b"content-length", str(chunks * len(CHUNK)).encode()))
        scope = {
            "type": "http", "http_version": "1.1", "method": "POST", "path": "/user/login/",
            "raw_path": b"/user/login/", "query_string": b"", "headers": headers,
            "scheme": "http", "server": ("door", 80), "root_path": "",
        }  # fmt: skip
        door = build_door(
            open_stores(root).blobs, open_ledger(root), zone_key(root),
            upstream="http://studio.invalid", transport=httpx.MockTransport(self._label_studio),
        )  # fmt: skip
        asyncio.run(asyncio.wait_for(door(scope, self._receive, self._send), 60))

    def _label_studio(self, request):
        if request.url.path == "/api/current-user/whoami":
            self._asked += 1
            known = request.headers["cookie"] == SIGNED_IN
            return httpx.Response(200, json={"id": 1}) if known else httpx.Response(401)
        self.passed.append(len(request.content))
        return httpx.Response(201, content=Nothing())

    async def _receive(self):
        if self.taken == self._chunks:
            await asyncio.Event().wait()  # the visitor waits for their answer
        self.taken += 1
        more = self.taken < self._chunks
        return {"type": "http.request", "body": CHUNK, "more_body": more}

    async def _send(self, message):
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.text += message.get("body", b"")

    @property
    def asked(self):
        return self._asked


@pytest.mark.parametrize("stated", [True, False], ids=["with its length", "without its length"])
@pytest.mark.parametrize("cookie", ["", "sessionid=forged"])
def test_a_large_body_of_nobody_is_refused_before_it_is_held(tmp_path, cookie, stated):
    """50 MB from a visitor without a session, or with one that Label Studio does not know."""
    told = Knock(tmp_path, chunks=800, cookie=cookie, stated=stated)
    assert told.status == 413
    assert told.taken == (0 if stated else bodies.ANYBODY // len(CHUNK) + 1)
    assert told.text.count(b"\n") == 1
    assert b"sign in" in told.text
    assert not told.passed


@pytest.mark.parametrize("stated", [True, False], ids=["with its length", "without its length"])
def test_a_mask_of_somebody_signed_in_passes_and_they_are_asked_for_once(tmp_path, stated):
    told = Knock(tmp_path, chunks=560, cookie=SIGNED_IN, stated=stated)
    assert (told.status, told.asked) == (201, 1)
    assert told.passed == [560 * len(CHUNK)], "36.7 MB: more than the largest mask measured"


@pytest.mark.parametrize("stated", [True, False], ids=["with its length", "without its length"])
def test_nobody_sends_more_than_the_largest_answer(tmp_path, monkeypatch, stated):
    monkeypatch.setattr(bodies, "SIGNED_IN", 20 * len(CHUNK))
    told = Knock(tmp_path, chunks=800, cookie=SIGNED_IN, stated=stated)
    assert told.status == 413
    assert told.taken == (0 if stated else 21)
    assert not told.passed


def test_a_form_passes_without_asking_who_sends_it(tmp_path):
    told = Knock(tmp_path, chunks=1)
    assert (told.status, told.asked, told.passed) == (201, 0, [len(CHUNK)])
