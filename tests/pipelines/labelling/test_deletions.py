"""What the server does not list for a while is not lost, and what is deleted hides no other."""

import pytest
import sqlalchemy as sa
from small_server import edited
from test_edits_sync import TEXTS, Zone

from pipelines.labelling import push as push_module
from pipelines.labelling.ledger import ANSWERS, ASSIGNMENTS
from pipelines.labelling.planning import Original, Question, Shown, plan_assignments
from pipelines.labelling.push import push_assignments
from pipelines.labelling.sync import sync_answers
from pipelines.stores.catalogue_tables import transaction


@pytest.fixture
def zone(tmp_path):
    """Three answers of one annotator were accepted."""
    made = Zone(tmp_path / "zone")
    for at in range(3):
        made.answer(at, TEXTS[0])
    assert made.sync().accepted == 3
    return made


def deleted_tasks(zone):
    with transaction(zone.ledger, writes=False) as connection:
        query = sa.select(ASSIGNMENTS.c.server_task).where(ASSIGNMENTS.c.deleted)
        return set(connection.execute(query).scalars())


def states(zone):
    with transaction(zone.ledger, writes=False) as connection:
        return sorted(connection.execute(sa.select(ANSWERS.c.state)).scalars())


def test_an_answer_whose_task_was_not_listed_for_a_while_comes_back(zone, tmp_path):
    whole, number = zone.tables(), zone.given[0][0]
    hidden = zone.server.tasks.pop(number)
    assert zone.sync().deleted == 1
    assert zone.tables() == zone.fresh(tmp_path / "hidden")
    zone.server.tasks[number] = hidden
    assert zone.sync().accepted == 1
    assert zone.tables() == whole == zone.fresh(tmp_path / "listed")
    assert zone.sync().accepted == 0
    assert not deleted_tasks(zone)


def test_a_task_that_is_deleted_between_two_pages_hides_no_other(zone, monkeypatch):
    monkeypatch.setattr(push_module, "PAGE", 1)
    first, _, third = sorted(task for task, _, _ in zone.given[:3])
    del zone.server.tasks[third]  # so that the sync looks at all
    real, whole = zone.server.request, iter(range(99))

    def request(method, path, **more):
        answer = real(method, path, **more)
        if "data" in (more.get("params") or {}).get("include", "").split(",") and not next(whole):
            del zone.server.tasks[first]
        return answer

    monkeypatch.setattr(zone.server, "request", request)
    sync_answers(zone.root, zone.server)
    monkeypatch.setattr(zone.server, "request", real)
    zone.sync()
    assert deleted_tasks(zone) == {first, third}
    assert states(zone) == ["accepted", "deleted", "deleted"]


def test_what_a_push_finds_gone_takes_its_answers_along_at_the_next_sync(zone, tmp_path):
    """A push looks at the tasks too; it must not leave answers that no sync looks for any more."""
    del zone.server.tasks[zone.given[0][0]]
    more = Question(
        task_id="t9", prompt="Which colour?",
        first=Shown(generation_id="g9", modality="text", text="A disc."),
        original=Original(tenant_id="studio", project_id="p", prompt_id="pr9"),
    )  # fmt: skip
    plan_assignments(zone.ledger, "turn-002", [more], overlap=2)
    assert push_assignments(zone.root, zone.server) == 2
    assert zone.sync().deleted == 1
    assert zone.tables() == zone.fresh(tmp_path / "fresh")


@pytest.mark.parametrize("noticed", [True, False], ids=["noticed before", "not noticed"])
def test_a_number_that_the_server_gives_again_is_another_task(zone, tmp_path, noticed):
    """Label Studio on SQLite numbers an imported task after the highest that there is."""
    whose = {task: row for task, _, row in zone.given}
    number = zone.given[2][0]
    del zone.server.tasks[number]
    if noticed:
        assert zone.sync().deleted == 1
    zone.server._new = numbered_again(zone.server, number)
    more = Question(
        task_id="t9", prompt="Which colour?",
        first=Shown(generation_id="g9", modality="text", text="A disc."),
        original=Original(tenant_id="studio", project_id="p", prompt_id="pr9"),
    )  # fmt: skip
    plan_assignments(zone.ledger, "turn-002", [more], overlap=1)
    assert push_assignments(zone.root, zone.server) == 1
    assert push_assignments(zone.root, zone.server) == 0, "what is gone is not sent again"
    zone.sync()
    assert states(zone) == ["accepted", "accepted", "deleted"]
    told = {row["task_id"] for row in zone.tables()[1].to_pylist()}
    assert told == {whose[zone.given[at][0]].task_id for at in (0, 1)}
    zone.server.answer(number, zone.server.tasks[number]["project"], edited(TEXTS[1]))
    assert zone.sync().accepted == 1
    assert zone.tables() == zone.fresh(tmp_path / "fresh")


def numbered_again(server, number):
    """Import as the server does: under a number that is free again."""

    def new(project, data):
        server.tasks[number] = {"id": number, "project": project, "data": data, "annotations": []}
        server._touch(number)
        return number

    return new
