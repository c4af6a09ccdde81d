"""The server as it really answers: closed, on loopback, provisioned once, for both tokens."""

import contextlib
import socket
import threading
import urllib.error
import urllib.request

import psutil
import pytest
from answering import answer, assignments, questions, verdict
from real_server import ANNOTATORS, INTERFACES, free_port, silent

from annotation.client import LabelStudioClient, ServerRefused
from annotation.server import personal_token, read_or_make_secrets, server_status
from data_contracts.errors import FlywheelError
from pipelines.labelling.examination import examine_desk
from pipelines.labelling.ledger import open_ledger, projects_of
from pipelines.labelling.planning import plan_assignments
from pipelines.labelling.push import push_assignments
from pipelines.labelling.service import TOKEN, bring_up, client_of, server_folder, take_down

pytestmark = pytest.mark.slow  # a real server, installed once: minutes


def test_it_listens_on_loopback_alone(studio_root):
    process = psutil.Process(server_status(server_folder(studio_root)).pid)
    everyone = [process, *process.children(recursive=True)]
    listening = [c.laddr.ip for p in everyone for c in p.net_connections()
                 if c.status == psutil.CONN_LISTEN]  # fmt: skip
    assert set(listening) == {"127.0.0.1"}


def test_sign_up_needs_an_invitation(lead):
    form = urllib.request.Request(f"{lead.url}/user/signup/", data=b"email=a@b.c&password=12345678")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(form, timeout=30)
    assert refused.value.code == 403


def test_keys_are_its_own_and_readable_by_us_alone(studio_root):
    folder = server_folder(studio_root)
    assert (folder / "secrets.json").stat().st_mode & 0o077 == 0
    known = read_or_make_secrets(folder)
    assert known.lead_token not in (folder / "server.log").read_text("utf-8", "replace")
    assert known.secret_key not in repr(known)


def test_provisioning_again_changes_nothing(studio_root, lead):
    before = projects_of(open_ledger(studio_root))
    there = lead.request("GET", "api/projects/")["count"]
    people = lead.request("GET", "api/users/")
    made = bring_up(studio_root, ANNOTATORS, INTERFACES, port=1, url=None, bars=silent)
    assert projects_of(open_ledger(studio_root)) == before
    assert [link.annotator_id for link in made.links] == list(ANNOTATORS)
    assert len(people) > len(ANNOTATORS), "and the lead"
    assert [each["id"] for each in lead.request("GET", "api/users/")] == [p["id"] for p in people]
    assert lead.request("GET", "api/projects/")["count"] == there == len(before)


def test_a_personal_access_token_works_as_the_legacy_one_until_it_is_revoked(lead):
    personal = lead.request("POST", "api/token/")["token"]
    assert personal.count(".") == 2, "a personal token is a JWT"
    assert LabelStudioClient(lead.url, personal).whoami()["id"] == lead.whoami()["id"]
    lead.request("POST", "api/token/blacklist", json={"refresh": personal})
    with pytest.raises(FlywheelError, match="does not know this token") as refused:
        LabelStudioClient(lead.url, personal).whoami()
    assert "\n" not in str(refused.value)


def test_an_existing_server_is_used_with_a_token_from_the_environment(lead, tmp_path, monkeypatch):
    with pytest.raises(FlywheelError, match=f"set {TOKEN}"):
        bring_up(tmp_path, ["ann-9"], ["pair_text"], port=1, url=lead.url, bars=silent)
    monkeypatch.setenv(TOKEN, lead.request("POST", "api/token/")["token"])
    made = bring_up(tmp_path, ["ann-9"], ["pair_text"], port=1, url=lead.url, bars=silent)
    assert not made.own_server
    [project] = projects_of(open_ledger(tmp_path))
    lead.request("DELETE", f"api/projects/{project.project_id}/")
    lead.request("DELETE", f"api/users/{project.user_id}/")


