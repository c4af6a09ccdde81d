"""A labelling project that was deleted on the server is made again; what was read there stays."""

import pytest
import sqlalchemy as sa
from test_edits_sync import TEXTS, Zone

from annotation.client import ServerRefused
from annotation.interfaces import interface_named
from annotation.server import provision
from data_contracts.errors import FlywheelError
from pipelines.labelling.deletions import replace_projects
from pipelines.labelling.examination import _projects
from pipelines.labelling.ledger import (
    ASSIGNMENTS,
    open_assignments,
    projects_of,
    record_people,
    standing_of,
)
from pipelines.labelling.planning import Original, Question, Shown, plan_assignments
from pipelines.labelling.push import push_assignments
from pipelines.stores.catalogue_tables import transaction

ANOTHER = Question(
    task_id="t9", prompt="Which colour?",
    first=Shown(generation_id="g9", modality="text", text="A disc."),
    original=Original(tenant_id="studio", project_id="p", prompt_id="pr9"),
)  # fmt: skip
GONE, NEW = 0, 7  # the first annotator's project, and the one that stands in its place


@pytest.fixture
def zone(tmp_path):
    """Of three tasks of the first annotator one was answered, one refused; then all went."""
    made = Zone(tmp_path / "zone")
    made.answer(0, TEXTS[0])
    made.answer(1, "")
    made.answer(3, TEXTS[1])
    done = made.sync()
    assert (done.accepted, done.quarantined) == (2, 1)
    made.server.gone.add(GONE)
    made.server.tasks = {n: t for n, t in made.server.tasks.items() if t["project"] != GONE}
    return made


def renew(zone):
    people = [{"annotator_id": "ann-1", "user_id": 0, "address": "ann-1"}]
    project = {"project_id": NEW, "annotator_id": "ann-1", "interface": "edit_text"}
    replace_projects(zone.ledger, [project])
    record_people(zone.ledger, people, [project])


def test_what_was_read_stays_and_what_was_not_answered_is_sent_again_once(zone):
    before = zone.tables()
    renew(zone)
    renew(zone)
    assert [row.project_id for row in projects_of(zone.ledger)] == [1, NEW]
    assert push_assignments(zone.root, zone.server) == 1
    assert push_assignments(zone.root, zone.server) == 0
    [again] = zone.server._of(NEW)
    assert again["data"] == zone.given[2][2].data
    done = zone.sync()
    assert (done.accepted, done.quarantined, done.deleted) == (0, 0, 0)
    assert zone.tables() == before
    first = standing_of(zone.ledger)[0]
    assert first == {"annotator_id": "ann-1", "given": 3, "answered": 1, "quarantined": 1}
    assert open_assignments(zone.ledger, "turn-001") == 3


def test_the_new_project_is_answered_and_followed_like_any_other(zone):
    renew(zone)
    push_assignments(zone.root, zone.server)
    [again] = zone.server._of(NEW)
    number = zone.server.answer(again["id"], 0, [])
    zone.server.change(again["id"], number, zone.server.tasks[zone.given[3][0]]["annotations"][0]
                       ["result"])  # fmt: skip
    assert zone.sync().accepted == 1
    del zone.server.tasks[again["id"]]
    assert zone.sync().deleted == 1
    assert standing_of(zone.ledger)[0]["answered"] == 1, "what was read in the old one stays"


def test_a_task_that_was_deleted_before_its_project_is_not_sent_again(zone):
    with transaction(zone.ledger) as connection:
        connection.execute(
            sa.update(ASSIGNMENTS)
            .where(ASSIGNMENTS.c.server_task == zone.given[2][0])
            .values(deleted=True)
        )
    renew(zone)
    assert push_assignments(zone.root, zone.server) == 0


def test_a_gone_project_keeps_nobody_else_from_being_read_and_sent_to(zone):
    before = zone.tables()[1].num_rows
    zone.answer(4, TEXTS[0])
    with pytest.raises(FlywheelError, match=r"gone on the server: edit_text of ann-1; .*doctor"):
        zone.sync()
    assert zone.tables()[1].num_rows > before, "what was read of the gone one stays"
    plan_assignments(zone.ledger, "turn-002", [ANOTHER], overlap=2)
    with pytest.raises(FlywheelError, match=r"gone on the server: edit_text of ann-1; .*doctor"):
        push_assignments(zone.root, zone.server)
    assert len(zone.server._of(1)) == 4
    renew(zone)
    assert push_assignments(zone.root, zone.server) == 2
    assert zone.sync().deleted == 0


class OneProject:
    """A server with one account and one labelling project, which a lead named anew."""

    def __init__(self, number, title):
        self.number, self.title, self.sent = number, title, []

    def whoami(self):
        return {"id": 1}

    def request(self, method, path, *, json=None, params=None):
        if path == "api/users/":
            return [{"email": "ann-1@annotators.flywheel.local", "id": 11}]
        if method != "GET":
            self.sent.append((method, path, json))
            return {"id": 99}
        if path != f"api/projects/{self.number}/":
            raise ServerRefused("it was deleted there", status=404)
        return {"id": self.number, "title": self.title, "color": "#000000"}

    def pages(self, _path, _params):
        yield {"results": []}  # somebody deleted another one while it was listed


@pytest.mark.parametrize(("recorded", "number"), [(5, 5), (4, 99)])
def test_a_project_is_made_again_only_when_the_server_has_it_no_more(recorded, number):
    server = OneProject(5, "for our best annotator")
    made = provision(
        server, {"ann-1": [interface_named("pair_text")]},
        password_of=lambda _: "x", recorded={("ann-1", "pair_text"): recorded},
    )  # fmt: skip
    assert [each.project_id for each in made.projects] == [number]
    [(method, _, said)] = server.sent
    assert method == ("PATCH" if number == 5 else "POST")
    assert ("title" in said) == (method == "POST"), "a lead's title stays"


def test_the_doctor_names_the_command_that_makes_it_again(zone):
    told = _projects(OneProject(5, ""), projects_of(zone.ledger))
    assert told.state == "bad"
    assert told.says.endswith(
        "run `flywheel annotate up` with --annotator ann-1 --interface edit_text, "
        "then with --annotator ann-2 --interface edit_text"
    )
