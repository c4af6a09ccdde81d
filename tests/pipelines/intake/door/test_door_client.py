"""The client repeats what may be repeated, and what the pages show works."""

import json
import re
import runpy
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from door_events import event, written
from door_places import served

from data_contracts.errors import FlywheelError
from pipelines.intake.door.client import DoorClient, DoorRefused, Sent

HOUSE = Path(__file__).resolve().parents[4]


@contextmanager
def scripted(*answers):
    """Serve these answers in turn: a status with JSON, or None to hang up without a word."""
    left, seen = list(answers), []

    class Script(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            seen.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            found = left.pop(0)
            if found is None:
                self.close_connection = True
                return
            content = written(found[1])
            self.send_response(found[0])
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Script)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        server.server_close()


def test_a_request_is_repeated_until_it_is_kept():
    kept = (202, {"accepted": 1, "known": 0})
    with scripted((429, {}), None, (503, {}), kept) as (address, seen):
        sent = DoorClient(address, "key").send([event(1)])
    assert sent == Sent(accepted=1, known=0)
    assert seen == [[event(1)]] * 4


def test_what_is_refused_for_good_is_not_repeated():
    told = {"error": "1 event ids stand for other events already", "conflicting_ids": ["ev_1"]}
    with scripted((409, told)) as (address, seen), pytest.raises(DoorRefused) as refused:
        DoorClient(address, "key").send([event(1)])
    assert refused.value.status == 409
    assert refused.value.told["conflicting_ids"] == ["ev_1"]
    assert len(seen) == 1


def test_patience_ends_in_one_sentence_that_holds_no_key():
    client = DoorClient("http://127.0.0.1:9", "fwk_secret", patience=0.2)
    with pytest.raises(FlywheelError, match="did not take the events") as gone:
        client.send([event(1)])
    assert "fwk_secret" not in f"{gone.value}{client!r}"


def test_many_events_go_in_batches_over_one_connection(place):
    door = served(place)
    address = door.stdout.readline().strip()
    try:
        with DoorClient(address, place.key) as client:
            assert client.send(event(n) for n in range(1200)) == Sent(accepted=1200, known=0)
            assert client.send(event(n) for n in range(1201)) == Sent(accepted=1, known=1200)
    finally:
        door.terminate()
        door.wait()
        door.stdout.close()


@pytest.mark.parametrize("page", ["README.md", "docs/how-to/send-your-events.md"])
def test_the_curl_example_on_a_page_is_accepted(client, page):
    text = (HOUSE / page).read_text("utf-8")
    [body] = re.findall(r"-d '(.*?)'", text, re.DOTALL)
    answer = client.post("/v1/events", content=body)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "known": 0})


def test_the_page_names_every_status_that_the_door_publishes(client):
    page = (HOUSE / "docs/how-to/send-your-events.md").read_text("utf-8")
    answers = client.get("/openapi.json").json()["paths"]["/v1/events"]["post"]["responses"]
    table = "\n".join(line for line in page.splitlines() if line.startswith("| "))
    assert [status for status in answers if status not in table] == []


def test_the_example_sends_twice_and_is_kept_once(place, monkeypatch, capsys):
    example = runpy.run_path(str(HOUSE / "examples" / "send_events.py"))
    monkeypatch.delenv("FLYWHEEL_KEY", raising=False)
    assert example["main"]() == 2
    assert "set FLYWHEEL_KEY" in capsys.readouterr().err
    with served(place) as door:
        monkeypatch.setenv("FLYWHEEL_DOOR", door.stdout.readline().strip())
        monkeypatch.setenv("FLYWHEEL_KEY", place.key)
        try:
            assert example["main"]() == 0
        finally:
            door.terminate()
    assert capsys.readouterr().out.splitlines() == [
        "kept 2, known before 0", "kept 0, known before 2",
    ]  # fmt: skip