def test_nobody_at_the_address_is_one_sentence():
    with pytest.raises(FlywheelError, match="does not answer") as refused:
        LabelStudioClient("http://127.0.0.1:9", "x" * 40).whoami()
    assert "\n" not in str(refused.value)


def test_the_doctor_finds_a_sound_desk_sound_and_an_altered_interface(studio_root, lead):
    assert {each.state for each in examine_desk(studio_root)} <= {"ok", "note"}
    row = projects_of(open_ledger(studio_root))[0]
    where = f"api/projects/{row.project_id}/"
    before = lead.request("GET", where)["label_config"]
    try:
        lead.request("PATCH", where, json={"label_config": f"{before}<!-- by hand -->"})
        (told,) = (each for each in examine_desk(studio_root) if each.subject == "projects")
        assert told.state == "bad"
        assert f"{row.interface} of {row.annotator_id} shows an older interface" in told.says
    finally:
        lead.request("PATCH", where, json={"label_config": before})
    assert {each.state for each in examine_desk(studio_root)} <= {"ok", "note"}


@pytest.fixture
def listener():
    """Something on loopback that counts who comes, as Dagster's page without a login would be."""
    visits = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        done = threading.Event()

        def wait():
            while not done.is_set():
                with contextlib.suppress(TimeoutError):
                    visits.append(server.accept()[0].close())

        waiting = threading.Thread(target=wait)
        waiting.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", visits
        done.set()
        waiting.join()


def test_no_account_can_make_the_server_ask_this_machine(studio_root, lead, desks, listener):
    """Webhooks, imports by address and model backends reach nothing that listens beside it."""
    address, visits = listener
    turn = "reaching"
    ledger = open_ledger(studio_root)
    plan_assignments(ledger, turn, questions("text", 1, start=9_500), overlap=1)
    push_assignments(studio_root, lead)
    [row] = assignments(ledger, turn)
    desk, project = desks[row.annotator_id], row.project_id
    with contextlib.suppress(ServerRefused):
        hook = {"url": f"{address}/hook", "project": project, "send_payload": True}
        desk.request("POST", "api/webhooks/", json=hook)
    answer(desk, row.server_task, verdict())
    for path, body in (
        (f"api/projects/{project}/import", {"url": f"{address}/tasks.json"}),
        ("api/ml/", {"project": project, "url": address, "title": "model"}),
    ):
        with pytest.raises(ServerRefused):
            desk.request("POST", path, json=body)
    for made in lead.request("GET", "api/webhooks/", params={"project": project}):
        lead.request("DELETE", f"api/webhooks/{made['id']}/")
    assert visits == []


def test_another_zone_has_a_server_database_and_keys_of_its_own(studio_root, lead, tmp_path):
    """What a sensitive tenant gets: nothing of one zone opens the other."""
    try:
        made = bring_up(tmp_path, ["ann-1"], ["pair_text"], port=free_port(), url=None,
                        bars=silent, outlives=False)  # fmt: skip
        here, there = (server_folder(root) for root in (studio_root, tmp_path))
        mine, other = (read_or_make_secrets(folder) for folder in (here, there))
        assert server_status(here).pid != server_status(there).pid
        for name in ("secret_key", "lead_password", "lead_token"):
            assert getattr(mine, name) != getattr(other, name)
        files = [[f for f in folder.rglob("*.sqlite3")] for folder in (here, there)]
        assert all(files), "each has its database in its own folder"
        away = client_of(tmp_path)
        assert [row["title"] for row in away.request("GET", "api/projects/")["results"]] == [
            "pair_text for ann-1"
        ]
        with pytest.raises(FlywheelError, match="does not know this token"):
            LabelStudioClient(away.url, mine.lead_token).whoami()
        with pytest.raises(FlywheelError, match="nobody could sign in"):
            personal_token(away.url, made.links[0].address, mine.passwords[made.links[0].address])
    finally:
        take_down(tmp_path)
